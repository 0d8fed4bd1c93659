//! Looks at what concerns a Vpc: its network, the ranges in use on the host, the other Vpcs and the Instances in it.

use controller_backend::{Network, OccupiedRange, Owner};
use crds::network::vpc::Vpc;
use ipnet::Ipv4Net;
use jiff::Timestamp;
use kube::{Resource, ResourceExt};

use crate::claims::Claim;
use crate::compute::instance::index;
use crate::runtime::{Failure, Goal, uid_of};
use crate::world::World;

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The time.
    pub(crate) now: Timestamp,
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// The network, if it exists.
    pub(crate) network: Option<Network>,
    /// What is in use on the host; asked only while there is no network.
    pub(crate) occupied: Vec<OccupiedRange>,
    /// Where its range may be.
    pub(crate) allowed: Vec<Ipv4Net>,
    /// The ranges of the other Vpcs, by namespace and name.
    pub(crate) others: Vec<Neighbour>,
    /// Ranges promised to other Vpcs at this moment.
    pub(crate) promised: Vec<Ipv4Net>,
    /// The names of the Instances in it, sorted.
    pub(crate) members: Vec<String>,
}

/// Another Vpc's range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Neighbour {
    /// Its name, where it is of the same namespace: others are nobody's business.
    pub(crate) name: Option<String>,
    /// Its range.
    pub(crate) cidr: Ipv4Net,
    /// Whether it comes first when the two overlap.
    pub(crate) first: bool,
}

pub(super) async fn observe(world: &World, goal: Goal, vpc: &Vpc) -> Result<Observed, Failure> {
    world.gate.check()?;
    let owner = world.owner(vpc);
    let networks = &world.backend().networks;
    let network = networks.find(owner.uid).await.map_err(Failure::backend("look for the network"))?;
    let occupied = if network.is_none() && goal == Goal::Present {
        networks.occupied_ranges().await.map_err(Failure::backend("look at the ranges in use"))?
    } else {
        Vec::new()
    };
    let promised = world
        .claims
        .of_others(owner.uid)
        .into_iter()
        .filter_map(|claim| match claim {
            Claim::Range(range) => Some(range),
            _ => None,
        })
        .collect();
    let others = world.stores.vpcs.all();
    let neighbours = others.iter().filter(|other| uid_of(other.as_ref()) != owner.uid);
    Ok(Observed {
        now: world.now(),
        network,
        occupied,
        allowed: world.options.vpc_ranges.clone(),
        others: neighbours.filter_map(|other| neighbour(vpc, other)).collect(),
        promised,
        members: members(world, vpc),
        owner,
    })
}

/// The range of another Vpc, if it has one.
pub(super) fn neighbour(vpc: &Vpc, other: &Vpc) -> Option<Neighbour> {
    let recorded = other.status.as_ref().and_then(|status| status.cidr.as_deref());
    let cidr = recorded.or(other.spec.cidr.as_deref())?.parse().ok()?;
    let name = (other.namespace() == vpc.namespace()).then(|| other.name_any());
    Some(Neighbour { name, cidr, first: recorded.is_some() || age(other) < age(vpc) })
}

/// Older is less; the name decides between those of one second.
fn age(vpc: &Vpc) -> (Option<Timestamp>, String, String) {
    (vpc.meta().creation_timestamp.as_ref().map(|time| time.0), namespace(vpc), vpc.name_any())
}

fn namespace(vpc: &Vpc) -> String {
    vpc.namespace().unwrap_or_default()
}

/// Who has an address in it. An Instance that only names it is not held up by it, nor holds it up.
fn members(world: &World, vpc: &Vpc) -> Vec<String> {
    let members = world.stores.instances.by_index(index::VPC, format!("{}/{}", namespace(vpc), vpc.name_any()));
    members.iter().map(|instance| instance.name_any()).collect()
}
