//! Decides what a machine that runs finds of its projected files while its Instance waits for something else; and what this
//! process knows of them. Pure.

use controller_backend::{Machine, MachineState};

use super::Step;
use super::observe::Observed;
use crate::runtime::Plan;

/// What this process did last about an Instance's projected files, with a digest of what they were to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Projected {
    /// There were these and no others.
    Exactly([u8; 32]),
    /// Those of them were up to date that a machine had; it may lack some, and have others.
    Refreshed([u8; 32]),
}

pub(super) fn ensure_files(observed: &Observed) -> Step {
    Step::EnsureFiles { sets: observed.inputs.files.clone(), digest: observed.inputs.digest() }
}

/// Before anything that is planned, a machine that goes on finds what the files that it has should be. It may have been made
/// from another spec, so none is made and none removed.
pub(super) fn refreshed(observed: &Observed, kept: Option<&Machine>, mut plan: Plan<Step>) -> Plan<Step> {
    let runs = kept.is_some_and(|machine| machine.state == MachineState::Running);
    let is_seen_to = plan.steps.iter().any(|step| matches!(step, Step::EnsureFiles { .. } | Step::Stop { .. }));
    if runs && !is_seen_to && !observed.files_up_to_date && !observed.inputs.files.is_empty() {
        let inputs = &observed.inputs;
        plan.steps.insert(0, Step::RefreshFiles { sets: inputs.files.clone(), digest: inputs.digest() });
    }
    plan
}
