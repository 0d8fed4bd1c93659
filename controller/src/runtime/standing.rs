//! Decides the conditions Ready and Stalled, the same for every kind: what failed, what is waited for, what is done.
//! Pure.

use crds::status::{READY, STALLED, condition};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;

use super::conditions::{Moment, Truth, clear, set};
use super::failure::Failure;
use super::kind::{Goal, Note, Waiting};

/// Reality equals the spec, in this way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// The condition's reason.
    pub reason: &'a str,
    /// The condition's message.
    pub message: &'a str,
}

/// What Ready and Stalled say now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verdicts {
    /// `Ready=True`.
    pub holds: bool,
    /// `Ready=Unknown`.
    pub unknown: bool,
    /// `Stalled=True`.
    pub stalled: bool,
}

/// Writes Ready and Stalled. Gives what they say, and what should be told because it is news.
pub fn stand(
    conditions: &mut Vec<Condition>,
    goal: Goal,
    standing: Option<Standing<'_>>,
    waiting: Option<&Waiting>,
    failure: Option<&Failure>,
    moment: Moment,
) -> (Verdicts, Vec<Note>) {
    let before = condition(conditions, READY).map(|ready| (ready.reason.clone(), ready.message.clone()));
    let terminating = goal == Goal::Absent;
    let (truth, reason, message, stalled, news) = if let Some(failure) = failure {
        let verdict = failure.verdict();
        let truth = if verdict.unknown { Truth::Unknown } else { Truth::False };
        (truth, verdict.reason, verdict.message, verdict.stalled, true)
    } else if let Some(waiting) = waiting {
        (Truth::False, waiting.reason, waiting.message.clone(), waiting.stalled, waiting.is_news)
    } else {
        match standing {
            _ if terminating => (Truth::False, "Terminating", "It is being removed.".to_owned(), false, false),
            Some(standing) => {
                set(conditions, READY, Truth::True, standing.reason, standing.message, moment);
                clear(conditions, STALLED);
                return (Verdicts { holds: true, unknown: false, stalled: false }, Vec::new());
            }
            None => (Truth::False, "Provisioning", "It is being made.".to_owned(), false, false),
        }
    };
    set(conditions, READY, truth, reason, &message, moment);
    if stalled {
        set(conditions, STALLED, Truth::True, reason, &message, moment);
    } else {
        clear(conditions, STALLED);
    }
    let is_news = news && before.as_ref().is_none_or(|(old, words)| old != reason || *words != message);
    let notes = if is_news { vec![Note::warning(reason, message)] } else { Vec::new() };
    (Verdicts { holds: false, unknown: truth == Truth::Unknown, stalled }, notes)
}
