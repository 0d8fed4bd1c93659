//! Snapshots of machines: images of what a container has written, on top of what it was made from.
//!
//! Docker's own commit copies the container's environment and command into the image, and into the history beside it;
//! both may be secret. So what it commits is only where the layers come from: the image that stays is made from them with
//! the settings of the container's image, and the committed one goes. Its tag, which holds the owner's uid, comes last.

mod recipe;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{ContainerConfig, ImageInspect};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, ImportImageOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use controller_backend::{
    Conflict, Consistency, Error, Machine, MachineId, MachineSnapshot, MachineSnapshotSpec, MachineSnapshots,
    MachineState, Progress,
};
use futures::StreamExt;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::{message, translate};
use crate::{images, labels, machines, starting};

/// The image's name; the tag is the owner's uid.
const NAME: &str = "thecloud.dev/instance-snapshot";
/// Writing all that a machine has changed takes as long as the disk does.
const COMMIT: Duration = Duration::from_secs(3600);

pub(crate) struct DockerMachineSnapshots {
    engine: Arc<Engine>,
    /// One at a time: what was cut off is cleared away before the same is begun again or removed.
    taking: Arc<Mutex<()>>,
}

impl DockerMachineSnapshots {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine, taking: Arc::default() }
    }
}

#[async_trait]
impl MachineSnapshots for DockerMachineSnapshots {
    async fn list(&self) -> Result<Vec<MachineSnapshot>, Error> {
        let filter = self.engine.filter(&[(labels::KIND, labels::INSTANCE_SNAPSHOT.to_owned())]);
        let mut snapshots = Vec::new();
        for image in images_of(&self.engine, &filter).await? {
            let Some(owner) = labels::owner(&image.labels) else { continue };
            if image.repo_tags.contains(&reference(owner.uid)) {
                snapshots.extend(find(&self.engine, owner.uid).await?);
            }
        }
        snapshots.sort_by_key(|snapshot| snapshot.owner.uid);
        Ok(snapshots)
    }

    async fn find(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
        find(&self.engine, owner).await
    }

    async fn ensure(&self, spec: &MachineSnapshotSpec, progress: &Progress) -> Result<MachineSnapshot, Error> {
        let turn = self.taking.clone().lock_owned().await;
        if let Some(snapshot) = find(&self.engine, spec.owner.uid).await? {
            return Ok(snapshot);
        }
        let (engine, spec) = (self.engine.clone(), spec.clone());
        // Docker goes on where nobody waits for it any more, so that somebody must see what it has made.
        let taking = tokio::spawn(async move {
            let _turn = turn;
            take(&engine, &spec).await
        });
        let taken = taking.await.map_err(|error| Error::failed("take the snapshot", error))??;
        progress.begin(1);
        progress.complete();
        Ok(taken)
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.taking.lock().await;
        if let Some(snapshot) = find(&self.engine, owner).await? {
            let what = format!("snapshot of `{owner}`");
            let in_use = |users, source| {
                Err(Error::Conflict { conflict: Conflict::InUse { what: what.clone(), users }, source })
            };
            let users = users(&self.engine, &snapshot.image.id).await?;
            if !users.is_empty() {
                return in_use(users, None);
            }
            match remove_image(&self.engine, &reference(owner)).await {
                Ok(()) => {}
                // By a container that isn't ours.
                Err(error) if matches!(message(&error), Some((409, _))) => {
                    return in_use(Vec::new(), Some(error.into()));
                }
                Err(error) => return Err(translate(&what, &format!("remove the {what}"), error)),
            }
        }
        clear(&self.engine, owner).await
    }

    /// Docker itself ends what it has begun, and a container that stays paused is one that is paused.
    async fn thaw(&self, machine: &MachineId) -> Result<(), Error> {
        self.engine.owned(machine).await.map(drop)
    }

    fn held_still(&self, machine: &MachineId, since: Instant) -> bool {
        self.engine.held.stillness.was_since(machine, since)
    }
}

/// What Docker calls the snapshot of an owner.
fn reference(owner: Uuid) -> String {
    format!("{NAME}:{owner}")
}

async fn find(engine: &Engine, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
    let what = format!("snapshot of `{owner}`");
    let image = match engine.client().await?.inspect_image(&reference(owner)).await {
        Ok(image) => image,
        Err(error) if matches!(message(&error), Some((404, _))) => return Ok(None),
        Err(error) => return Err(translate(&what, &format!("look for the {what}"), error)),
    };
    let marks = image.config.as_ref().and_then(|config| config.labels.as_ref());
    let ours = marks.and_then(|marks| Some((labels::owner(marks)?, labels::consistency(marks)?)));
    let ours = ours.filter(|(found, _)| found.installation == engine.installation() && found.uid == owner);
    Ok(ours.map(|(owner, consistency)| MachineSnapshot {
        owner,
        image: images::describe(image),
        disk_bytes: None,
        consistency,
    }))
}

