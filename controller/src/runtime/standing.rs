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

impl Verdicts {
    /// The phase, in one word: `ready` once it is, and `otherwise` on the way there. While nothing is known, what was said
    /// stands.
    pub fn phase(self, goal: Goal, said: Option<&str>, ready: &str, otherwise: &str) -> String {
        let word = match goal {
            Goal::Absent => "Terminating",
            Goal::Present if self.unknown => said.unwrap_or("Pending"),
            Goal::Present if self.holds => ready,
            Goal::Present if self.stalled => "Failed",
            Goal::Present => otherwise,
        };
        word.to_owned()
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_phase_is_what_was_said_while_nothing_is_known() {
        let phase = |goal, verdicts: Verdicts| verdicts.phase(goal, Some("Ready"), "Active", "Taking");
        let silent = Verdicts { holds: false, unknown: false, stalled: false };
        assert_eq!(phase(Goal::Present, Verdicts { unknown: true, ..silent }), "Ready");
        assert_eq!(phase(Goal::Present, Verdicts { holds: true, ..silent }), "Active");
        assert_eq!(phase(Goal::Present, Verdicts { stalled: true, ..silent }), "Failed");
        assert_eq!(phase(Goal::Present, silent), "Taking");
        assert_eq!(phase(Goal::Absent, Verdicts { unknown: true, ..silent }), "Terminating");
    }
}
