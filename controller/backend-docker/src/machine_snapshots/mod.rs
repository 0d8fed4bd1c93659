//! Snapshots of machines: images of what a container has written, on top of what it was made from.
//!
//! Docker's own commit copies the container's environment and command into the image, and into the history beside it;
//! both may be secret. So what it commits is only where the layers come from: the image that stays is made from them with
//! the settings of the container's image, and the committed one goes. Its tag, which holds the owner's uid, comes last.

mod recipe;
mod retained;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::{ContainerConfig, ImageInspect, ImageSummary};
use bollard::query_parameters::{
    CommitContainerOptionsBuilder, ImportImageOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    RemoveImageOptionsBuilder,
};
use controller_backend::{
    Conflict, Consistency, Error, Machine, MachineId, MachineSnapshot, MachineSnapshotSource, MachineSnapshotSpec,
    MachineSnapshots, MachineState, Owner, Progress,
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
        let images = snapshot_images(&self.engine).await?;
        let adopted = retained::adopted(&images);
        let mut snapshots = Vec::new();
        for image in images {
            let Some(owner) = labels::owner(&image.labels).map(|owner| owner.uid) else { continue };
            if image.repo_tags.contains(&reference(owner)) && !adopted.contains(&owner) {
                snapshots.extend(observe(&self.engine, owner).await?);
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
        let owner = spec.owner.uid;
        match find(&self.engine, owner).await? {
            Some(snapshot) if snapshot.retained => retained::unmark(&self.engine, owner, None).await?,
            Some(snapshot) => return Ok(snapshot),
            None => {
                let (engine, spec) = (self.engine.clone(), spec.clone());
                // Docker goes on where nobody waits for it any more, so that somebody must see what it has made.
                let taking = tokio::spawn(async move {
                    let _turn = turn;
                    match &spec.source {
                        MachineSnapshotSource::Machine(machine) => take(&engine, &spec.owner, machine).await,
                        MachineSnapshotSource::Retained(from) => retained::adopt(&engine, &spec.owner, *from).await,
                    }
                });
                taking.await.map_err(|error| Error::failed("take the snapshot", error))??;
            }
        }
        progress.begin(1);
        progress.complete();
        find(&self.engine, owner).await?.ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.taking.lock().await;
        if let Some(snapshot) = find(&self.engine, owner).await? {
            remove(&self.engine, &snapshot).await?;
        }
        clear(&self.engine, owner).await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.taking.lock().await;
        let snapshot = find(&self.engine, owner).await?;
        let snapshot = snapshot.ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))?;
        retained::mark(&self.engine, owner, &snapshot.owner.namespace).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        let _turn = self.taking.lock().await;
        retained::retained(&self.engine, owner).await?;
        retained::mark(&self.engine, owner, namespace).await?;
        retained::unmark(&self.engine, owner, Some(namespace)).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.taking.lock().await;
        let snapshot = retained::retained(&self.engine, owner).await?;
        remove(&self.engine, &snapshot).await
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

/// The snapshot of an owner, unless it is another's by now.
async fn find(engine: &Engine, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
    let found = observe(engine, owner).await?;
    // Nobody adopts what isn't retained.
    if found.as_ref().is_some_and(|snapshot| snapshot.retained)
        && retained::adopted(&snapshot_images(engine).await?).contains(&owner)
    {
        return Ok(None);
    }
    Ok(found)
}

async fn observe(engine: &Engine, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
    let Some(image) = inspect(engine, owner).await? else { return Ok(None) };
    let marks = image.config.as_ref().and_then(|config| config.labels.as_ref());
    let ours = marks.and_then(|marks| Some((labels::owner(marks)?, labels::consistency(marks)?)));
    let ours = ours.filter(|(found, _)| found.installation == engine.installation() && found.uid == owner);
    Ok(ours.map(|(owner, consistency)| {
        let retained_for = retained::namespace(image.repo_tags.as_deref().unwrap_or_default(), owner.uid);
        MachineSnapshot {
            retained: retained_for.is_some(),
            owner: Owner { namespace: retained_for.unwrap_or(owner.namespace), ..owner },
            taken_at: image.created.as_deref().and_then(|created| created.parse().ok()),
            image: images::describe(image),
            disk_bytes: None,
            consistency,
        }
    }))
}

/// The image that Docker has of an owner's snapshot.
async fn inspect(engine: &Engine, owner: Uuid) -> Result<Option<ImageInspect>, Error> {
    images::inspect(engine, &reference(owner)).await
}

/// Removes a snapshot and what is left of those before it, unless machines were made from any of them.
async fn remove(engine: &Engine, snapshot: &MachineSnapshot) -> Result<(), Error> {
    let owner = snapshot.owner.uid;
    let what = format!("snapshot of `{owner}`");
    let in_use =
        |users, source| Err(Error::Conflict { conflict: Conflict::InUse { what: what.clone(), users }, source });
    let former = retained::former(engine, owner).await?;
    let images = former.iter().map(|(_, image)| image.id.as_str()).chain([snapshot.image.id.as_str()]);
    let users = users(engine, &images.collect()).await?;
    if !users.is_empty() {
        return in_use(users, None);
    }
    for (before, _) in &former {
        retained::leave(engine, *before).await?;
    }
    retained::unmark(engine, owner, None).await?;
    match remove_image(engine, &reference(owner)).await {
        Ok(()) => Ok(()),
        // By a container that isn't ours.
        Err(error) if matches!(message(&error), Some((409, _))) => {
            if snapshot.retained {
                retained::mark(engine, owner, &snapshot.owner.namespace).await?;
            }
            in_use(Vec::new(), Some(error.into()))
        }
        Err(error) => Err(translate(&what, &format!("remove the {what}"), error)),
    }
}

/// Takes a snapshot of a machine.
async fn take(engine: &Engine, owner: &Owner, id: &MachineId) -> Result<(), Error> {
    clear(engine, owner.uid).await?;
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
    let config = ContainerConfig { labels: Some(labels::of_half_taken(owner)), ..ContainerConfig::default() };
    if running {
        starting::commands_have_started(&client, &container).await.map_err(failed)?;
        held.freeze();
    }
    let committed = client.commit_container(options, config).await.map_err(failed)?;
    drop(held);

    let kept = keep(engine, owner, &origin, &committed.id, consistency).await;
    // It has what may be secret; should this fail, the next attempt or the removal does it.
    let cleared = clear(engine, owner.uid).await;
    kept.and(cleared)
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
    owner: &Owner,
    origin: &ImageInspect,
    committed: &str,
    consistency: Consistency,
) -> Result<(), Error> {
    let action = "keep the snapshot";
    let committed = engine.client().await?.inspect_image(committed).await;
    let committed = committed.map_err(|error| translate("committed image", action, error))?;
    let marks = labels::of_snapshot(owner, consistency, &BTreeSet::new());
    let archive = recipe::archive(origin, &committed, marks, &reference(owner.uid));
    load(engine, archive.map_err(|error| Error::failed(action, error))?, action).await
}

/// Makes the image of an archive: all of it, or nothing.
async fn load(engine: &Engine, archive: Vec<u8>, action: &str) -> Result<(), Error> {
    let client = engine.client().await?;
    let mut loading = client.import_image(ImportImageOptions::default(), bollard::body_full(archive.into()), None);
    while let Some(step) = loading.next().await {
        let step = step.map_err(|error| translate("image", action, error))?;
        if let Some(why) = step.error_detail.and_then(|detail| detail.message) {
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

/// The images of all snapshots.
async fn snapshot_images(engine: &Engine) -> Result<Vec<ImageSummary>, Error> {
    images_of(engine, &engine.filter(&[(labels::KIND, labels::INSTANCE_SNAPSHOT.to_owned())])).await
}

/// A filter for the images of an owner's snapshot.
fn snapshots_filter(engine: &Engine, owner: Uuid) -> HashMap<String, Vec<String>> {
    engine.filter(&[(labels::KIND, labels::INSTANCE_SNAPSHOT.to_owned()), (labels::UID, owner.to_string())])
}

async fn images_of(engine: &Engine, filter: &HashMap<String, Vec<String>>) -> Result<Vec<ImageSummary>, Error> {
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

/// The names of the machines that were made from any of these images, sorted.
async fn users(engine: &Engine, images: &BTreeSet<&str>) -> Result<Vec<String>, Error> {
    let options = ListContainersOptionsBuilder::default().all(true).filters(&engine.filter(&[])).build();
    let containers = engine.client().await?.list_containers(Some(options)).await;
    let containers = containers.map_err(|error| translate("Docker", "look who uses the snapshot", error))?;
    let of_it =
        containers.into_iter().filter(|container| container.image_id.as_deref().is_some_and(|id| images.contains(id)));
    let mut users: Vec<String> = of_it
        .filter_map(|container| container.names?.into_iter().next())
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    users.sort_unstable();
    Ok(users)
}
