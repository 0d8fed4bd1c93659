//! Does one step for a VolumeSnapshot. Taking one may take long: how far it is goes into the status meanwhile, and it ends
//! when the object is deleted.

use std::time::Duration;

use controller_backend::{Progress, SnapshotSpec};
use crds::storage::volume_snapshot::VolumeSnapshot;
use kube::{Resource, ResourceExt};
use serde_json::json;

use super::{Step, VolumeSnapshotKind};
use crate::runtime::{Applied, Failure, uid_of};
use crate::storage;

/// How often the status tells how far it is.
const TELL: Duration = Duration::from_secs(1);

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
            kind.remember_removed(uid);
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
    let world = &kind.world;
    let progress = Progress::default();
    let mut taking = world.backend().snapshots.ensure(spec, &progress);
    let mut written: Option<VolumeSnapshot> = None;
    let mut told = None;
    loop {
        tokio::select! {
            biased;
            taken = &mut taking => {
                taken.map_err(Failure::backend("take the snapshot"))?;
                let done = match &snapshot.spec.volume {
                    Some(volume) => Applied::telling("Taken", format!("The snapshot of Volume `{volume}` is ready.")),
                    None => Applied::telling("Adopted", "The retained data is this snapshot's."),
                };
                return Ok(Applied { object: written, ..done });
            }
            () = tokio::time::sleep(TELL) => {}
        }
        let (namespace, name) = (snapshot.namespace().unwrap_or_default(), snapshot.name_any());
        let now = world.stores.volume_snapshots.get(&namespace, &name);
        if now.is_none_or(|now| uid_of(&*now) != uid_of(snapshot) || now.meta().deletion_timestamp.is_some()) {
            return Err(Failure::Stale);
        }
        if told != progress.percent() {
            told = progress.percent();
            let status = json!({"phase": "Taking", "progress": told});
            // Somebody else may have changed the object: that it goes on is more important than to tell how far it is.
            if let Ok(object) = world.patch_status(written.as_ref().unwrap_or(snapshot), status).await {
                world.stores.volume_snapshots.remember(object.clone());
                written = Some(object);
            }
        }
    }
}
