//! Looks at what concerns a Volume: the real one, and the Instances that have it.

use controller_backend::{Owner, Volume as RealVolume, VolumeSource};
use crds::storage::volume::{Volume, VolumeSource as Named};
use kube::ResourceExt;

use super::VolumeKind;
use crate::compute::instance::index;
use crate::runtime::{Failure, Goal, uid_of};
use crate::storage;

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
    /// What it is made from, if it is not there yet.
    pub(crate) source: Option<Source>,
}

/// What a Volume is made from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Source {
    /// It is there, with this size.
    There {
        /// Which one.
        source: VolumeSource,
        /// For people.
        name: String,
        /// Its size.
        size_bytes: u64,
    },
    /// It isn't there, or not whole: a sentence.
    Missing(String),
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
        .by_index(index::VOLUME, format!("{}/{name}", owner.namespace))
        .iter()
        .filter(|instance| {
            let Some(status) = &instance.status else { return false };
            // A guest may still have what its Instance mounts no more.
            let has = status.volumes.contains(&name);
            has || status.machine_id.is_some() && instance.volumes().contains_key(name.as_str())
        })
        .map(|instance| instance.name_any())
        .collect();
    let leftovers = goal == Goal::Absent && !kind.removals.contains(owner.uid);
    let source = match &volume.spec.source {
        Some(named) if goal == Goal::Present && real.is_none() => Some(look_for(kind, &owner, named).await?),
        _ => None,
    };
    Ok(Observed { volume: real, leftovers, users, source, owner })
}

/// Data without an object. That of other namespaces is not told of.
async fn retained(kind: &VolumeKind, owner: &Owner, named: &str) -> Result<Source, Failure> {
    let (stores, volumes) = (&kind.world.stores, &kind.world.backend().volumes);
    let missing = || Ok(Source::Missing(storage::no_retained_data(named, &owner.namespace)));
    let Ok(uid) = named.parse() else { return missing() };
    let real = volumes.find(uid).await.map_err(Failure::backend("look for the retained volume"))?;
    let Some(real) = real.filter(|real| real.owner.namespace == owner.namespace) else { return missing() };
    if let Some(volume) = stores.volumes.of_uid(uid) {
        return Ok(Source::Missing(format!("The data `{uid}` is that of Volume `{}`.", volume.name_any())));
    }
    if !real.retained {
        return missing();
    }
    let name = format!("the retained data `{uid}`");
    Ok(Source::There { source: VolumeSource::Retained(uid), name, size_bytes: real.size_bytes })
}

async fn look_for(kind: &VolumeKind, owner: &Owner, named: &Named) -> Result<Source, Failure> {
    let (stores, backend) = (&kind.world.stores, kind.world.backend());
    if let Some(name) = &named.snapshot {
        let Some(snapshot) = stores.volume_snapshots.get(&owner.namespace, name) else {
            return Ok(Source::Missing(format!("VolumeSnapshot `{name}` does not exist.")));
        };
        let uid = uid_of(snapshot.as_ref());
        let real = backend.snapshots.find(uid).await.map_err(Failure::backend("look for the snapshot"))?;
        return Ok(match real {
            Some(real) => Source::There {
                source: VolumeSource::Snapshot(uid),
                name: format!("VolumeSnapshot `{name}`"),
                size_bytes: real.size_bytes,
            },
            None => Source::Missing(format!("VolumeSnapshot `{name}` is not ready.")),
        });
    }
    if let Some(uid) = &named.retained {
        return retained(kind, owner, uid).await;
    }
    // The schema says that it is one of them.
    let name = named.volume.as_deref().unwrap_or_default();
    let Some(volume) = stores.volumes.get(&owner.namespace, name).filter(|other| uid_of(other.as_ref()) != owner.uid)
    else {
        return Ok(Source::Missing(format!("Volume `{name}` does not exist.")));
    };
    let uid = uid_of(volume.as_ref());
    let real = backend.volumes.find(uid).await.map_err(Failure::backend("look for the volume"))?;
    Ok(match real {
        Some(real) => Source::There {
            source: VolumeSource::Volume(uid),
            name: format!("Volume `{name}`"),
            size_bytes: real.size_bytes,
        },
        None => Source::Missing(format!("Volume `{name}` is not ready.")),
    })
}
