//! Volumes as Docker knows them: a handle of its own, bound to where the volume is mounted. A container that is given one
//! starts only while the directory is there, and its image's content goes into an empty one.

use std::collections::HashMap;
use std::path::Path;

use bollard::models::VolumeCreateRequest;
use bollard::query_parameters::{ListContainersOptionsBuilder, ListVolumesOptionsBuilder, RemoveVolumeOptions};
use controller_backend::{Conflict, Error, machine_name};

use super::layout::{Layout, Place, Record};
use super::mounts;
use crate::engine::Engine;
use crate::error::{message, translate};
use crate::labels;

/// Which containers count as users of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Users {
    All,
    Active,
}

/// How Docker knows a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Handle {
    pub(crate) name: String,
    pub(crate) options: HashMap<String, String>,
    pub(crate) labels: HashMap<String, String>,
}

impl Handle {
    pub(super) fn of(place: &Place, record: &Record) -> Self {
        let device = place.data(record).display().to_string();
        Self {
            name: machine_name(&record.owner),
            options: [("type", "none"), ("o", "bind"), ("device", device.as_str())]
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .into(),
            labels: labels::of_owner(&record.owner),
        }
    }
}

/// Docker's handle, as it should be; made anew if it leads elsewhere.
pub(super) async fn ensure(engine: &Engine, handle: &Handle) -> Result<(), Error> {
    let client = engine.client().await?;
    let what = format!("volume `{}`", handle.name);
    match client.inspect_volume(&handle.name).await {
        Ok(found) if found.options == handle.options => return Ok(()),
        // Docker would not change it, and answer that all is well.
        Ok(_) if remove(engine, handle).await? => {}
        Ok(_) => return Err(Error::conflict(Conflict::InUse { what, users: Vec::new() })),
        Err(error) if matches!(message(&error), Some((404, _))) => {}
        Err(error) => return Err(translate(&what, &format!("inspect {what}"), error)),
    }
    let request = VolumeCreateRequest {
        name: Some(handle.name.clone()),
        driver: Some("local".to_owned()),
        driver_opts: Some(handle.options.clone()),
        labels: Some(handle.labels.clone()),
        ..VolumeCreateRequest::default()
    };
    let made = client.create_volume(request).await;
    made.map(drop).map_err(|error| translate(&what, &format!("create {what}"), error))
}

/// `Conflict` while any container, running or not, has the volume. `false`: none has, and Docker holds on to it. It
/// miscounts the users of a volume whose container outlived a restart of Docker, until the next restart.
pub(super) async fn remove(engine: &Engine, handle: &Handle) -> Result<bool, Error> {
    let client = engine.client().await?;
    let what = format!("volume `{}`", handle.name);
    match client.remove_volume(&handle.name, None::<RemoveVolumeOptions>).await {
        Ok(()) => Ok(true),
        Err(error) => match message(&error) {
            Some((404, _)) => Ok(true),
            Some((status, text)) if status == 409 || text.contains("active mounts") => {
                let users = users(engine, &handle.name, Users::All).await?;
                if users.is_empty() {
                    release(engine, &handle.name).await?;
                    return Ok(false);
                }
                Err(Error::Conflict { conflict: Conflict::InUse { what, users }, source: Some(error.into()) })
            }
            _ => Err(translate(&what, &format!("remove {what}"), error)),
        },
    }
}

/// Undoes Docker's own mount of a volume that nothing uses.
async fn release(engine: &Engine, name: &str) -> Result<(), Error> {
    let what = format!("volume `{name}`");
    let found = engine.client().await?.inspect_volume(name).await;
    let found = found.map_err(|error| translate(&what, &format!("inspect {what}"), error))?;
    mounts::unmount(Path::new(&found.mountpoint)).await.map(drop)
}

/// Removes handles that Docker held on to when their volumes went. What it still holds on to is left for later.
pub(super) async fn clear(engine: &Engine, layout: &Layout) -> Result<(), Error> {
    let client = engine.client().await?;
    let options = ListVolumesOptionsBuilder::default().filters(&engine.filter(&[])).build();
    let listed = client.list_volumes(Some(options)).await;
    let listed = listed.map_err(|error| translate("Docker", "list volumes", error))?;
    for volume in listed.volumes.into_iter().flatten() {
        let Some(owner) = labels::owner(&volume.labels) else { continue };
        let record = layout.record(&layout.place(owner.uid)).await;
        if volume.name == machine_name(&owner) && matches!(record, Ok(None)) {
            let _ = client.remove_volume(&volume.name, None::<RemoveVolumeOptions>).await;
        }
    }
    Ok(())
}

/// The containers that have the volume, or of these only such as hold it mounted now.
pub(super) async fn users(engine: &Engine, volume: &str, which: Users) -> Result<Vec<String>, Error> {
    // Everybody's, not only ours: whoever has it is in the way.
    let mut filter = HashMap::from([("volume".to_owned(), vec![volume.to_owned()])]);
    if which == Users::Active {
        let states = ["running", "paused", "restarting"].map(str::to_owned);
        filter.insert("status".to_owned(), states.to_vec());
    }
    let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
    let containers = engine.client().await?.list_containers(Some(options)).await;
    let containers = containers.map_err(|error| translate("Docker", "look who has a volume", error))?;
    let mut users: Vec<String> = containers
        .into_iter()
        .filter_map(|container| container.names?.into_iter().next())
        .map(|name| name.trim_start_matches('/').to_owned())
        .collect();
    users.sort_unstable();
    Ok(users)
}
