//! Says what there is of a VpcPeering. Reasons of `Ready`: Active, Provisioning, DependencyMissing, PeerUndeclared,
//! CidrOverlap, Internal, Invalid, Terminating, BackendUnavailable, and those of failures.

use crds::network::vpc_peering::VpcPeeringStatus;
use kube::Resource;

use super::VpcPeeringKind;
use super::sides::peer;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Report, Standing, stand};

pub(super) fn report(account: &Account<'_, VpcPeeringKind>) -> Report<VpcPeeringStatus> {
    let Account { goal, object, plan, failure, now, .. } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = meta.generation;
    let (namespace, vpc) = peer(object);
    status.peer = Some(format!("{namespace}/{vpc}"));
    let standing = match plan {
        _ if failure.is_some() => None,
        Some(plan) if plan.waiting.is_some() => None,
        _ => Some(Standing { reason: "Active", message: "The networks are open to each other." }),
    };
    let waiting = plan.and_then(|plan| plan.waiting.as_ref());
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), "Active", "Pending"));
    Report { status, notes }
}
