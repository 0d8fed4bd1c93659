//! Decides where the files of a volume are, by uid, and reads and writes what is known about it:
//!
//! - `disk.ext4`: the data. A volume exists if and only if this does, or `plain/`, where the host can't mount a file.
//!   Of a block volume it is the device's content, whatever that is.
//! - `device`: of a block volume, the link to the device that stands for it now.
//! - `disk.ext4.new`, `seed/`: only while it is being made.
//! - `volume.json`: whose it is and how large, written before the data is.
//! - `mount/`: where it is mounted.
//! - `retained`: there if it was kept when its object went.
//!
//! Those of a snapshot are the same, without a mount.

use std::io;
use std::path::{Path, PathBuf};

use controller_backend::{Conflict, Error, Owner, VolumeMode};
use serde::{Deserialize, Serialize};
use tokio::fs;
use uuid::Uuid;

use super::trouble;
use crate::remap::Root;

/// Where the volumes, or the snapshots, of an installation are.
#[derive(Debug, Clone)]
pub(crate) struct Layout {
    root: PathBuf,
    installation: Uuid,
}

/// Where one volume, or snapshot, is.
#[derive(Debug, Clone)]
pub(super) struct Place {
    owner: Uuid,
    dir: PathBuf,
}

/// What is known about a volume besides its data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    pub(super) owner: Owner,
    /// The size that the file system has been given in full.
    pub(super) size_bytes: u64,
    /// Why the data is in a plain directory, if it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) plain: Option<String>,
    /// Whether machines get a device.
    #[serde(default)]
    pub(super) mode: VolumeMode,
}

impl Record {
    pub(super) fn new(owner: Owner, size_bytes: u64, mode: VolumeMode) -> Self {
        Self { owner, size_bytes, plain: None, mode }
    }
}

impl Layout {
    pub(crate) fn new(root: &Path, installation: Uuid) -> Self {
        Self { root: root.join("volumes"), installation }
    }

    pub(crate) fn of_snapshots(root: &Path, installation: Uuid) -> Self {
        Self { root: root.join("snapshots"), installation }
    }

    pub(super) fn place(&self, owner: Uuid) -> Place {
        Place { owner, dir: self.root.join(owner.to_string()) }
    }

    /// Every place that there is, sorted by uid.
    pub(super) async fn places(&self) -> Result<Vec<Place>, Error> {
        let mut entries = match fs::read_dir(&self.root).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(trouble("read", &self.root)(error)),
        };
        let mut uids = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(trouble("read", &self.root))? {
            uids.extend(entry.file_name().to_str().and_then(|name| name.parse::<Uuid>().ok()));
        }
        uids.sort_unstable();
        Ok(uids.into_iter().map(|uid| self.place(uid)).collect())
    }

    /// What is known about a volume that is made; `None` if it is not.
    ///
    /// # Errors
    /// `Conflict::Foreign` if what is there, made or half made, is another installation's.
    pub(super) async fn record(&self, place: &Place) -> Result<Option<Record>, Error> {
        let path = place.record();
        let is_made = exists(&place.disk()).await? || exists(&place.plain()).await?;
        let text = match fs::read(&path).await {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !is_made => return Ok(None),
            other => other.map_err(trouble("read", &path))?,
        };
        let mut record: Record = serde_json::from_slice(&text)
            .map_err(|error| Error::failed(format!("read `{}`", path.display()), error))?;
        if record.owner.installation != self.installation {
            let what = format!("the data in `{}`", place.dir.display());
            return Err(Error::conflict(Conflict::Foreign { what, installation: record.owner.installation }));
        }
        // Adopted a moment ago, it tells of the owner before.
        record.owner.uid = place.owner;
        Ok(is_made.then_some(record))
    }

    /// Where the retained data of an owner is, and what is known about it.
    ///
    /// # Errors
    /// `NotFound` if there is none, `Conflict` (`State`) if it is not retained.
    pub(super) async fn retained(&self, owner: Uuid) -> Result<(Place, Record), Error> {
        let place = self.place(owner);
        let what = format!("the data of `{owner}`");
        let record = self.record(&place).await?;
        let record = record.ok_or_else(|| Error::not_found(format!("retained data of `{owner}`")))?;
        if place.is_retained().await? {
            Ok((place, record))
        } else {
            Err(Error::conflict(Conflict::State { what, state: "not retained".to_owned() }))
        }
    }

    /// Gives all that is at one place to the owner of another, at one stroke.
    pub(super) async fn transfer(&self, from: &Place, to: &Place) -> Result<(), Error> {
        fs::rename(from.dir(), to.dir()).await.map_err(trouble("rename", from.dir()))?;
        sync(&self.root).await
    }

    /// Whether only traces are left of what was retained: its purge was cut off.
    pub(super) async fn is_half_purged(&self, owner: Uuid) -> Result<bool, Error> {
        let place = self.place(owner);
        Ok(self.record(&place).await?.is_none() && place.is_retained().await?)
    }

    /// Marks retained data as of another namespace.
    pub(super) async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        let (place, mut record) = self.retained(owner).await?;
        namespace.clone_into(&mut record.owner.namespace);
        place.write_record(&record).await
    }
}

