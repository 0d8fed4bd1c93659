//! Does one step for an InstanceSnapshot. Taking one may take long: how far it is goes into the status meanwhile, and it
//! ends when the object is deleted.

use std::time::Duration;

use controller_backend::{Backend, MachineSnapshotSpec, Progress};
use crds::compute::instance_snapshot::InstanceSnapshot;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::{InstanceSnapshotKind, Step};
use crate::runtime::{Applied, Failure, uid_of};

/// How often the status tells how far it is.
const TELL: Duration = Duration::from_secs(1);

pub(super) async fn apply(
    kind: &InstanceSnapshotKind,
    snapshot: &InstanceSnapshot,
    step: &Step,
) -> Result<Applied<InstanceSnapshot>, Failure> {
    // The plan has a step only where the status says which one it is.
    let backend = snapshot.status.as_ref().and_then(|status| status.backend).ok_or(Failure::Stale)?;
    let backend = kind.world.backend_named(backend)?;
    match step {
        Step::Take(spec) => take(kind, backend, snapshot, spec).await,
        Step::Remove => {
            let uid = uid_of(snapshot);
            backend.machine_snapshots.remove(uid).await.map_err(Failure::backend("remove the snapshot"))?;
            kind.removals.remember(uid);
            Ok(Applied::telling("Removed", "The snapshot is removed."))
        }
    }
}

async fn take(
    kind: &InstanceSnapshotKind,
    backend: &Backend,
    snapshot: &InstanceSnapshot,
    spec: &MachineSnapshotSpec,
) -> Result<Applied<InstanceSnapshot>, Failure> {
    let world = &kind.world;
    let progress = Progress::default();
    let mut taking = backend.machine_snapshots.ensure(spec, &progress);
    let mut written: Option<InstanceSnapshot> = None;
    let mut told = None;
    loop {
        tokio::select! {
            biased;
            taken = &mut taking => {
                taken.map_err(Failure::backend("take the snapshot"))?;
                let message = format!("The snapshot of Instance `{}` is ready.", snapshot.spec.instance);
                return Ok(Applied { object: written, ..Applied::telling("Taken", message) });
            }
            () = tokio::time::sleep(TELL) => {}
        }
        let (namespace, name) = (snapshot.namespace().unwrap_or_default(), snapshot.name_any());
        let now = world.stores.instance_snapshots.get(&namespace, &name);
        if now.is_none_or(|now| uid_of(&*now) != uid_of(snapshot) || now.meta().deletion_timestamp.is_some()) {
            return Err(Failure::Stale);
        }
        if told != progress.percent() {
            told = progress.percent();
            let status = json!({"phase": "Taking", "progress": told});
            // Somebody else may have changed the object: that it goes on is more important than to tell how far it is.
            if let Ok(object) = world.patch_status(written.as_ref().unwrap_or(snapshot), status).await {
                world.stores.instance_snapshots.remember(object.clone());
                written = Some(object);
            }
        }
    }
}
