//! Says what there is of a Vpc. Reasons of `Ready`: Ready, Provisioning, CidrOverlap, RangesExhausted, InUse, Invalid,
//! Terminating, BackendUnavailable, and those of failures.

use crds::network::vpc::VpcStatus;
use kube::Resource;

use super::VpcKind;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Goal, Report, Standing, stand};

pub(super) fn report(account: &Account<'_, VpcKind>) -> Report<VpcStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = meta.generation;
    if let Some(observed) = observed {
        status.members = i32::try_from(observed.members.len()).ok();
    }
    let exists = observed.is_none_or(|observed| observed.network.is_some());
    let standing = match plan {
        _ if failure.is_some() => None,
        Some(plan) if plan.waiting.is_some() || !plan.steps.is_empty() => None,
        _ => Some(Standing { reason: "Ready", message: "The network exists." }),
    };
    let waiting = plan.and_then(|plan| plan.waiting.as_ref());
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    status.phase = Some(
        match (goal, ready.unknown) {
            (Goal::Absent, _) => "Terminating",
            // Nothing is known now: what was said stands.
            (_, true) => status.phase.as_deref().unwrap_or("Pending"),
            _ if ready.holds => "Ready",
            _ if ready.stalled && !exists => "Failed",
            _ => "Pending",
        }
        .to_owned(),
    );
    Report { status, notes }
}
