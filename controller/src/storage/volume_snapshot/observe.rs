//! Looks at what concerns a VolumeSnapshot: the real one, and the Volume that it is of.

use controller_backend::{Owner, Snapshot, SnapshotSource};
use crds::storage::volume_snapshot::VolumeSnapshot;
use kube::ResourceExt;

use super::VolumeSnapshotKind;
use crate::runtime::{Failure, Goal, uid_of};
use crate::storage;

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
    pub(crate) subject: Subject,
}

/// What a snapshot is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Subject {
    /// It isn't there, or not whole: a sentence.
    Missing(String),
    /// Where the data comes from.
    There(SnapshotSource),
}

pub(super) async fn observe(
    kind: &VolumeSnapshotKind,
    goal: Goal,
    snapshot: &VolumeSnapshot,
) -> Result<Observed, Failure> {
    let world = &kind.world;
    world.gate.check()?;
    let owner = world.owner(snapshot);
    let real = world.backend().snapshots.find(owner.uid).await.map_err(Failure::backend("look for the snapshot"))?;
    // Of no account once it is there, or not wanted.
    let subject = if real.is_some() || goal == Goal::Absent {
        Subject::There(SnapshotSource::Retained(owner.uid))
    } else if let Some(uid) = &snapshot.spec.retained {
        retained(kind, &owner, uid).await?
    } else {
        // The schema says that it is one of the two.
        volume(kind, &owner, snapshot.spec.volume.as_deref().unwrap_or_default()).await?
    };
    let leftovers = goal == Goal::Absent && !kind.removals.contains(owner.uid);
    Ok(Observed { snapshot: real, leftovers, subject, owner })
}

async fn volume(kind: &VolumeSnapshotKind, owner: &Owner, name: &str) -> Result<Subject, Failure> {
    let world = &kind.world;
    let Some(volume) = world.stores.volumes.get(&owner.namespace, name) else {
        return Ok(Subject::Missing(format!("Volume `{name}` does not exist.")));
    };
    let uid = uid_of(volume.as_ref());
    let real = world.backend().volumes.find(uid).await.map_err(Failure::backend("look for the volume"))?;
    Ok(match real {
        Some(_) => Subject::There(SnapshotSource::Volume(uid)),
        None => Subject::Missing(format!("Volume `{name}` is not ready.")),
    })
}

/// Data without an object. That of other namespaces is not told of.
async fn retained(kind: &VolumeSnapshotKind, owner: &Owner, named: &str) -> Result<Subject, Failure> {
    let (stores, snapshots) = (&kind.world.stores, &kind.world.backend().snapshots);
    let missing = || Ok(Subject::Missing(storage::no_retained_data(named, &owner.namespace)));
    let Ok(uid) = named.parse() else { return missing() };
    let real = snapshots.find(uid).await.map_err(Failure::backend("look for the retained snapshot"))?;
    let Some(real) = real.filter(|real| real.owner.namespace == owner.namespace) else { return missing() };
    if let Some(snapshot) = stores.volume_snapshots.of_uid(uid) {
        return Ok(Subject::Missing(format!("The data `{uid}` is that of VolumeSnapshot `{}`.", snapshot.name_any())));
    }
    if real.retained { Ok(Subject::There(SnapshotSource::Retained(uid))) } else { missing() }
}
