//! Says what there is of a VolumeSnapshot. Reasons of `Ready`: Ready, Provisioning, DependencyMissing, DataMissing,
//! Terminating, BackendUnavailable, and those of failures.

use crds::storage::volume_snapshot::VolumeSnapshotStatus;
use kube::Resource;

use super::VolumeSnapshotKind;
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Report, Standing, stand};
use crate::storage::{size, used};

pub(super) fn report(account: &Account<'_, VolumeSnapshotKind>) -> Report<VolumeSnapshotStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    status.observed_generation = meta.generation;
    if let Some(observed) = observed {
        // That it was ready stays when the real one is not found: the plan takes no other one in its place.
        let was_ready = status.ready_to_use == Some(true);
        status.ready_to_use = Some(observed.snapshot.is_some() || was_ready);
        if let Some(real) = &observed.snapshot {
            status.size = Some(size(real.size_bytes));
            status.used = used(real.used_bytes);
        }
    }
    status.progress = None;
    let taking = plan.is_some_and(|plan| !plan.steps.is_empty()) && failure.is_none();
    let standing = match plan {
        _ if failure.is_some() => None,
        Some(plan) if plan.waiting.is_some() || !plan.steps.is_empty() => None,
        _ => Some(Standing { reason: "Ready", message: "The snapshot is whole: Volumes can be made from it." }),
    };
    let waiting = plan.and_then(|plan| plan.waiting.as_ref());
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    let otherwise = if taking { "Taking" } else { "Pending" };
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), "Ready", otherwise));
    Report { status, notes }
}
