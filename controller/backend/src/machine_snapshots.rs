//! The port for snapshots of machines: what a machine's own disk held at a moment. They are data: removed by an explicit
//! uid, never swept.

use async_trait::async_trait;
use jiff::Timestamp;
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
    /// All snapshots of the installation, retained ones included, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<MachineSnapshot>, Error>;

    /// The snapshot of one owner, retained or not. One that is being taken is not there yet.
    async fn find(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error>;

    /// Takes the snapshot unless it exists, and tells on the way how far it is where that is known. It takes as long as
    /// copying the data does; dropping the call ends it.
    ///
    /// # Errors
    /// `NotFound` if what it is of does not exist. `Conflict` (`State`) if it is to adopt what is not retained.
    async fn ensure(&self, spec: &MachineSnapshotSpec, progress: &Progress) -> Result<MachineSnapshot, Error>;

    /// Removes a snapshot, also a half-taken one; `Ok` if there is none.
    ///
    /// # Errors
    /// `Conflict` (`InUse`) names the machines that were made from it.
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
    /// `NotFound` if there is none. `Conflict` (`State`) if it is not retained, (`InUse`) if machines were made from it;
    /// nothing is removed then.
    async fn purge(&self, owner: Uuid) -> Result<(), Error>;

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
    /// Where its data comes from; of no account once it is there and not retained.
    pub source: MachineSnapshotSource,
}

/// Where the data of a snapshot comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MachineSnapshotSource {
    /// The disk of this machine.
    Machine(MachineId),
    /// The retained snapshot of this owner itself: it is the new owner's from then on, at one stroke. Machines that were
    /// made from it go on.
    Retained(Uuid),
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
    /// Whether it was kept when its object went.
    pub retained: bool,
    /// When it was taken, where that is known.
    pub taken_at: Option<Timestamp>,
}
