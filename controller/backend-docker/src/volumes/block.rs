//! Block volumes: the file behind a loop device, which containers get as it is. The device is found by the file; a link
//! beside the file has a name that stays, and Docker follows it at each start.

use std::ffi::OsStr;
use std::io;
use std::path::PathBuf;

use controller_backend::Error;
use tokio::fs;

use super::layout::{Place, Record, remove_file, set_mode};
use super::mounts::loop_devices;
use super::trouble;
use crate::tools;

/// Makes an empty one anew, whatever was left of an earlier attempt.
pub(super) async fn make(place: &Place, record: &Record) -> Result<(), Error> {
    place.prepare(record).await?;
    let unfinished = place.unfinished_disk();
    remove_file(&unfinished).await?;
    let file = fs::File::create_new(&unfinished).await.map_err(trouble("make", &unfinished))?;
    file.set_len(record.size_bytes).await.map_err(trouble("size", &unfinished))?;
    set_mode(&unfinished, 0o600).await?;
    place.finish().await
}

/// Gives the copy of another one its size and its name.
pub(super) async fn take_over(place: &Place, size_bytes: u64) -> Result<(), Error> {
    resize(&place.unfinished_disk(), size_bytes).await?;
    place.finish().await
}

/// Puts a device on the file, unless there is one, and lets the link lead to it.
pub(super) async fn attach(place: &Place) -> Result<(), Error> {
    let disk = place.disk();
    if !loop_devices(&disk).await?.iter().any(|device| !device.deleted) {
        let arguments = [OsStr::new("--find"), disk.as_os_str()];
        let attached = tools::run("losetup", arguments).await;
        attached.map_err(|error| error.during(format!("put a loop device on `{}`", disk.display())))?;
    }
    if attached(place).await?.is_some() {
        return Ok(());
    }
    let devices = loop_devices(&disk).await?;
    let device = devices.into_iter().find(|device| !device.deleted);
    let device = device.ok_or_else(|| Error::not_found(format!("loop device on `{}`", disk.display())))?;
    let (link, new) = (place.device(), place.device().with_extension("new"));
    remove_file(&new).await?;
    fs::symlink(&device.path, &new).await.map_err(trouble("make", &new))?;
    fs::rename(&new, &link).await.map_err(trouble("rename", &new))
}

/// Where the link leads, if that device is on this very file now: after a restart of the host it may be another's.
pub(super) async fn attached(place: &Place) -> Result<Option<PathBuf>, Error> {
    let link = place.device();
    let target = match fs::read_link(&link).await {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(trouble("read", &link))?,
    };
    let devices = loop_devices(&place.disk()).await?;
    Ok(devices.iter().any(|device| device.path == target && !device.deleted).then_some(target))
}

/// Grows the file and its device, also under a machine.
pub(super) async fn grow(place: &Place, size_bytes: u64) -> Result<(), Error> {
    let disk = place.disk();
    resize(&disk, size_bytes).await?;
    for device in loop_devices(&disk).await?.iter().filter(|device| !device.deleted) {
        let told = tools::run("losetup", [OsStr::new("-c"), device.path.as_os_str()]).await;
        told.map_err(|error| error.during(format!("grow `{}`", disk.display())))?;
    }
    Ok(())
}

async fn resize(file: &std::path::Path, size_bytes: u64) -> Result<(), Error> {
    let opened = fs::OpenOptions::new().write(true).open(file).await.map_err(trouble("open", file))?;
    let present = opened.metadata().await.map_err(trouble("look at", file))?.len();
    if present < size_bytes {
        opened.set_len(size_bytes).await.map_err(trouble("size", file))?;
    }
    opened.sync_all().await.map_err(trouble("sync", file))
}
