//! Says what there is of a Volume. Reasons of `Ready`: Ready, Provisioning, Invalid, DependencyMissing, DataMissing, InUse, Terminating,
//! BackendUnavailable, and those of failures.

use crds::quantity::Quantity;
use crds::status::{SIZE_ENFORCED, condition};
use crds::storage::volume::VolumeStatus;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::Resource;

use super::VolumeKind;
use crate::runtime::conditions::{Moment, Truth, set};
use crate::runtime::{Account, Note, Report, Standing, stand};
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
    let mut notes = Vec::new();
    if let Some(real) = observed.as_ref().and_then(|observed| observed.volume.as_ref()) {
        notes.extend(enforcement(&mut status.conditions, real.unenforced.as_deref(), moment));
    }
    let (ready, told) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    notes.extend(told);
    let available = if status.attached_to.is_empty() { "Available" } else { "InUse" };
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), available, "Pending"));
    Report { status, notes }
}

/// Says whether the size is a limit. That it is none is news.
fn enforcement(conditions: &mut Vec<Condition>, unenforced: Option<&str>, moment: Moment) -> Option<Note> {
    let Some(why) = unenforced else {
        let message = "Writing past the size fails as on a full disk.";
        set(conditions, SIZE_ENFORCED, Truth::True, "OwnFileSystem", message, moment);
        return None;
    };
    let is_news = condition(conditions, SIZE_ENFORCED).is_none_or(|known| known.status != "False");
    let message = format!(
        "This host can't mount a file ({}), so the data is in a plain directory that may outgrow its size.",
        why.trim_end_matches('.')
    );
    set(conditions, SIZE_ENFORCED, Truth::False, "NoLoopMount", &message, moment);
    is_news.then(|| Note::warning("SizeNotEnforced", message))
}

/// The size, in the user's own words where they are worth the same.
fn size(bytes: u64, asked: &Quantity) -> Quantity {
    if asked.units() == Ok(bytes) { asked.clone() } else { storage::size(bytes) }
}
