//! The port for volumes: data that outlives machines. Data is only ever removed by an explicit uid; nothing here
//! sweeps.

use std::path::PathBuf;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Owner};

/// The smallest volume, in bytes: less does not hold a file system with a journal.
pub const SMALLEST_VOLUME: u64 = 16 << 20;

/// Makes, grows and removes volumes of one installation.
///
/// # Guarantees
/// - `ensure` that was cut off anywhere is completed by the next; a volume is never handed out half made, and an
///   existing file system is never formatted again.
/// - The size is enforced: writing past it fails as a full disk does. Where the host can't do that, the volume says so, and
///   is of use all the same.
/// - A machine never starts on a volume whose storage is not there.
#[async_trait]
pub trait Volumes: Send + Sync {
    /// All volumes of the installation, retained ones included, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<Volume>, Error>;

    /// The volume of one owner, retained or not. A half-made one is not there yet.
    async fn find(&self, owner: Uuid) -> Result<Option<Volume>, Error>;

    /// Makes the volume unless it exists, grows it if it is smaller, and makes it ready for machines.
    ///
    /// # Errors
    /// `Invalid` if it would shrink, is too small to hold a file system or what it is made from, or has another mode than
    /// that or than it has. `NotFound` if what
    /// it is made from does not exist. `Conflict` (`State`) if it is to adopt what is not retained.
    async fn ensure(&self, spec: &VolumeSpec) -> Result<Volume, Error>;

    /// Removes a volume and its data; `Ok` if there is none.
    ///
    /// # Errors
    /// `Conflict` (`InUse`) while a machine, running or not, has it; nothing is removed then.
    async fn remove(&self, owner: Uuid) -> Result<(), Error>;

    /// Keeps the data and takes down all the rest (mounts, devices, handles), so that it outlives its object.
    ///
    /// # Errors
    /// `NotFound` if there is none. `Conflict` (`InUse`) while a machine has it.
    async fn retain(&self, owner: Uuid) -> Result<(), Error>;

    /// Marks retained data as of another namespace, so that it can be adopted there.
    ///
    /// # Errors
    /// `NotFound` if there is none. `Conflict` (`State`) if it is not retained.
    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error>;

    /// Removes retained data for good.
    ///
    /// # Errors
    /// `NotFound` if there is none. `Conflict` (`State`) if it is not retained; nothing is removed then.
    async fn purge(&self, owner: Uuid) -> Result<(), Error>;
}

/// What a volume should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// The marks.
    pub owner: Owner,
    /// Its size, file system included.
    pub size_bytes: u64,
    /// How machines see it; it never changes.
    pub mode: VolumeMode,
    /// What it holds when it is made; of no account once it is.
    pub source: Option<VolumeSource>,
}

/// How machines see a volume.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum VolumeMode {
    /// As a directory.
    #[default]
    Filesystem,
    /// As a device, which the host never looks into.
    Block,
}

/// What a volume holds when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum VolumeSource {
    /// The snapshot of this owner.
    Snapshot(Uuid),
    /// What the volume of this owner holds at one moment.
    Volume(Uuid),
    /// The retained volume of this owner itself, with its data: it is the new owner's from then on, at one stroke.
    Retained(Uuid),
}

/// A volume as it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Volume {
    /// The marks; of one that was adopted a moment ago, perhaps still the name that it had.
    pub owner: Owner,
    /// Its size, file system included.
    pub size_bytes: u64,
    /// How much of it is used; known while it is ready.
    pub used_bytes: Option<u64>,
    /// Whether machines can be started on it now.
    pub ready: bool,
    /// Whether it was kept when its object went.
    pub retained: bool,
    /// The directory of the host that holds its files, while it is ready and where it has one.
    pub directory: Option<PathBuf>,
    /// The device of the host that holds its data, while it is ready and where it is one.
    pub device: Option<PathBuf>,
    /// How machines see it.
    pub mode: VolumeMode,
    /// Why its size is not enforced; `None` if it is.
    pub unenforced: Option<String>,
}
