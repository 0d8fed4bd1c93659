//! Looks at what concerns a Volume: the real one, and the Instances that have it.

use controller_backend::{Owner, Volume as RealVolume};
use crds::storage::volume::Volume;
use kube::ResourceExt;

use super::VolumeKind;
use crate::runtime::{Failure, Goal};

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// The real volume, if it is there.
    pub(crate) volume: Option<RealVolume>,
    /// Whether a half-made one may be there, which can't be seen.
    pub(crate) leftovers: bool,
    /// The names of the Instances that have it, sorted.
    pub(crate) users: Vec<String>,
}

pub(super) async fn observe(kind: &VolumeKind, goal: Goal, volume: &Volume) -> Result<Observed, Failure> {
    let world = &kind.world;
    world.gate.check()?;
    let owner = world.owner(volume);
    let real = world.backend().volumes.find(owner.uid).await.map_err(Failure::backend("look for the volume"))?;
    let name = volume.name_any();
    let users = world
        .stores
        .instances
        .in_namespace(&owner.namespace)
        .iter()
        .filter(|instance| instance.volumes().contains_key(name.as_str()))
        .filter(|instance| instance.status.as_ref().is_some_and(|status| status.machine_id.is_some()))
        .map(|instance| instance.name_any())
        .collect();
    let leftovers = goal == Goal::Absent && !kind.was_removed(owner.uid);
    Ok(Observed { volume: real, leftovers, users, owner })
}
