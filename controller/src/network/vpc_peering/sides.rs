//! Decides whether two Vpcs are open to each other, and what stands in the way if they aren't. Pure.

use std::sync::Arc;

use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use ipnet::Ipv4Net;
use kube::{Resource, ResourceExt};
use uuid::Uuid;

use crate::runtime::uid_of;

/// How the two sides of a peering stand to each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sides {
    /// These two networks are open to each other.
    Open(Uuid, Uuid),
    /// The Vpc of this name isn't there, or has no range yet.
    Missing(String),
    /// Both sides are the same Vpc.
    Same,
    /// The Vpc of this name has no way out.
    Internal(String),
    /// The ranges overlap.
    Overlap(Ipv4Net, Ipv4Net),
    /// The other namespace hasn't declared it.
    Undeclared,
}

/// The other side, as `namespace/name`.
pub(crate) fn peer(peering: &VpcPeering) -> (String, String) {
    let own = peering.namespace().unwrap_or_default();
    let peer = &peering.spec.peer;
    (peer.namespace.clone().unwrap_or(own), peer.vpc.clone())
}

/// How they stand.
pub(crate) fn sides(peering: &VpcPeering, vpcs: &[Arc<Vpc>], peerings: &[Arc<VpcPeering>]) -> Sides {
    let here = (peering.namespace().unwrap_or_default(), peering.spec.vpc.clone());
    let there = peer(peering);
    if here == there {
        return Sides::Same;
    }
    // Nobody learns of another namespace's Vpc, not even whether there is one, before that namespace agrees.
    let agrees = |other: &Arc<VpcPeering>| {
        let is_theirs = other.namespace().as_deref() == Some(&there.0) && other.meta().deletion_timestamp.is_none();
        is_theirs && other.spec.vpc == there.1 && peer(other) == here
    };
    if here.0 != there.0 && !peerings.iter().any(agrees) {
        return Sides::Undeclared;
    }
    let find = |place: &(String, String)| {
        let found = vpcs.iter().find(|vpc| vpc.namespace().as_ref() == Some(&place.0) && vpc.name_any() == place.1);
        let name = || if place.0 == here.0 { place.1.clone() } else { format!("{}/{}", place.0, place.1) };
        let vpc = found.ok_or_else(|| Sides::Missing(name()))?;
        let status = vpc.status.as_ref();
        let range = status.and_then(|status| status.cidr.as_deref()?.parse::<Ipv4Net>().ok());
        let range = range.ok_or_else(|| Sides::Missing(name()))?;
        if vpc.spec.internal {
            return Err(Sides::Internal(name()));
        }
        Ok((uid_of(vpc.as_ref()), range))
    };
    let (one, other) = match (find(&here), find(&there)) {
        (Ok(one), Ok(other)) => (one, other),
        (Err(reason), _) | (_, Err(reason)) => return reason,
    };
    if one.1.contains(&other.1) || other.1.contains(&one.1) {
        return Sides::Overlap(one.1, other.1);
    }
    Sides::Open(one.0, other.0)
}
