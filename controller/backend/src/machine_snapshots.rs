//! The port for snapshots of machines: what a machine's own disk held at a moment. They are data: removed by an explicit
//! uid, never swept.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Error, Image, MachineId, Owner, Progress};

/// Takes and removes snapshots of the machines of one installation.
///
/// # Guarantees
/// - A snapshot holds what the machine wrote on its own disk, at one moment; nothing of what is mounted into it, and
///   nothing of its environment and command, which may be secret.
/// - One that was cut off anywhere is not there, and is taken afresh by the next `ensure`.
/// - The machine goes on, and neither what becomes of it nor of what it was made from changes the snapshot.
/// - It never changes: each machine that is made from it writes elsewhere.
/// - A reference that a user writes never finds it, whatever namespace it is of.
#[async_trait]
pub trait MachineSnapshots: Send + Sync {
    /// All snapshots of the installation, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<MachineSnapshot>, Error>;

    /// The snapshot of one owner. One that is being taken is not there yet.
    async fn find(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error>;

    /// Takes the snapshot unless it exists, and tells on the way how far it is where that is known. It takes as long as
    /// copying the data does; dropping the call ends it.
    ///
    /// # Errors
    /// `NotFound` if there is no such machine.
    async fn ensure(&self, spec: &MachineSnapshotSpec, progress: &Progress) -> Result<MachineSnapshot, Error>;

    /// Removes a snapshot, also a half-taken one; `Ok` if there is none.
    ///
    /// # Errors
    /// `Conflict` (`InUse`) names the machines that were made from it.
    async fn remove(&self, owner: Uuid) -> Result<(), Error>;

    /// Has the guest go on that a snapshot froze which was cut off; `Ok` if there is none, or none that is frozen.
    ///
    /// # Errors
    /// `Failed` if nobody in the guest answers: it may still be frozen.
    async fn thaw(&self, machine: &MachineId) -> Result<(), Error>;

    /// Whether a snapshot has held the machine still at any moment since then: it may not have answered for that.
    fn held_still(&self, machine: &MachineId, since: Instant) -> bool;
}

/// What a snapshot should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSnapshotSpec {
    /// The marks.
    pub owner: Owner,
    /// The machine that it is of; of no account once it is there.
    pub machine: MachineId,
}

/// In which state the data was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Consistency {
    /// The machine didn't run.
    AtRest,
    /// It was held back from writing, and all that it had written by then is there.
    Frozen,
    /// It went on writing: as after a power cut.
    Crash,
}

/// A snapshot as it exists: a whole one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineSnapshot {
    /// The marks.
    pub owner: Owner,
    /// What machines are made from: they name it by its id.
    pub image: Image,
    /// The size of the disk, for machines that have one of their own.
    pub disk_bytes: Option<u64>,
    /// In which state the data was.
    pub consistency: Consistency,
}
