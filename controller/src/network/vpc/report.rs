//! Says what there is of a Vpc. Reasons of `Ready`: Ready, Provisioning, CidrOverlap, RangesExhausted, InUse, Invalid,
//! Terminating, BackendUnavailable, and those of failures.

use crds::network::vpc::VpcStatus;
use kube::Resource;

use super::VpcKind;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Report, Standing, Verdicts, stand};

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
    let ready = Verdicts { stalled: ready.stalled && !exists, ..ready };
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), "Ready", "Pending"));
    Report { status, notes }
}
