//! Does one step for a VolumeSnapshot. Taking one may take long: how far it is goes into the status meanwhile, and it ends
//! when the object is deleted.

use controller_backend::{Progress, SnapshotSpec};
use crds::storage::volume_snapshot::VolumeSnapshot;

use super::{Step, VolumeSnapshotKind};
use crate::runtime::{Applied, Failure, uid_of};
use crate::slow::tell_progress;
use crate::storage;

pub(super) async fn apply(
    kind: &VolumeSnapshotKind,
    snapshot: &VolumeSnapshot,
    step: &Step,
) -> Result<Applied<VolumeSnapshot>, Failure> {
    let snapshots = &kind.world.backend().snapshots;
    let uid = uid_of(snapshot);
    match step {
        Step::Take(spec) => take(kind, snapshot, spec).await,
        Step::Remove => {
            snapshots.remove(uid).await.map_err(Failure::backend("remove the snapshot"))?;
            kind.removals.remember(uid);
            Ok(Applied::telling("Removed", "The snapshot is removed."))
        }
        Step::Retain => {
            snapshots.retain(uid).await.map_err(Failure::backend("retain the snapshot"))?;
            Ok(Applied::telling("Retained", storage::is_retained(uid, "retained")))
        }
    }
}

async fn take(
    kind: &VolumeSnapshotKind,
    snapshot: &VolumeSnapshot,
    spec: &SnapshotSpec,
) -> Result<Applied<VolumeSnapshot>, Failure> {
    let (world, progress) = (&kind.world, Progress::default());
    let taking = world.backend().snapshots.ensure(spec, &progress);
    let (taken, written) = tell_progress::<VolumeSnapshotKind, _>(
        world,
        &world.stores.volume_snapshots,
        snapshot,
        "Taking",
        &progress,
        taking,
    )
    .await?;
    taken.map_err(Failure::backend("take the snapshot"))?;
    let done = match &snapshot.spec.volume {
        Some(volume) => Applied::telling("Taken", format!("The snapshot of Volume `{volume}` is ready.")),
        None => Applied::telling("Adopted", "The retained data is this snapshot's."),
    };
    Ok(Applied { object: written, ..done })
}
