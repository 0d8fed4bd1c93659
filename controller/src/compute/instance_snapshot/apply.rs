//! Does one step for an InstanceSnapshot. Taking one may take long: how far it is goes into the status meanwhile, and it
//! ends when the object is deleted.

use controller_backend::{Backend, MachineSnapshotSpec, Progress};
use crds::compute::instance_snapshot::InstanceSnapshot;

use super::{InstanceSnapshotKind, Step};
use crate::runtime::{Applied, Failure, uid_of};
use crate::slow::tell_progress;
use crate::storage;

pub(super) async fn apply(
    kind: &InstanceSnapshotKind,
    snapshot: &InstanceSnapshot,
    step: &Step,
) -> Result<Applied<InstanceSnapshot>, Failure> {
    // The plan has a step only where the status says which one it is.
    let backend = snapshot.status.as_ref().and_then(|status| status.backend).ok_or(Failure::Stale)?;
    let backend = kind.world.backend_named(backend)?;
    let (snapshots, uid) = (&backend.machine_snapshots, uid_of(snapshot));
    match step {
        Step::Take(spec) => take(kind, backend, snapshot, spec).await,
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
    kind: &InstanceSnapshotKind,
    backend: &Backend,
    snapshot: &InstanceSnapshot,
    spec: &MachineSnapshotSpec,
) -> Result<Applied<InstanceSnapshot>, Failure> {
    let (world, progress) = (&kind.world, Progress::default());
    let taking = backend.machine_snapshots.ensure(spec, &progress);
    let store = &world.stores.instance_snapshots;
    let (taken, written) =
        tell_progress::<InstanceSnapshotKind, _>(world, store, snapshot, "Taking", &progress, taking).await?;
    taken.map_err(Failure::backend("take the snapshot"))?;
    let done = match &snapshot.spec.instance {
        Some(instance) => Applied::telling("Taken", format!("The snapshot of Instance `{instance}` is ready.")),
        None => Applied::telling("Adopted", "The retained data is this snapshot's."),
    };
    Ok(Applied { object: written, ..done })
}
