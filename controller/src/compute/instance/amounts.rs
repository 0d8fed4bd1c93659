//! Decides what becomes of a machine whose amounts are other than they should be: what it gets now, what it gets at its next
//! start, and what is said while its guest hasn't taken what it was given. Pure.

use controller_backend::{Machine, MachineState, Resources};
use crds::compute::instance::Instance;
use crds::status::{READY, condition};
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;

use super::Step;
use super::observe::{Observed, Target};
use super::report::memory_words;
use crate::runtime::Waiting;

/// A guest takes memory in a moment, unless it is still booting, or never.
const PATIENCE: SignedDuration = SignedDuration::from_secs(60);
const MEMORY_PENDING: &str = "MemoryPending";
const RESTART_NEEDED: &str = "RestartNeeded";

/// What is to be done about a machine's amounts.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// What it gets now.
    pub(super) resize: Option<Step>,
    /// What it hasn't got, or gets at its next start only.
    pub(super) waiting: Option<Waiting>,
    /// When that is looked at again.
    pub(super) look_again: Option<Timestamp>,
}

pub(super) fn change(instance: &Instance, observed: &Observed, machine: &Machine) -> Change {
    let wanted = match &observed.size {
        Target::Ready(wanted) => *wanted,
        Target::NotReady(_, why) => {
            let waiting = Some(Waiting::on_user("Invalid", format!("The Instance {why}.")));
            return Change { waiting, ..Change::default() };
        }
        Target::Missing | Target::Going(_) => return Change::default(),
    };
    if machine.resources == wanted {
        return if machine.lacks_memory() { pending(instance, observed) } else { Change::default() };
    }
    let active = matches!(machine.state, MachineState::Running | MachineState::Paused);
    if active && !machine.resizes_running(wanted) {
        let message = format!(
            "A virtual machine gets {} while it is stopped: {}.",
            only_at_rest(machine, wanted).join(" and "),
            how_to_restart(instance)
        );
        return Change { waiting: Some(Waiting::on_user(RESTART_NEEDED, message)), ..Change::default() };
    }
    let resize = Some(Step::Resize { id: machine.id.clone(), resources: wanted });
    Change { resize, ..Change::default() }
}

/// What of these amounts a machine doesn't get while it runs.
fn only_at_rest(machine: &Machine, wanted: Resources) -> Vec<String> {
    let mut parts = Vec::new();
    if let Some(memory) = machine.memory {
        if wanted.memory_bytes < machine.resources.memory_bytes.min(memory.taken_bytes) {
            parts.push("less memory".to_owned());
        }
        if wanted.memory_bytes > memory.most_bytes {
            parts.push(format!("more than {} of memory", memory_words(memory.most_bytes)));
        }
        if wanted.max_memory_bytes != machine.resources.max_memory_bytes {
            parts.push("another maxMemory".to_owned());
        }
    }
    if let Some(most) = machine.most_processors.filter(|most| wanted.processors() > *most) {
        parts.push(format!("more than {most} processors"));
    }
    parts
}

fn how_to_restart(instance: &Instance) -> String {
    format!("`cloudctl restart {}` does that, or another `restartToken`", instance.name_any())
}

/// The guest hasn't taken all that it was given.
fn pending(instance: &Instance, observed: &Observed) -> Change {
    let since = instance.status.as_ref().and_then(|status| condition(&status.conditions, READY));
    let since = since.filter(|ready| [MEMORY_PENDING, RESTART_NEEDED].contains(&ready.reason.as_str()));
    let since = since.map_or(observed.now, |ready| ready.last_transition_time.0);
    let due = since.checked_add(PATIENCE).unwrap_or(observed.now);
    if observed.now < due {
        let waiting = Waiting::briefly(MEMORY_PENDING, "The guest hasn't taken all of its memory yet.");
        return Change { waiting: Some(waiting), look_again: Some(due), ..Change::default() };
    }
    let message = format!(
        "The guest doesn't take the memory that the machine was given while it runs: it needs Linux with the driver \
         virtio_mem. At its start the machine has all of it: {}.",
        how_to_restart(instance)
    );
    Change { waiting: Some(Waiting::on_user(RESTART_NEEDED, message)), ..Change::default() }
}
