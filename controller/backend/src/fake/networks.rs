//! The rules of networks at the fake engine.

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::world::World;
use crate::{Conflict, Error, Happening, Network, NetworkSpec, Networks, OccupiedRange};

#[async_trait]
impl Networks for View {
    async fn list(&self) -> Result<Vec<Network>, Error> {
        self.perform(Operation::ListNetworks, |world, installation| {
            Ok(world.networks.values().filter(|network| network.owner.installation == installation).cloned().collect())
        })
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Network>, Error> {
        self.perform(Operation::FindNetwork, |world, installation| {
            Ok(world.networks.get(&owner).filter(|network| network.owner.installation == installation).cloned())
        })
    }

    async fn ensure(&self, spec: &NetworkSpec) -> Result<Network, Error> {
        self.perform(Operation::EnsureNetwork, |world, _| ensure(world, spec))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveNetwork, |world, installation| {
            let Some(network) = world.networks.get(&owner) else { return Ok(()) };
            if network.owner.installation != installation {
                return Ok(());
            }
            let what = format!("network of {}", network.owner);
            let mut users: Vec<String> = world
                .addresses
                .range((owner, std::net::Ipv4Addr::UNSPECIFIED)..=(owner, std::net::Ipv4Addr::BROADCAST))
                .filter_map(|(_, id)| world.machines.get(id))
                .map(|fake| fake.machine.name.clone())
                .collect();
            if !users.is_empty() {
                users.sort_unstable();
                return Err(Error::conflict(Conflict::InUse { what, users }));
            }
            if let Some(network) = world.networks.remove(&owner) {
                world.tell(network.owner, Happening::Removed);
            }
            Ok(())
        })
    }

    async fn occupied_ranges(&self) -> Result<Vec<OccupiedRange>, Error> {
        self.perform(Operation::OccupiedRanges, |world, installation| {
            let routes = world.routes.keys().map(|cidr| OccupiedRange { cidr: *cidr, owner: None });
            let networks = world.networks.values().map(|network| OccupiedRange {
                cidr: network.cidr,
                owner: (network.owner.installation == installation).then_some(network.owner.uid),
            });
            let mut ranges: Vec<OccupiedRange> = routes.chain(networks).collect();
            ranges.sort_unstable();
            Ok(ranges)
        })
    }
}

fn ensure(world: &mut World, spec: &NetworkSpec) -> Result<Network, Error> {
    if !spec.cidr.contains(&spec.gateway) {
        return Err(Error::invalid(format!("gateway {} is not in {}", spec.gateway, spec.cidr)));
    }
    if let Some(found) = world.networks.get(&spec.owner.uid) {
        return match found.difference(spec) {
            None => Ok(found.clone()),
            Some(field) => Err(Error::conflict(Conflict::Different {
                what: format!("network of {}", spec.owner),
                field: field.to_owned(),
            })),
        };
    }
    if world.networks.values().any(|other| other.bridge == spec.bridge) {
        return Err(Error::conflict(Conflict::NameTaken { name: spec.bridge.clone() }));
    }
    let overlaps = |other: &ipnet::Ipv4Net| other.contains(&spec.cidr) || spec.cidr.contains(other);
    if world.networks.values().any(|other| overlaps(&other.cidr)) || world.routes.keys().any(overlaps) {
        return Err(Error::conflict(Conflict::RangeTaken { cidr: spec.cidr }));
    }
    let network = Network {
        id: format!("network-{:08}", world.next_number()),
        owner: spec.owner.clone(),
        cidr: spec.cidr,
        gateway: spec.gateway,
        internal: spec.internal,
        bridge: spec.bridge.clone(),
    };
    world.networks.insert(spec.owner.uid, network.clone());
    world.tell(spec.owner.clone(), Happening::Created);
    Ok(network)
}
