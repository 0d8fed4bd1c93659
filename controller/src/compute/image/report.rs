//! Says what there is of an image. Reasons of `Ready`: Ready, Importing, InUse, Terminating, DependencyMissing,
//! SourceNotFound, SourceRefused, ChecksumMismatch, TooLarge, NoRoom, DownloadFailed, Queued, BackendUnavailable, and those
//! of failures.

use super::{AnyImage, ImageKind, retry};
use crate::runtime::conditions::Moment;
use crate::runtime::{Account, Report, Standing, Waiting, stand};
use crds::compute::image::ImageStatus;
use crds::quantity::Quantity;

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn report<I: AnyImage>(account: &Account<'_, ImageKind<I>>) -> Report<ImageStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status().cloned().unwrap_or_default();
    status.observed_generation = meta.generation;
    if let Some(observed) = observed {
        let image = observed.image.as_ref();
        status.image_id = image.map(|image| image.id.clone());
        status.disk_size = image.map(|image| size(image.disk_bytes));
        status.size = image.map(|image| size(image.stored_bytes));
    }
    status.progress = None;
    let is_costly = object.wish().path.is_none();
    let is_there = observed.is_some_and(|observed| observed.image.is_some());
    retry::account(&mut status, *failure, is_costly, is_there, *now);
    let steps = plan.is_some_and(|plan| !plan.steps.is_empty());
    let standing = match plan {
        _ if failure.is_some() || steps => None,
        Some(plan) if plan.waiting.is_some() => None,
        _ => Some(Standing { reason: "Ready", message: "Machines can be made from it." }),
    };
    let importing = Waiting::briefly("Importing", "It is being imported.");
    let waiting = plan.and_then(|plan| plan.waiting.as_ref()).or(steps.then_some(&importing));
    let moment = Moment { now: *now, generation: meta.generation };
    let (ready, notes) = stand(&mut status.conditions, *goal, standing, waiting, *failure, moment);
    let otherwise = if steps && failure.is_none() { "Importing" } else { "Pending" };
    status.phase = Some(ready.phase(*goal, status.phase.as_deref(), "Ready", otherwise));
    Report { status, notes }
}

/// A size as people write it. The last mebibyte may not be full.
fn size(bytes: u64) -> Quantity {
    Quantity(format!("{}Mi", bytes.div_ceil(MEBIBYTE)))
}
