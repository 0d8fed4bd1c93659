//! Decides whether and when a machine that ended by itself is started again. Input: how it ended and what the status
//! remembers. The first ending leads to a start at once, quick ones in a row to pauses from 10 s doubling to 5 min (a
//! few kills from outside are forgiven); a machine that ran for 10 min begins anew. Pure.

use controller_backend::ExitState;
use crds::compute::instance::{Exit, Instance, RestartPolicy};
use crds::status::{AVAILABLE, condition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use crate::runtime::conditions::whole_seconds;

/// The first pause.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// The longest pause.
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_secs(300);
/// So many kills from outside in a row lead to a start at once: somebody does that by hand. More look like a host
/// without memory, and a hot loop would only make that worse.
const FORGIVEN_KILLS: i32 = 5;
/// A machine that ran for this long isn't crashing.
pub(super) const STEADY: SignedDuration = SignedDuration::from_mins(10);

/// The reason of `Available` for a machine that fails its health check.
pub(super) const UNHEALTHY: &str = "Unhealthy";

/// The reason of `status.lastExit` for a machine that was stopped because the spec said so.
pub(super) const STOPPED: &str = "Stopped";

/// The reason of `status.lastExit` for a machine that was killed from outside, and not for want of memory.
const KILLED: &str = "Killed";

/// How a machine ended, and what follows.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ending {
    /// How it ended.
    pub(crate) exit: Exit,
    /// Quick endings in a row, this one included.
    pub(crate) crash_count: i32,
    /// Starts after an ending, the coming one included.
    pub(crate) restart_count: i32,
    /// When it is started again; `None` if it is not.
    pub(crate) next_restart: Option<Timestamp>,
}

/// What to do about a machine that is not running.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Decision {
    /// Record its ending; then it rests, or is started at its time.
    Record(Ending),
    /// Start it now.
    Start,
    /// Start it then.
    WaitUntil(Timestamp),
    /// It stays as it is.
    Rest,
}

pub(super) fn decide(instance: &Instance, exit: &ExitState, started_at: Option<Timestamp>, now: Timestamp) -> Decision {
    let status = instance.status.clone().unwrap_or_default();
    let unhealthy = condition(&status.conditions, AVAILABLE).is_some_and(|available| available.reason == UNHEALTHY);
    let exit_now = describe(exit, unhealthy);
    let again = restarts(instance.spec.restart_policy, exit.code, unhealthy);
    // Times in a status are whole seconds. Once the start that an ending led to is recorded too, a second ending within
    // the same second counts as one more: a program that ends immediately is never started in a hot loop.
    let recorded = status.last_exit.as_ref().is_some_and(|known| known.finished_at == exit_now.finished_at);
    if recorded && !again {
        return Decision::Rest;
    }
    if recorded && let Some(Time(due)) = status.next_restart {
        return if due <= now { Decision::Start } else { Decision::WaitUntil(due) };
    }

    let ran = started_at.map_or(SignedDuration::ZERO, |start| exit.finished_at.duration_since(start));
    let crashes = if ran >= STEADY { 0 } else { status.crash_count.unwrap_or_default() };
    let pause = pause(if exit_now.reason == KILLED { crashes - FORGIVEN_KILLS } else { crashes });
    let due = exit.finished_at.checked_add(pause).unwrap_or(exit.finished_at);
    let ending = Ending {
        exit: exit_now,
        crash_count: crashes.saturating_add(1),
        restart_count: status.restart_count.unwrap_or_default().saturating_add(i32::from(again)),
        next_restart: again.then(|| whole_seconds(due)),
    };
    Decision::Record(ending)
}

/// The token of a restart that was asked for and hasn't taken place.
pub(super) fn asked(instance: &Instance) -> Option<&str> {
    let done = instance.status.as_ref().and_then(|status| status.restart_token.as_deref());
    instance.spec.restart_token.as_deref().filter(|token| Some(*token) != done)
}

/// An ending that was wanted, as the status remembers it: what ended so is started again whatever the restart policy.
pub(super) fn on_purpose(exit: &ExitState) -> Exit {
    Exit {
        code: i32::try_from(exit.code).unwrap_or(-1),
        reason: STOPPED.to_owned(),
        finished_at: Some(Time(whole_seconds(exit.finished_at))),
    }
}

/// Whether it is this ending that the last report called a stop on purpose.
pub(super) fn was_on_purpose(instance: &Instance, exit: &ExitState) -> bool {
    let known = instance.status.as_ref().and_then(|status| status.last_exit.as_ref());
    known.is_some_and(|known| {
        known.reason == STOPPED && known.finished_at == Some(Time(whole_seconds(exit.finished_at)))
    })
}

/// Whether a machine that rests for good is recorded: with this policy it isn't started again.
pub(super) fn rests(policy: RestartPolicy, exit: &Exit) -> bool {
    !restarts(policy, i64::from(exit.code), exit.reason == UNHEALTHY)
}

fn restarts(policy: RestartPolicy, code: i64, unhealthy: bool) -> bool {
    match policy {
        RestartPolicy::Always => true,
        RestartPolicy::OnFailure => code != 0 || unhealthy,
        RestartPolicy::Never => false,
    }
}

/// The pause after so many quick endings before this one.
fn pause(crashes: i32) -> SignedDuration {
    match crashes {
        ..=0 => SignedDuration::ZERO,
        _ => FIRST_PAUSE.saturating_mul(1_i32 << (crashes - 1).min(10)).min(LONGEST_PAUSE),
    }
}

fn describe(exit: &ExitState, unhealthy: bool) -> Exit {
    let reason = match exit.code {
        _ if exit.out_of_memory => "OOMKilled",
        _ if unhealthy => UNHEALTHY,
        0 => "Completed",
        // 128 + SIGKILL.
        137 => KILLED,
        _ => "Error",
    };
    Exit {
        code: i32::try_from(exit.code).unwrap_or(-1),
        reason: reason.to_owned(),
        finished_at: Some(Time(whole_seconds(exit.finished_at))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_from_10_seconds_to_5_minutes() {
        let pauses: Vec<_> = (0..8).map(|crashes| pause(crashes).as_secs()).collect();
        assert_eq!(pauses, [0, 10, 20, 40, 80, 160, 300, 300]);
        assert_eq!(pause(i32::MAX), LONGEST_PAUSE);
    }

    #[test]
    fn a_policy_decides_by_how_it_ended() {
        assert!(restarts(RestartPolicy::Always, 0, false));
        assert!(restarts(RestartPolicy::OnFailure, 1, false));
        assert!(!restarts(RestartPolicy::OnFailure, 0, false));
        assert!(restarts(RestartPolicy::OnFailure, 0, true));
        assert!(!restarts(RestartPolicy::Never, 1, true));
    }
}
