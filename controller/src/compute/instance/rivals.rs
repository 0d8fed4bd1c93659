//! Looks who stands in the way of the Volumes that an Instance wants.

use std::collections::{BTreeMap, BTreeSet};

use controller_backend::{MachineSummary, Owner};
use crds::compute::instance::{BackendName, Instance, PowerState};
use jiff::Timestamp;
use kube::{Resource, ResourceExt};
use uuid::Uuid;

use super::index;
use super::observe::{Target, volumes};
use crate::runtime::{Failure, uid_of};
use crate::world::World;

/// Who stands in the way of the Volumes: one machine writes to a Volume, unless every mount of it is read-only. Who
/// has it keeps it; else the oldest Instance gets it.
pub(super) async fn rivals(
    world: &World,
    instance: &Instance,
    owner: &Owner,
    volumes: &BTreeMap<String, Target<Uuid>>,
) -> Result<BTreeMap<String, String>, Failure> {
    let mut rivals = BTreeMap::new();
    let wanted = instance.volumes();
    if wanted.is_empty() {
        return Ok(rivals);
    }
    // All that have or want one of them, by name.
    let mut others = BTreeMap::new();
    for name in wanted.keys() {
        let users = world.stores.instances.by_index(index::VOLUME, format!("{}/{name}", owner.namespace));
        others.extend(users.into_iter().map(|other| (other.name_any(), other)));
    }
    others.retain(|_, other| uid_of(other.as_ref()) != owner.uid);
    let machines = machines_of(world, owner).await?;
    for (name, read_only) in &wanted {
        let Some(volume) = volumes.get(*name).and_then(Target::known) else { continue };
        let holds =
            |uid: Uuid| machines.iter().any(|machine| machine.owner.uid == uid && machine.volumes.contains(volume));
        // Those whose machine has it, whatever their spec says by now.
        let holder = machines.iter().find(|machine| {
            let uid = machine.owner.uid;
            let shares = || {
                let other = others_volumes(world, &machine.owner);
                *read_only && other.as_ref().is_some_and(|volumes| volumes.get(*name) == Some(&true))
            };
            uid != owner.uid && machine.volumes.contains(volume) && !shares()
        });
        if let Some(holder) = holder {
            rivals.insert((*name).to_owned(), holder.owner.name.clone());
            continue;
        }
        if holds(owner.uid) {
            continue;
        }
        let older = others.values().find(|other| {
            let shares = *read_only && other.volumes().get(*name) == Some(&true);
            let wants = other.volumes().contains_key(*name) && other.spec.power_state != PowerState::Stopped;
            wants && !shares && other.meta().deletion_timestamp.is_none() && age(other) < age(instance)
        });
        if let Some(older) = older {
            rivals.insert((*name).to_owned(), older.name_any());
        }
    }
    Ok(rivals)
}

/// Whether one of these Volumes is another's by now.
pub(super) async fn is_taken(world: &World, instance: &Instance, taken: &BTreeSet<Uuid>) -> Result<bool, Failure> {
    let owner = world.owner(instance);
    let volumes = volumes(world, instance, &owner.namespace);
    let rivals = rivals(world, instance, &owner, &volumes).await?;
    let mut theirs = rivals.keys().filter_map(|name| volumes.get(name)?.known());
    Ok(theirs.any(|volume| taken.contains(volume)))
}

/// All machines that may have a Volume of this namespace. Those that aren't containers are asked for only where there
/// may be any, so that nobody waits for an engine that has nothing to do with it.
async fn machines_of(world: &World, owner: &Owner) -> Result<Vec<MachineSummary>, Failure> {
    let failed = Failure::backend;
    let mut machines = world.backend().machines.list().await.map_err(failed("list the machines"))?;
    let others = world.stores.instances.in_namespace(&owner.namespace);
    let is_virtual = |other: &Instance| {
        let is_made = other.status.as_ref().is_some_and(|status| status.machine_id.is_some());
        is_made && uid_of(other) != owner.uid && world.backend_name(other) == BackendName::Libvirt
    };
    if let Some(other) = others.iter().find(|other| is_virtual(other)) {
        machines.extend(world.backend_of(other)?.machines.list().await.map_err(failed("list the machines"))?);
    }
    Ok(machines)
}

/// What an Instance of these marks mounts, if it is still there.
fn others_volumes(world: &World, owner: &Owner) -> Option<BTreeMap<String, bool>> {
    let other = world.stores.instances.get(&owner.namespace, &owner.name)?;
    (uid_of(other.as_ref()) == owner.uid)
        .then(|| other.volumes().into_iter().map(|(name, read_only)| (name.to_owned(), read_only)).collect())
}

fn age(instance: &Instance) -> (Option<Timestamp>, String) {
    (instance.meta().creation_timestamp.as_ref().map(|time| time.0), instance.name_any())
}
