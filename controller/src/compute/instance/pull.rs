//! Decides when an image that could not be fetched is tried again: after 10 s doubling to 5 min, kept in the status, so
//! that no registry is asked in a hot loop, whoever restarts. Input: what the status remembers. Never asks a registry.

use controller_backend::PullError;
use crds::compute::instance::{Instance, InstanceStatus};
use crds::status::{READY, condition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;

use super::Step;
use super::observe::Observed;
use crate::runtime::conditions::whole_seconds;
use crate::runtime::{Failure, Plan, Waiting};

/// The first pause.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(300);
/// What a failed attempt says in `Ready`.
const REASONS: [&str; 3] = ["ImageNotFound", "ImagePullFailed", "Invalid"];

/// Fetches the image, or waits until that is tried again.
pub(super) fn plan(instance: &Instance, now: Timestamp) -> Plan<Step> {
    match wait(instance, now) {
        Some((due, waiting)) => Plan { look_again: Some(due), ..Plan::wait(waiting) },
        // What the last attempt said stands until this one has ended.
        None => Plan { slow: !has_failed(instance), ..Plan::of(vec![Step::Pull(instance.spec.image.clone())]) },
    }
}

/// Whether an attempt for this very spec has failed.
fn has_failed(instance: &Instance) -> bool {
    instance.status.as_ref().is_some_and(|status| {
        status.pull_failures.is_some() && status.observed_generation == instance.meta().generation
    })
}

/// Until when nothing is tried, with what the last attempt said.
fn wait(instance: &Instance, now: Timestamp) -> Option<(Timestamp, Waiting)> {
    if !has_failed(instance) {
        return None;
    }
    let status = instance.status.as_ref()?;
    let Time(due) = *status.next_pull.as_ref()?;
    // Farther off than any pause: the clock was set back.
    if due <= now || due.duration_since(now) > LONGEST_PAUSE {
        return None;
    }
    let ready = condition(&status.conditions, READY)?;
    let reason = REASONS.into_iter().find(|reason| *reason == ready.reason)?;
    let stalled = crds::status::is_true(&status.conditions, crds::status::STALLED);
    Some((due, Waiting { stalled, ..Waiting::briefly(reason, ready.message.clone()) }))
}

/// Writes down a failed attempt, and forgets the earlier ones once the image is there or not needed any more.
pub(super) fn account(
    status: &mut InstanceStatus,
    observed: Option<&Observed>,
    plan: Option<&Plan<Step>>,
    failure: Option<&Failure>,
    now: Timestamp,
) {
    match failure {
        Some(Failure::Pull(error)) if !is_outage(error) => {
            let failures = status.pull_failures.unwrap_or_default();
            status.pull_failures = Some(failures.saturating_add(1));
            let due = now.checked_add(pause(failures)).unwrap_or(now);
            status.next_pull = Some(Time(whole_seconds(due)));
        }
        _ if observed.is_some() && !plan.is_some_and(is_about_image) => {
            status.pull_failures = None;
            status.next_pull = None;
        }
        _ => {}
    }
}

/// The engine didn't answer: that is no word on the image.
fn is_outage(error: &PullError) -> bool {
    matches!(error, PullError::Backend { source, .. } if source.is_unavailable())
}

fn is_about_image(plan: &Plan<Step>) -> bool {
    let waits = plan.look_again.is_some() && plan.waiting.as_ref().is_some_and(|it| REASONS.contains(&it.reason));
    waits || plan.steps.iter().any(|step| matches!(step, Step::Pull(_)))
}

/// The pause after so many failures before this one.
fn pause(failures: i32) -> SignedDuration {
    FIRST_PAUSE.saturating_mul(1_i32 << failures.clamp(0, 10)).min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_10_seconds_to_5_minutes() {
        let pauses: Vec<_> = (0..7).map(|failures| pause(failures).as_secs()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pause(i32::MAX), LONGEST_PAUSE);
    }
}
