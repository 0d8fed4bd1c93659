//! Looks at what concerns a VpcPeering: both sides, and whether they are open to each other by now.

use crds::network::vpc_peering::VpcPeering;

use super::sides::{Sides, sides};
use crate::runtime::Failure;
use crate::world::World;

/// What is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Observed {
    /// How the two sides stand to each other.
    pub(crate) sides: Sides,
    /// Whether the rules in force say so, too.
    pub(crate) in_force: bool,
}

pub(super) fn observe(world: &World, peering: &VpcPeering) -> Result<Observed, Failure> {
    world.gate.check()?;
    let sides = sides(peering, &world.stores.vpcs.all(), &world.stores.vpc_peerings.all());
    let in_force = match sides {
        Sides::Open(one, other) => world.firewall.in_force().rules.peers.contains(&(one.min(other), one.max(other))),
        _ => false,
    };
    Ok(Observed { sides, in_force })
}
