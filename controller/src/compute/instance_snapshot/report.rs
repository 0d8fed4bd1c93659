//! Says what there is of an InstanceSnapshot. Reasons of `Ready`: Ready, Taking, DependencyMissing, DataMissing, InUse,
//! Terminating, BackendUnavailable, and those of failures.

use crds::compute::instance_snapshot::{Consistency, InstanceSnapshotStatus};
use kube::Resource;

use super::InstanceSnapshotKind;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Goal, Report, Standing, Waiting, stand};
use crate::storage::used;

pub(super) fn report(account: &Account<'_, InstanceSnapshotKind>) -> Report<InstanceSnapshotStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = meta.generation;
    let steps = plan.is_some_and(|plan| !plan.steps.is_empty());
    let taking = steps && *goal == Goal::Present && failure.is_none();
    if let Some(observed) = observed {
        // That it was ready stays when the real one is not found: the plan takes no other one in its place.
        let was_ready = status.ready_to_use == Some(true);
        status.ready_to_use = Some(observed.snapshot.is_some() || was_ready);
        if observed.snapshot.is_some() || taking {
            status.backend = observed.backend;
        }
        if let Some(real) = &observed.snapshot {
            status.consistency = Some(consistency(real.consistency));
            status.image_id = Some(real.image.id.clone());
            status.disk_size = real.disk_bytes.and_then(used);
            status.size = used(real.image.size_bytes);
        }
    }
    status.progress = None;
    let standing = match plan {
        _ if failure.is_some() || steps => None,
        Some(plan) if plan.waiting.is_some() => None,
        _ => Some(Standing { reason: "Ready", message: "The snapshot is whole: Instances can be made from it." }),
    };
    let being_taken = Waiting::briefly("Taking", "It is being taken.");
    let waiting = plan.and_then(|plan| plan.waiting.as_ref()).or(taking.then_some(&being_taken));
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    let otherwise = if taking { "Taking" } else { "Pending" };
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), "Ready", otherwise));
    Report { status, notes }
}

fn consistency(real: controller_backend::Consistency) -> Consistency {
    match real {
        controller_backend::Consistency::AtRest => Consistency::AtRest,
        controller_backend::Consistency::Frozen => Consistency::Frozen,
        controller_backend::Consistency::Crash => Consistency::Crash,
    }
}
