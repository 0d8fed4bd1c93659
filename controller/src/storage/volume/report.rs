//! Says what there is of a Volume. Reasons of `Ready`: Ready, Provisioning, Invalid, DependencyMissing, DataMissing, InUse, Terminating,
//! BackendUnavailable, and those of failures.

use crds::quantity::Quantity;
use crds::storage::volume::VolumeStatus;
use kube::Resource;

use super::VolumeKind;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Goal, Report, Standing, stand};
use crate::storage;

pub(super) fn report(account: &Account<'_, VolumeKind>) -> Report<VolumeStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = meta.generation;
    if let Some(observed) = observed {
        status.attached_to.clone_from(&observed.users);
        // The size stays when the real volume is not found: it tells the plan that there was one, with data.
        if let Some(real) = &observed.volume {
            status.size = Some(size(real.size_bytes, &object.spec.size));
        }
        status.used = observed.volume.as_ref().and_then(|real| real.used_bytes).and_then(storage::used);
    }
    let standing = match plan {
        _ if failure.is_some() => None,
        Some(plan) if plan.waiting.is_some() || !plan.steps.is_empty() => None,
        _ => Some(Standing { reason: "Ready", message: "The volume is ready for machines." }),
    };
    let waiting = plan.and_then(|plan| plan.waiting.as_ref());
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    status.phase = Some(
        match (goal, ready.unknown) {
            (Goal::Absent, _) => "Terminating",
            (_, true) => status.phase.as_deref().unwrap_or("Pending"),
            _ if ready.holds && status.attached_to.is_empty() => "Available",
            _ if ready.holds => "InUse",
            _ if ready.stalled => "Failed",
            _ => "Pending",
        }
        .to_owned(),
    );
    Report { status, notes }
}

/// The size, in the user's own words where they are worth the same.
fn size(bytes: u64, asked: &Quantity) -> Quantity {
    if asked.units() == Ok(bytes) { asked.clone() } else { storage::size(bytes) }
}