impl Place {
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }

    pub(super) fn disk(&self) -> PathBuf {
        self.dir.join("disk.ext4")
    }

    pub(super) fn unfinished_disk(&self) -> PathBuf {
        self.dir.join("disk.ext4.new")
    }

    pub(super) fn seed(&self) -> PathBuf {
        self.dir.join("seed")
    }

    pub(super) fn mount(&self) -> PathBuf {
        self.dir.join("mount")
    }

    /// What machines get of a block volume: it leads to another device after each restart of the host.
    pub(super) fn device(&self) -> PathBuf {
        self.dir.join("device")
    }

    /// The data where no file can be mounted.
    pub(super) fn plain(&self) -> PathBuf {
        self.dir.join("plain")
    }

    /// What containers see; it exists only inside the mounted file system, or in its place.
    pub(super) fn data(&self, record: &Record) -> PathBuf {
        if record.plain.is_some() { self.plain() } else { self.mount().join(DATA) }
    }

    fn record(&self) -> PathBuf {
        self.dir.join("volume.json")
    }

    fn retained(&self) -> PathBuf {
        self.dir.join("retained")
    }

    pub(super) async fn is_retained(&self) -> Result<bool, Error> {
        exists(&self.retained()).await
    }

    pub(super) async fn set_retained(&self, retained: bool) -> Result<(), Error> {
        let path = self.retained();
        if retained {
            fs::write(&path, b"").await.map_err(trouble("write", &path))?;
            sync(&path).await
        } else {
            remove_file(&path).await
        }
    }

    /// Writes what is known: whole or not at all.
    pub(super) async fn write_record(&self, record: &Record) -> Result<(), Error> {
        let path = self.record();
        let unfinished = self.dir.join("volume.json.new");
        let text = serde_json::to_vec_pretty(record)
            .map_err(|error| Error::failed(format!("write `{}`", path.display()), error))?;
        fs::write(&unfinished, text).await.map_err(trouble("write", &unfinished))?;
        sync(&unfinished).await?;
        fs::rename(&unfinished, &path).await.map_err(trouble("write", &path))?;
        sync(&self.dir).await
    }

    /// Makes the directory, with the record of what is going to be in it.
    pub(super) async fn prepare(&self, record: &Record) -> Result<(), Error> {
        let dir = self.dir();
        fs::create_dir_all(dir).await.map_err(trouble("make", dir))?;
        set_mode(dir, 0o700).await?;
        self.write_record(record).await
    }

    /// Gives the whole file its name: from now on it exists.
    pub(super) async fn finish(&self) -> Result<(), Error> {
        let (unfinished, disk) = (self.unfinished_disk(), self.disk());
        set_mode(&unfinished, 0o600).await?;
        sync(&unfinished).await?;
        fs::rename(&unfinished, &disk).await.map_err(trouble("name", &disk))?;
        sync(&self.dir).await
    }

    /// Makes the directory that serves where no file can be mounted: from now on the volume exists.
    pub(super) async fn finish_plain(&self, record: &Record, root: Root) -> Result<(), Error> {
        self.write_record(record).await?;
        let plain = self.plain();
        fs::create_dir(&plain).await.map_err(trouble("make", &plain))?;
        set_mode(&plain, 0o755).await?;
        own(&plain, root).await?;
        sync(&self.dir).await
    }

    /// Deletes all of an unmounted volume, the data first: from then on it does not exist.
    pub(super) async fn delete(&self) -> Result<(), Error> {
        remove_file(&self.disk()).await?;
        let (plain, going) = (self.plain(), self.dir.join("plain.gone"));
        match fs::rename(&plain, &going).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(trouble("rename", &plain)(error)),
            _ => {}
        }
        // Only ever an empty directory: if something is still mounted there, this fails and nothing in it goes.
        match fs::remove_dir(self.mount()).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(trouble("remove", &self.mount())(error));
            }
            _ => {}
        }
        match fs::remove_dir_all(&self.dir).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(trouble("remove", &self.dir)(error)),
            _ => Ok(()),
        }
    }
}

/// The directory inside the file system that containers see.
pub(super) const DATA: &str = "data";

async fn exists(path: &Path) -> Result<bool, Error> {
    fs::try_exists(path).await.map_err(trouble("look for", path))
}

pub(super) async fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).await.map_err(trouble("protect", path))
}

/// Gives it to root of containers, where that is another than the host's.
pub(super) async fn own(path: &Path, root: Root) -> Result<(), Error> {
    if root == Root::default() {
        return Ok(());
    }
    let owned = path.to_owned();
    let done =
        tokio::task::spawn_blocking(move || std::os::unix::fs::chown(&owned, Some(root.uid), Some(root.gid))).await;
    done.unwrap_or_else(|panic| Err(io::Error::other(panic))).map_err(trouble("give to the containers' root", path))
}

pub(super) async fn remove_file(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(trouble("remove", path)(error)),
        _ => Ok(()),
    }
}

/// Makes a file, or the names in a directory, durable.
pub(super) async fn sync(path: &Path) -> Result<(), Error> {
    let file = fs::File::open(path).await.map_err(trouble("open", path))?;
    file.sync_all().await.map_err(trouble("sync", path))
}
