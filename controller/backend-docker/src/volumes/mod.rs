//! Volumes: a sparse file with an ext4 file system, loop-mounted on the host; Docker gets a directory inside it as a
//! local volume. Decides the order of steps, so that each can be repeated and cut off anywhere:
//!
//! - made: the file is formatted under another name, with the directory inside, and renamed when it is whole;
//! - made from another volume or a snapshot: copied under another name, checked, grown, and renamed;
//! - adopted: the directory of what was retained is renamed, and told of as the new owner's afterwards;
//! - removed: first Docker's handle (it refuses while a container has it), then the mount and its loop device, then the
//!   file. What is cut off in between is still told of by the file, and goes on from there.
//!
//! The directory that containers see exists only inside the file system: an unmounted volume has none, and Docker
//! refuses to start on it.

mod block;
mod capture;
mod copy;
mod disk;
mod freeze;
mod handles;
mod layout;
#[cfg(test)]
mod mounted;
pub(crate) mod mounts;
mod snapshots;

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::ListContainersOptionsBuilder;
use controller_backend::{
    Conflict, Error, Progress, SMALLEST_VOLUME, Volume, VolumeMode, VolumeSource, VolumeSpec, Volumes, machine_name,
};
use uuid::Uuid;

use crate::engine::Engine;
use crate::error::translate;
use crate::labels;
use crate::remap;
use crate::tools::ToolError;
use crate::turns::Turn;

pub(crate) use capture::Sources;
use disk::{Growth, Thoroughly};
pub(crate) use handles::Handle;
use handles::Users;
pub(crate) use layout::Layout;
use layout::{Place, Record, remove_file};
pub(crate) use snapshots::HostSnapshots;

/// How long a loop device may take to let go of its file after the last mount is gone.
const DETACH_PATIENCE: Duration = Duration::from_secs(3);

pub(crate) struct DockerVolumes {
    engine: Arc<Engine>,
    layout: Layout,
    sources: Sources,
    /// The volumes that this process has seen mounted, and let be written to in case that one before it did not.
    seen: Mutex<BTreeSet<Uuid>>,
    /// Whether this process has ever mounted a volume.
    has_mounted: AtomicBool,
}

/// What a container gets of a volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Offer {
    /// A volume of Docker's.
    Directory(Handle),
    /// The link to a device.
    Device(PathBuf),
}

impl Layout {
    /// What a container gets of the volume of an owner, if it is made.
    pub(crate) async fn offer(&self, owner: Uuid) -> Result<Option<Offer>, Error> {
        let place = self.place(owner);
        Ok(self.record(&place).await?.map(|record| match record.mode {
            VolumeMode::Filesystem => Offer::Directory(Handle::of(&place, &record)),
            VolumeMode::Block => Offer::Device(place.device()),
        }))
    }

    /// Whether a container that has the volume of this owner may start: the device that it would get may be another's
    /// by now. Of a directory Docker finds that out.
    pub(crate) async fn may_start(&self, owner: Uuid) -> Result<bool, Error> {
        let place = self.place(owner);
        match self.record(&place).await? {
            Some(record) if record.mode == VolumeMode::Block => {
                block::attached(&place).await.map(|device| device.is_some())
            }
            _ => Ok(true),
        }
    }
}

impl DockerVolumes {
    pub(crate) fn new(engine: Arc<Engine>, sources: Sources) -> Self {
        Self {
            engine,
            layout: sources.volumes.clone(),
            sources,
            seen: Mutex::default(),
            has_mounted: AtomicBool::new(false),
        }
    }

    async fn observe(&self, place: &Place) -> Result<Option<Volume>, Error> {
        let Some(record) = self.layout.record(place).await? else { return Ok(None) };
        let mut volume = Volume {
            size_bytes: record.size_bytes,
            used_bytes: None,
            ready: false,
            retained: place.is_retained().await?,
            directory: None,
            device: None,
            mode: record.mode,
            unenforced: record.plain.clone(),
            owner: record.owner.clone(),
        };
        if record.plain.is_some() {
            volume.ready = !volume.retained;
            volume.directory = volume.ready.then(|| place.plain());
            volume.mode = VolumeMode::Filesystem;
            return Ok(Some(volume));
        }
        if record.mode == VolumeMode::Block {
            volume.device = block::attached(place).await?;
            volume.ready = volume.device.is_some();
            volume.used_bytes = Some(disk::allocated_bytes(&place.disk()).await?);
            return Ok(Some(volume));
        }
        volume.ready = mounts::is_disk_mounted(&place.disk(), &place.mount()).await?;
        if volume.ready {
            self.has_mounted.store(true, Ordering::Relaxed);
            if self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(record.owner.uid) {
                freeze::thaw(&place.mount()).await;
            }
            volume.used_bytes = disk::used_bytes(&place.mount());
            volume.directory = Some(place.data(&record));
        }
        Ok(Some(volume))
    }