async fn take(engine: &Engine, spec: &MachineSnapshotSpec) -> Result<MachineSnapshot, Error> {
    let owner = spec.owner.uid;
    clear(engine, owner).await?;
    let id = &spec.machine;
    let what = format!("machine `{id}`");
    let action = format!("take a snapshot of {what}");
    let failed = |error| translate(&what, &action, error);
    let held = engine.held.hold(id).await;
    let container = engine.owned(id).await?;
    let machine = machines::observe(&container).ok_or_else(|| Error::not_found(what.as_str()))?;
    let client = engine.client().await?.with_timeout(COMMIT);
    let origin = client.inspect_image(&machine.image_id).await.map_err(failed)?;

    let consistency = consistency(&machine);
    let running = machine.state == MachineState::Running;
    let options = CommitContainerOptionsBuilder::default().container(&id.0).pause(running).build();
    let config = ContainerConfig { labels: Some(labels::of_half_taken(&spec.owner)), ..ContainerConfig::default() };
    if running {
        starting::commands_have_started(&client, &container).await.map_err(failed)?;
        held.freeze();
    }
    let committed = client.commit_container(options, config).await.map_err(failed)?;
    drop(held);

    let kept = keep(engine, spec, &origin, &committed.id, consistency).await;
    // It has what may be secret; should this fail, the next attempt or the removal does it.
    let cleared = clear(engine, owner).await;
    kept?;
    cleared?;
    find(engine, owner).await?.ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))
}

fn consistency(machine: &Machine) -> Consistency {
    match machine.state {
        MachineState::Running | MachineState::Paused => Consistency::Frozen,
        MachineState::Created | MachineState::Exited(_) | MachineState::Dead => Consistency::AtRest,
    }
}

/// Makes the image that stays from the layers of the committed one.
async fn keep(
    engine: &Engine,
    spec: &MachineSnapshotSpec,
    origin: &ImageInspect,
    committed: &str,
    consistency: Consistency,
) -> Result<(), Error> {
    let action = "keep the snapshot";
    let failed = |error| translate("committed image", action, error);
    let client = engine.client().await?;
    let committed = client.inspect_image(committed).await.map_err(failed)?;
    let marks = labels::of_snapshot(&spec.owner, consistency);
    let archive = recipe::archive(origin, &committed, marks, &reference(spec.owner.uid))
        .map_err(|error| Error::failed(action, error))?;
    let mut loading = client.import_image(ImportImageOptions::default(), bollard::body_full(archive.into()), None);
    while let Some(step) = loading.next().await {
        if let Some(why) = step.map_err(failed)?.error_detail.and_then(|detail| detail.message) {
            return Err(Error::failed(action, why));
        }
    }
    Ok(())
}

/// Removes what attempts that were cut off have left.
async fn clear(engine: &Engine, owner: Uuid) -> Result<(), Error> {
    let half = [(labels::UID, owner.to_string()), (labels::HALF_TAKEN, true.to_string())];
    for image in images_of(engine, &engine.filter(&half)).await? {
        remove_image(engine, &image.id).await.map_err(|error| {
            let what = format!("half-taken snapshot of `{owner}`");
            translate(&what, &format!("remove the {what}"), error)
        })?;
    }
    Ok(())
}

async fn images_of(
    engine: &Engine,
    filter: &HashMap<String, Vec<String>>,
) -> Result<Vec<bollard::models::ImageSummary>, Error> {
    let options = ListImagesOptionsBuilder::default().filters(filter).build();
    let images = engine.client().await?.list_images(Some(options)).await;
    images.map_err(|error| translate("Docker", "list snapshots", error))
}

/// Removes an image by its tag or id, and nothing that it was made from.
async fn remove_image(engine: &Engine, name: &str) -> Result<(), bollard::errors::Error> {
    let Ok(client) = engine.client().await else { return Err(bollard::errors::Error::RequestTimeoutError) };
    let options = RemoveImageOptionsBuilder::default().noprune(true).build();
    match client.remove_image(name, Some(options), None).await {
        Err(error) if matches!(message(&error), Some((404, _))) => Ok(()),
        outcome => outcome.map(drop),
    }
}

/// The names of the machines that were made from an image, sorted.
async fn users(engine: &Engine, image: &str) -> Result<Vec<String>, Error> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&engine.filter(&[])).build();
    let containers = engine.client().await?.list_containers(Some(options)).await;
    let containers = containers.map_err(|error| translate("Docker", "look who uses the snapshot", error))?;
    let of_it = containers.into_iter().filter(|container| container.image_id.as_deref() == Some(image));
    let mut users: Vec<String> = of_it
        .filter_map(|container| container.names?.into_iter().next())
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    users.sort_unstable();
    Ok(users)
}
