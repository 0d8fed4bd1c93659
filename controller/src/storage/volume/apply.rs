//! Does one step for a Volume.

use crds::storage::volume::Volume;

use super::{Step, VolumeKind};
use crate::runtime::{Applied, Failure, uid_of};
use crate::storage;

pub(super) async fn apply(kind: &VolumeKind, volume: &Volume, step: &Step) -> Result<Applied<Volume>, Failure> {
    let volumes = &kind.world.backend().volumes;
    let uid = uid_of(volume);
    match step {
        Step::Ensure(spec) => {
            volumes.ensure(spec).await.map_err(Failure::backend("make the volume"))?;
            Ok(Applied::telling("Provisioned", format!("The volume is ready, with {}.", volume.spec.size)))
        }
        Step::Remove => {
            volumes.remove(uid).await.map_err(Failure::backend("remove the volume"))?;
            kind.removals.remember(uid);
            Ok(Applied::telling("Removed", "The volume and its data are removed."))
        }
        Step::Retain => {
            volumes.retain(uid).await.map_err(Failure::backend("retain the volume"))?;
            Ok(Applied::telling("Retained", storage::is_retained(uid, "source.retained")))
        }
    }
}