    /// The containers of ours, running or not, that have the device of a block volume: of that Docker knows nothing.
    async fn holders(&self, volume: Uuid) -> Result<Vec<String>, Error> {
        let options = ListContainersOptionsBuilder::default().all(true).filters(&self.engine.filter(&[])).build();
        let containers = self.engine.client().await?.list_containers(Some(options)).await;
        let containers = containers.map_err(|error| translate("Docker", "look who has a volume", error))?;
        let has = |marks: &HashMap<String, String>| labels::volumes(marks).contains(&volume);
        let mut users: Vec<String> = containers
            .into_iter()
            .filter(|container| container.labels.as_ref().is_some_and(has))
            .filter_map(|container| container.names?.into_iter().next())
            .map(|name| name.trim_start_matches('/').to_owned())
            .collect();
        users.sort_unstable();
        Ok(users)
    }

    /// Makes an empty volume. Each is tried before it has its name: where the very first one can't be mounted the host
    /// can't do that, and a plain directory serves instead; later on, a failure is one.
    async fn make(&self, place: &Place, record: Record) -> Result<Record, Error> {
        if record.mode == VolumeMode::Block {
            block::make(place, &record).await?;
            return Ok(record);
        }
        let root = remap::root(&self.engine).await?;
        disk::make(place, &record, root).await?;
        match mounts::mount(&place.unfinished_disk(), &place.mount()).await {
            Ok(()) => {
                place.finish().await?;
                Ok(record)
            }
            Err(error) if self.has_mounted.load(Ordering::Relaxed) => Err(error),
            Err(error) => {
                let Some(why) = reason(&error) else { return Err(error) };
                remove_file(&place.unfinished_disk()).await?;
                tracing::warn!(owner = %record.owner, why, "this host can't mount a volume: a directory serves, without a limit");
                let record = Record { plain: Some(why), ..record };
                place.finish_plain(&record, root).await?;
                Ok(record)
            }
        }
    }

    /// Makes the volume as a copy of another one, or of a snapshot.
    async fn make_from(&self, source: VolumeSource, place: &Place, record: &Record, turn: &Turn) -> Result<(), Error> {
        let (size_bytes, mode) = self.sources.look(source).await?;
        same_mode(mode, record.mode)?;
        if record.size_bytes < size_bytes {
            return Err(Error::invalid(format!("what the volume is made from has {size_bytes} bytes")));
        }
        place.prepare(record).await?;
        self.sources.copy(source, place, turn, &Progress::default()).await?;
        match record.mode {
            VolumeMode::Filesystem => disk::take_over(place, record.size_bytes).await,
            VolumeMode::Block => block::take_over(place, record.size_bytes).await,
        }
    }

    /// Takes the place of the owner of a retained volume. From the renaming on it is this one's; before, nothing has
    /// happened.
    async fn adopt(&self, from: Uuid, place: &Place, spec: &VolumeSpec) -> Result<Record, Error> {
        let _turn = self.sources.turns.take(from).await;
        let (retained, record) = self.layout.retained(from).await?;
        same_mode(record.mode, spec.mode)?;
        if spec.size_bytes < record.size_bytes {
            return Err(Error::invalid(format!("what the volume is made from has {} bytes", record.size_bytes)));
        }
        self.layout.transfer(&retained, place).await?;
        Ok(record)
    }

    /// Grows the mounted volume: in place where the host lets it, otherwise unmounted for the moment, for which no
    /// machine may run on it.
    async fn grow(&self, place: &Place, record: &Record, size_bytes: u64) -> Result<(), Error> {
        let disk = place.disk();
        if disk::grow(&disk, size_bytes).await? == Growth::Done {
            return Ok(());
        }
        // Asked first: a running machine keeps the mount, and unmounting it again at each attempt helps nobody.
        let users = handles::users(&self.engine, &machine_name(&record.owner), Users::Active).await?;
        if !users.is_empty() {
            let what = "the volume grows as soon as nothing runs on it (this host lets no mounted one grow), and it"
                .to_owned();
            return Err(Error::conflict(Conflict::InUse { what, users }));
        }
        let grown = match unmount(place).await {
            Ok(()) => disk::grow_unmounted(&disk).await,
            Err(error) => Err(error),
        };
        // Whatever became of it, machines go on from here.
        mount(place).await?;
        grown
    }

    /// Takes down the handle, the mount and the loop device; the file stays.
    async fn take_down(&self, place: &Place, record: &Record) -> Result<(), Error> {
        if record.mode == VolumeMode::Block {
            let users = self.holders(record.owner.uid).await?;
            if !users.is_empty() {
                let what = format!("volume `{}`", machine_name(&record.owner));
                return Err(Error::conflict(Conflict::InUse { what, users }));
            }
            return unmount(place).await;
        }
        handles::remove(&self.engine, &Handle::of(place, record)).await?;
        unmount(place).await
    }
}

/// Mounts the volume unless it is.
async fn mount(place: &Place) -> Result<(), Error> {
    let disk = place.disk();
    if mounts::is_disk_mounted(&disk, &place.mount()).await? {
        return Ok(());
    }
    if !mounts::unmount(&place.mount()).await? {
        return Err(in_use(place));
    }
    // With a device on it the file may be mounted elsewhere, and is not to be mended under somebody's hands.
    if mounts::loop_devices(&disk).await?.iter().all(|device| device.deleted) {
        disk::check(&disk, Thoroughly::IfNeeded).await?;
    }
    mounts::mount(&disk, &place.mount()).await
}

