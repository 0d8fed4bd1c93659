//! Decides which network a Vpc needs. Input: the Vpc, what exists, what is in use. Output: a plan. Never talks to a
//! backend.

use std::net::Ipv4Addr;

use controller_backend::{NetworkSpec, bridge_name};
use crds::network::vpc::Vpc;
use crds::status::{READY, condition};
use ipnet::Ipv4Net;
use jiff::ToSpan;

use super::Step;
use super::observe::Observed;
use crate::runtime::{Goal, Plan, Waiting};

/// Where ranges are taken from when none is asked for, and all of it may be.
const POOL: &str = "10.128.0.0/9";
/// How large they are then.
const PREFIX: u8 = 20;
/// The reason where a range is another's, which is also that of the engine's refusal.
const OVERLAP: &str = "CidrOverlap";
/// The largest and the smallest range that may be asked for.
const PREFIXES: std::ops::RangeInclusive<u8> = 8..=28;
/// When to look again for a range that something on the host uses, of which no event tells.
const LOOK_AGAIN_SECONDS: i64 = 30;

pub(super) fn plan(goal: Goal, vpc: &Vpc, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent => absent(observed),
        Goal::Present => present(vpc, observed),
    }
}

fn absent(observed: &Observed) -> Plan<Step> {
    if !observed.members.is_empty() {
        return Plan::wait(Waiting::on("InUse", format!("In use by {}.", instances(&observed.members))));
    }
    match observed.network {
        Some(_) => Plan::of(vec![Step::RemoveNetwork]),
        None => Plan::default(),
    }
}

fn present(vpc: &Vpc, observed: &Observed) -> Plan<Step> {
    let recorded = recorded(vpc);
    if let Some(network) = &observed.network {
        // The network is the truth: a status that was lost is written again from it.
        if recorded != Some((network.cidr, network.gateway)) {
            return Plan::of(vec![Step::Allocate { cidr: network.cidr, gateway: network.gateway }]);
        }
        if network.internal == vpc.spec.internal {
            return Plan::default();
        }
        if !observed.members.is_empty() {
            let message =
                format!("`internal` changes as soon as no Instance is in it: {}.", observed.members.join(", "));
            return Plan::wait(Waiting::on_user("InUse", message));
        }
        return Plan::of(vec![
            Step::RemoveNetwork,
            Step::EnsureNetwork(wanted(vpc, observed, network.cidr, network.gateway)),
        ]);
    }
    let cidr = match (&vpc.spec.cidr, recorded) {
        (Some(text), _) => match asked(text).and_then(|cidr| allowed(cidr, observed)) {
            Ok(cidr) => match overlap(cidr, observed) {
                None => cidr,
                Some(waiting) => return again(Plan::wait(waiting), observed),
            },
            Err(waiting) => return Plan::wait(waiting),
        },
        (None, Some((cidr, _))) if overlap(cidr, observed).is_none() => cidr,
        (None, _) => match free(vpc, observed) {
            Some(cidr) => cidr,
            None => {
                let message = format!("No free /{PREFIX} is left: set spec.cidr.");
                return again(Plan::wait(Waiting::on_user("RangesExhausted", message)), observed);
            }
        },
    };
    let Some(gateway) = cidr.hosts().next() else {
        return Plan::wait(Waiting::on_user("Invalid", format!("Range {cidr} has no room for machines.")));
    };
    let mut steps = Vec::new();
    if recorded != Some((cidr, gateway)) {
        steps.push(Step::Allocate { cidr, gateway });
    }
    steps.push(Step::EnsureNetwork(wanted(vpc, observed, cidr, gateway)));
    Plan::of(steps)
}

fn wanted(vpc: &Vpc, observed: &Observed, cidr: Ipv4Net, gateway: Ipv4Addr) -> NetworkSpec {
    NetworkSpec {
        owner: observed.owner.clone(),
        cidr,
        gateway,
        internal: vpc.spec.internal,
        bridge: bridge_name(&observed.owner),
    }
}

/// What the status says.
fn recorded(vpc: &Vpc) -> Option<(Ipv4Net, Ipv4Addr)> {
    let status = vpc.status.as_ref()?;
    Some((status.cidr.as_deref()?.parse().ok()?, status.gateway.as_deref()?.parse().ok()?))
}

