//! Says what there is of a SecurityGroup. Reasons of `Ready`: Ready, Provisioning, DependencyMissing, Invalid,
//! Terminating, BackendUnavailable, and those of failures.

use crds::network::security_group::SecurityGroupStatus;
use kube::Resource;

use super::SecurityGroupKind;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Report, Standing, stand};

pub(super) fn report(account: &Account<'_, SecurityGroupKind>) -> Report<SecurityGroupStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = meta.generation;
    if let Some(observed) = observed {
        // Until the new rules are in force, what was said of the old ones stands.
        if let Some(in_force) = &observed.in_force {
            status.members = i32::try_from(in_force.members.len()).ok();
            status.rules = i32::try_from(in_force.ingress.len() + in_force.egress.len()).ok();
        }
    }
    let standing = match plan {
        _ if failure.is_some() => None,
        Some(plan) if plan.waiting.is_some() => None,
        _ => Some(Standing { reason: "Ready", message: "The rules are in force." }),
    };
    let waiting = plan.and_then(|plan| plan.waiting.as_ref());
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), "Ready", "Pending"));
    Report { status, notes }
}