/// Unmounts the volume and lets its device go. `Conflict` while something else has it.
async fn unmount(place: &Place) -> Result<(), Error> {
    if !mounts::unmount(&place.mount()).await? {
        return Err(in_use(place));
    }
    if mounts::detach(&place.disk(), DETACH_PATIENCE).await? { Ok(()) } else { Err(in_use(place)) }
}

fn in_use(place: &Place) -> Error {
    let what = format!("volume at `{}`", place.disk().display());
    Error::conflict(Conflict::InUse { what, users: Vec::new() })
}

#[async_trait]
impl Volumes for DockerVolumes {
    async fn list(&self) -> Result<Vec<Volume>, Error> {
        let mut volumes = Vec::new();
        for place in self.layout.places().await? {
            match self.observe(&place).await {
                Ok(volume) => volumes.extend(volume),
                // Not ours to tell of.
                Err(error) if matches!(error.as_conflict(), Some(Conflict::Foreign { .. })) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(volumes)
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Volume>, Error> {
        self.observe(&self.layout.place(owner)).await
    }

    async fn ensure(&self, spec: &VolumeSpec) -> Result<Volume, Error> {
        if spec.size_bytes < SMALLEST_VOLUME {
            return Err(Error::invalid(format!("a volume has at least {SMALLEST_VOLUME} bytes")));
        }
        let turn = self.sources.turns.take(spec.owner.uid).await;
        let place = self.layout.place(spec.owner.uid);
        let mut record = match self.layout.record(&place).await? {
            Some(record) => record,
            None => {
                // Of a removal that was cut off: a mount of the file before.
                unmount(&place).await?;
                let record = Record::new(spec.owner.clone(), spec.size_bytes, spec.mode);
                match spec.source {
                    Some(VolumeSource::Retained(from)) => self.adopt(from, &place, spec).await?,
                    Some(source) => {
                        self.make_from(source, &place, &record, &turn).await?;
                        record
                    }
                    None => self.make(&place, record).await?,
                }
            }
        };
        if record.size_bytes > spec.size_bytes {
            return Err(Error::invalid("a volume cannot shrink"));
        }
        same_mode(record.mode, spec.mode)?;
        if record.owner != spec.owner {
            record.owner = spec.owner.clone();
            place.write_record(&record).await?;
        }
        let is_block = record.mode == VolumeMode::Block;
        if is_block {
            block::attach(&place).await?;
        } else if record.plain.is_none() {
            mount(&place).await?;
            self.has_mounted.store(true, Ordering::Relaxed);
        }
        if record.size_bytes < spec.size_bytes {
            if is_block {
                block::grow(&place, spec.size_bytes).await?;
            } else if record.plain.is_none() {
                self.grow(&place, &record, spec.size_bytes).await?;
            }
            // Written last: a growth that was cut off is gone through again.
            record.size_bytes = spec.size_bytes;
            place.write_record(&record).await?;
        }
        if !is_block {
            handles::ensure(&self.engine, &Handle::of(&place, &record)).await?;
        }
        place.set_retained(false).await?;
        let what = format!("volume of `{}`", spec.owner.uid);
        self.observe(&place).await?.ok_or_else(|| Error::not_found(what))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        let place = self.layout.place(owner);
        match self.layout.record(&place).await? {
            Some(record) => self.take_down(&place, &record).await?,
            // Half made or half removed: no handle any more, or none yet.
            None => unmount(&place).await?,
        }
        place.delete().await?;
        handles::clear(&self.engine, &self.layout).await
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        let place = self.layout.place(owner);
        let record = self.layout.record(&place).await?;
        let record = record.ok_or_else(|| Error::not_found(format!("volume of `{owner}`")))?;
        self.take_down(&place, &record).await?;
        place.set_retained(true).await
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        self.layout.hand_over(owner, namespace).await
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.sources.turns.take(owner).await;
        if self.layout.is_half_purged(owner).await? {
            return self.layout.place(owner).delete().await;
        }
        let (place, record) = self.layout.retained(owner).await?;
        self.take_down(&place, &record).await?;
        place.delete().await
    }
}

/// A file system is not a device's content, nor the other way round.
fn same_mode(there: VolumeMode, wanted: VolumeMode) -> Result<(), Error> {
    if there == wanted {
        return Ok(());
    }
    Err(Error::invalid(format!("the data is that of a Volume with `volumeMode: {there:?}`; make one with that")))
}

/// What the host said to a mount that it refused; `None` where it was not even asked.
fn reason(error: &Error) -> Option<String> {
    let Error::Failed { source, .. } = error else { return None };
    match source.downcast_ref() {
        Some(ToolError::Refused { output, .. }) => Some(output.split_whitespace().collect::<Vec<_>>().join(" ")),
        _ => None,
    }
}

/// Names the path in what went wrong with it.
fn trouble(action: &str, path: &Path) -> impl FnOnce(std::io::Error) -> Error {
    let action = format!("{action} `{}`", path.display());
    move |error| Error::failed(action, error)
}