/// The range that the spec asks for. The schema checks it too; an object may be older than the schema.
fn asked(text: &str) -> Result<Ipv4Net, Waiting> {
    let invalid = || {
        let message = format!("`{text}` is not an IPv4 range from /8 to /28 without host bits, such as 10.20.0.0/20.");
        Waiting::on_user("Invalid", message)
    };
    let cidr: Ipv4Net = text.parse().map_err(|_| invalid())?;
    if cidr.trunc() == cidr && PREFIXES.contains(&cidr.prefix_len()) { Ok(cidr) } else { Err(invalid()) }
}

/// The range, if Vpcs may be there: the host and everybody on it reach nothing else by its addresses any more.
fn allowed(cidr: Ipv4Net, observed: &Observed) -> Result<Ipv4Net, Waiting> {
    if observed.allowed.iter().any(|range| range.contains(&cidr)) {
        return Ok(cidr);
    }
    let ranges: Vec<String> = observed.allowed.iter().map(Ipv4Net::to_string).collect();
    let message = format!(
        "Range {cidr} is not inside one of those that this server has for Vpcs (--vpc-range): {}. Set another, or leave \
         spec.cidr away.",
        ranges.join(", ")
    );
    Err(Waiting::on_user("Invalid", message))
}

/// What the range overlaps, if anything that comes first.
fn overlap(cidr: Ipv4Net, observed: &Observed) -> Option<Waiting> {
    if let Some(other) = observed.others.iter().find(|other| other.first && overlaps(cidr, other.cidr)) {
        let message = match &other.name {
            Some(name) => format!("Range {cidr} overlaps {} of Vpc `{name}`.", other.cidr),
            None => taken(cidr),
        };
        return Some(Waiting::on_user(OVERLAP, message));
    }
    let foreign = |owner: Option<uuid::Uuid>| owner != Some(observed.owner.uid);
    let is_occupied = observed.occupied.iter().any(|range| foreign(range.owner) && overlaps(cidr, range.cidr));
    is_occupied.then(|| Waiting::on_user(OVERLAP, taken(cidr)))
}

/// Says no more than it must of what belongs to another namespace, or to the host.
fn taken(cidr: Ipv4Net) -> String {
    format!("Range {cidr} overlaps one that is in use on the host: set another, or leave spec.cidr away.")
}

/// The first range of the pool that nothing uses or is promised. Where another cloud on the host was faster with one, the
/// search goes on somewhere else: otherwise both would go on to ask for the same.
fn free(vpc: &Vpc, observed: &Observed) -> Option<Ipv4Net> {
    let pool: Ipv4Net = POOL.parse().ok()?;
    let all = observed.allowed.iter();
    let pools = if all.clone().any(|range| range.contains(&pool)) { vec![pool] } else { all.copied().collect() };
    let ready = vpc.status.as_ref().and_then(|status| condition(&status.conditions, READY));
    let has_lost = ready.is_some_and(|ready| ready.reason == OVERLAP);
    let ranges: Vec<Ipv4Net> = pools.iter().filter_map(|pool| pool.subnets(PREFIX).ok()).flatten().collect();
    let start = if has_lost { observed.owner.uid.as_u128() % ranges.len().max(1) as u128 } else { 0 };
    let (before, after) = ranges.split_at(usize::try_from(start).ok()?);
    after.iter().chain(before).copied().find(|range| {
        overlap(*range, observed).is_none()
            && !observed.others.iter().any(|other| overlaps(*range, other.cidr))
            && !observed.promised.iter().any(|promised| overlaps(*range, *promised))
    })
}

fn overlaps(one: Ipv4Net, other: Ipv4Net) -> bool {
    // A default route covers everything and takes nothing.
    other.prefix_len() > 0 && (one.contains(&other) || other.contains(&one))
}

fn again(plan: Plan<Step>, observed: &Observed) -> Plan<Step> {
    Plan { look_again: observed.now.checked_add(LOOK_AGAIN_SECONDS.seconds()).ok(), ..plan }
}

/// The names, for people.
pub(crate) fn instances(names: &[String]) -> String {
    let noun = if names.len() == 1 { "Instance" } else { "Instances" };
    format!("{noun} {}", names.join(", "))
}
