//! Looks at what concerns a VolumeSnapshot: the real one, and the Volume that it is of.

use controller_backend::{Owner, Snapshot};
use crds::storage::volume_snapshot::VolumeSnapshot;
use uuid::Uuid;

use super::VolumeSnapshotKind;
use crate::runtime::{Failure, Goal, uid_of};

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// The real snapshot, if it is there: a whole one.
    pub(crate) snapshot: Option<Snapshot>,
    /// Whether a half-taken one may be there, which can't be seen.
    pub(crate) leftovers: bool,
    /// What it is of.
    pub(crate) volume: Subject,
}

/// The Volume that a snapshot is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    /// It does not exist.
    Missing,
    /// There is no data behind it yet.
    Unmade,
    /// Its owner's uid.
    There(Uuid),
}

pub(super) async fn observe(
    kind: &VolumeSnapshotKind,
    goal: Goal,
    snapshot: &VolumeSnapshot,
) -> Result<Observed, Failure> {
    let world = &kind.world;
    world.gate.check()?;
    let owner = world.owner(snapshot);
    let (snapshots, volumes) = (&world.backend().snapshots, &world.backend().volumes);
    let real = snapshots.find(owner.uid).await.map_err(Failure::backend("look for the snapshot"))?;
    let volume = match world.stores.volumes.get(&owner.namespace, &snapshot.spec.volume).map(|volume| uid_of(&*volume))
    {
        None => Subject::Missing,
        // Of no account any more.
        Some(uid) if real.is_some() || goal == Goal::Absent => Subject::There(uid),
        Some(uid) => match volumes.find(uid).await.map_err(Failure::backend("look for the volume"))? {
            Some(_) => Subject::There(uid),
            None => Subject::Unmade,
        },
    };
    let leftovers = goal == Goal::Absent && !kind.was_removed(owner.uid);
    Ok(Observed { snapshot: real, leftovers, volume, owner })
}
