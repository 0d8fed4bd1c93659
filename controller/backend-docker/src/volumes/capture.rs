//! Copies what a volume holds at one moment, or a snapshot, into the unfinished file of another place.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use controller_backend::{Conflict, Error, Progress, VolumeMode, VolumeSource};

use super::copy::{CancelOnDrop, Copy};
use super::freeze::Frozen;
use super::layout::{Layout, Place, Record, remove_file};
use super::{mounts, trouble};
use crate::turns::{Turn, Turns};

/// How long writing to a volume is held back at most.
const FREEZE_LIMIT: Duration = Duration::from_secs(30);
/// More than the time of a file is exact to.
const TICK: Duration = Duration::from_millis(20);

/// Where copies are made from.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    pub(crate) volumes: Layout,
    pub(crate) snapshots: Layout,
    pub(crate) turns: Turns,
}

impl Sources {
    /// The size and the mode of a source.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    pub(super) async fn look(&self, source: VolumeSource) -> Result<(u64, VolumeMode), Error> {
        let (place, record) = self.find(source).await?;
        let disk = place.disk();
        Ok((tokio::fs::metadata(&disk).await.map_err(trouble("look at", &disk))?.len(), record.mode))
    }

    async fn find(&self, source: VolumeSource) -> Result<(Place, Record), Error> {
        let (layout, owner, what) = match source {
            VolumeSource::Snapshot(owner) => (&self.snapshots, owner, "snapshot"),
            VolumeSource::Volume(owner) => (&self.volumes, owner, "volume"),
            // Adopted, never copied.
            VolumeSource::Retained(owner) => return Err(Error::not_found(format!("source of `{owner}`"))),
        };
        let place = layout.place(owner);
        match layout.record(&place).await? {
            Some(record) if record.plain.is_some() => Err(Error::invalid(
                "a Volume whose size is not enforced is a plain directory, which can't be copied as it is at one moment",
            )),
            Some(record) => Ok((place, record)),
            None => Err(Error::not_found(format!("{what} of `{owner}`"))),
        }
    }

    /// Copies a source into the unfinished file of a place whose turn it is, and gives its size. Nothing is left of one
    /// that failed; one that is dropped ends by itself.
    pub(super) async fn copy(
        &self,
        source: VolumeSource,
        to: &Place,
        turn: &Turn,
        progress: &Progress,
    ) -> Result<u64, Error> {
        let unfinished = to.unfinished_disk();
        remove_file(&unfinished).await?;
        let copied = self.copy_into(source, &unfinished, turn, progress).await;
        if copied.is_err() {
            remove_file(&unfinished).await?;
        }
        copied
    }

    async fn copy_into(
        &self,
        source: VolumeSource,
        unfinished: &Path,
        turn: &Turn,
        progress: &Progress,
    ) -> Result<u64, Error> {
        let (place, record) = self.find(source).await?;
        let owner = record.owner.uid;
        let disk = place.disk();
        let from = File::open(&disk).map_err(trouble("open", &disk))?;
        let to = File::options().read(true).write(true).create_new(true).open(unfinished);
        let to = to.map_err(trouble("make", unfinished))?;
        let cancel = CancelOnDrop::default();
        let copy = Copy { from, to, progress: progress.clone(), cancelled: cancel.signal() };

        let (path, kept) = (unfinished.to_owned(), turn.clone());
        let copy = blocking(move || {
            // Nobody may begin another one, or remove this, while it is written to.
            let _turn = kept;
            copy.begin().map_err(trouble("copy to", &path))?;
            Ok(copy)
        })
        .await?;
        let size = match source {
            // Nobody writes to a snapshot.
            VolumeSource::Snapshot(_) | VolumeSource::Retained(_) => {
                copy.from.metadata().map_err(trouble("look at", &disk))?.len()
            }
            VolumeSource::Volume(_) => {
                // The volume is neither mounted, grown nor removed meanwhile.
                let theirs = self.turns.take(owner).await;
                let before = written(&copy.from)?;
                // Times of files come in ticks: what is written in the tick of the last time would not show.
                tokio::time::sleep(if record.mode == VolumeMode::Block { TICK } else { Duration::ZERO }).await;
                let mounted = mounts::is_disk_mounted(&disk, &place.mount()).await?.then(|| place.mount());
                let (path, ours) = (unfinished.to_owned(), turn.clone());
                blocking(move || {
                    let _turns = (theirs, ours);
                    let gone = || Error::not_found(format!("volume of `{owner}`"));
                    let now = std::fs::metadata(&disk).map_err(|_| gone())?;
                    let opened = copy.from.metadata().map_err(trouble("look at", &disk))?;
                    if (now.dev(), now.ino()) != (opened.dev(), opened.ino()) {
                        return Err(gone());
                    }
                    let frozen = mounted.map(|mount| Frozen::begin(&mount, FREEZE_LIMIT)).transpose()?;
                    let complete = || copy.complete().map_err(trouble("copy to", &path));
                    match record.mode {
                        VolumeMode::Filesystem => complete()?,
                        VolumeMode::Block => undisturbed(&copy, before, complete)?,
                    }
                    frozen.map_or(Ok(()), Frozen::end)?;
                    Ok(now.len())
                })
                .await?
            }
        };
        progress.complete();
        Ok(size)
    }
}

/// Completes the copy of what nobody can hold back from being written to: at one stroke, or else it counts only if nothing
/// was written meanwhile.
fn undisturbed(copy: &Copy, before: SystemTime, complete: impl Fn() -> Result<(), Error>) -> Result<(), Error> {
    if copy.is_shared() {
        return complete();
    }
    complete()?;
    if written(&copy.from)? == before {
        return Ok(());
    }
    let state =
        "written to while it was copied: stop what uses it, or keep the data directory on a file system with reflinks";
    Err(Error::conflict(Conflict::State { what: "the volume".to_owned(), state: state.to_owned() }))
}

/// When a file was last written to.
fn written(file: &File) -> Result<SystemTime, Error> {
    file.metadata().and_then(|file| file.modified()).map_err(trouble("look at", Path::new("the disk")))
}

/// Runs what waits for the disk. It goes on to its end, whether somebody waits or not.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::failed("copy a volume", error))?
}
