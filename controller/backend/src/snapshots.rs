//! The port for snapshots of volumes. They are data: removed by an explicit uid, never swept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Owner, VolumeMode};

/// Takes and removes snapshots of the volumes of one installation.
///
/// # Guarantees
/// - A snapshot is what the volume held at one moment, also while machines write: all that was written and synced before
///   is in it, and its file system is as after a power cut or better.
/// - One that was cut off anywhere is not there, and is taken afresh by the next `ensure`.
/// - It is independent of the volume: neither writing to it nor removing it changes the snapshot.
/// - However a process that takes one ends, the volume can be written to again within a bounded time.
#[async_trait]
pub trait Snapshots: Send + Sync {
    /// All snapshots of the installation, retained ones included, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<Snapshot>, Error>;

    /// The snapshot of one owner, retained or not. One that is being taken is not there yet.
    async fn find(&self, owner: Uuid) -> Result<Option<Snapshot>, Error>;

    /// Takes the snapshot unless it exists, and tells on the way how far it is. It takes as long as copying the data
    /// does, where nothing quicker is possible; dropping the call ends it.
    ///
    /// # Errors
    /// `NotFound` if what it is of does not exist. `Conflict` (`State`) if it is to adopt what is not retained.
    async fn ensure(&self, spec: &SnapshotSpec, progress: &Progress) -> Result<Snapshot, Error>;

    /// Removes a snapshot, also a half-taken one; `Ok` if there is none.
    async fn remove(&self, owner: Uuid) -> Result<(), Error>;

    /// Marks the snapshot as kept when its object went.
    ///
    /// # Errors
    /// `NotFound` if there is none.
    async fn retain(&self, owner: Uuid) -> Result<(), Error>;

    /// Marks a retained snapshot as of another namespace, so that it can be adopted there.
    ///
    /// # Errors
    /// `NotFound` if there is none. `Conflict` (`State`) if it is not retained.
    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error>;

    /// Removes a retained snapshot for good.
    ///
    /// # Errors
    /// `NotFound` if there is none. `Conflict` (`State`) if it is not retained; nothing is removed then.
    async fn purge(&self, owner: Uuid) -> Result<(), Error>;
}

/// What a snapshot should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSpec {
    /// The marks.
    pub owner: Owner,
    /// Where its data comes from; of no account once it is there.
    pub source: SnapshotSource,
}

/// Where the data of a snapshot comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotSource {
    /// What the volume of this owner holds.
    Volume(Uuid),
    /// The retained snapshot of this owner itself: it is the new owner's from then on, at one stroke.
    Retained(Uuid),
}

/// A snapshot as it exists: a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    /// The marks.
    pub owner: Owner,
    /// The size of the volume at that moment.
    pub size_bytes: u64,
    /// The bytes that it takes on the host, shared ones included.
    pub used_bytes: u64,
    /// Whether it was kept when its object went.
    pub retained: bool,
    /// How machines saw the volume.
    pub mode: VolumeMode,
}

/// How far a copy is, for whoever waits. Cloning shares the count.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<Count>);

#[derive(Debug, Default)]
struct Count {
    done: AtomicU64,
    total: AtomicU64,
}

impl Progress {
    /// So many bytes are to be copied.
    pub fn begin(&self, total: u64) {
        self.0.done.store(0, Ordering::Relaxed);
        self.0.total.store(total, Ordering::Relaxed);
    }

    /// So many more are copied.
    pub fn add(&self, bytes: u64) {
        self.0.done.fetch_add(bytes, Ordering::Relaxed);
    }

    /// All of it is.
    pub fn complete(&self) {
        let total = self.0.total.load(Ordering::Relaxed).max(1);
        self.0.total.store(total, Ordering::Relaxed);
        self.0.done.store(total, Ordering::Relaxed);
    }

    /// In percent; `None` before it begins.
    pub fn percent(&self) -> Option<u8> {
        let (done, total) = (self.0.done.load(Ordering::Relaxed), self.0.total.load(Ordering::Relaxed));
        let percent = done.saturating_mul(100).checked_div(total)?;
        Some(u8::try_from(percent.min(100)).unwrap_or(100))
    }
}
