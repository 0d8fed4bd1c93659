//! Says what there is of an Instance. Reasons of `Ready`: Running, Stopped, Paused, Completed (all True);
//! Provisioning, PullingImage, Stopping, Replacing, Restarting, BackOff, Failed, DependencyMissing, DependencyNotReady, VolumeInUse,
//! DetachPending, MemoryPending, RestartNeeded, NotReplaced, PortTaken, PortsExhausted, AddressesExhausted, ImageNotFound, ImagePullFailed, DiskTooSmall,
//! Invalid, NotAllowed, NoRoom, WriteFailed, Terminating, BackendUnavailable, and those of failures. Reasons of `Available`: Running,
//! Healthy; Checking, Unhealthy, Stopped, Paused, Stalled, NotRunning, Unknown.

use controller_backend::{Machine, MachineState, Resources as Amounts};
use crds::compute::instance::{Exit, Instance, InstancePhase, InstanceStatus, PowerState, Resources};
use crds::quantity::Quantity;
use crds::status::{AVAILABLE, READY, condition};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Resource, ResourceExt};
use serde_json::{Value, json};

use super::health::Health;
use super::observe::Observed;
use super::pull;
use super::restart::{self, Ending, STEADY, UNHEALTHY};
use super::{InstanceKind, Step, secrets};
use crate::runtime::conditions::{Moment, Truth, set, whole_seconds};
use crate::runtime::failure::DETACH_PENDING;
use crate::runtime::{Account, Goal, Note, Plan, Report, Standing, Verdicts, Waiting, stand};

const MEBIBYTE: u64 = 1 << 20;

pub(super) fn report(account: &Account<'_, InstanceKind>) -> Report<InstanceStatus> {
    let Account { goal, object, observed, plan, failure, now } = account;
    let meta = object.meta();
    let mut status = object.status.clone().unwrap_or_default();
    if status.observed_generation != meta.generation {
        // What was wrong with another spec says nothing about this one.
        status.pull_failures = None;
        status.next_pull = None;
    }
    status.observed_generation = meta.generation;
    status.restart_count = Some(status.restart_count.unwrap_or_default());
    if let Some(observed) = observed {
        facts(&mut status, object, observed);
    }
    pull::account(&mut status, *observed, *plan, *failure, *now);
    let machine = observed.and_then(|observed| current(observed));
    let changed =
        observed.map(|observed| secrets::account(&mut status, object, observed, machine, *plan)).unwrap_or_default();
    let moment = Moment { now: *now, generation: meta.generation };
    let settled = failure.is_none() && plan.is_some_and(|plan| plan.steps.is_empty() && plan.waiting.is_none());
    let standing = if settled { standing(object, &status, machine) } else { None };
    let waiting = match plan.and_then(|plan| plan.waiting.clone()) {
        Some(waiting) => Some(waiting),
        None if settled && standing.is_none() && *goal == Goal::Present => Some(ended(&status)),
        None => plan.and_then(|plan| going_on(object, plan)),
    };
    let before_detaching = is_detaching(object);
    let (ready, mut notes) = stand(
        &mut status.conditions,
        *goal,
        standing,
        waiting.as_ref().filter(|_| *goal == Goal::Present),
        *failure,
        moment,
    );
    status.phase = Some(phase(*goal, object, &status, machine, ready, observed.is_some()));
    if before_detaching && failure.is_none() && plan.is_some_and(|plan| plan.steps.is_empty()) {
        notes.push(Note::normal("VolumeDetached", "The machine has let go of what the guest still had."));
    }
    notes.extend(changed);
    notes.extend(available(&mut status, object, *observed, moment));
    Report { status, notes }
}

/// The machine that the status tells about.
fn current(observed: &Observed) -> Option<&Machine> {
    observed.machines.iter().max_by_key(|machine| (is_active(machine), machine.created_at))
}

fn is_active(machine: &Machine) -> bool {
    matches!(machine.state, MachineState::Running | MachineState::Paused)
}

/// The amounts that a machine has: of its memory what its guest has taken by now.
fn in_force(machine: &Machine) -> Amounts {
    let given = machine.resources.memory_bytes;
    let taken = machine.memory.filter(|_| is_active(machine)).map_or(given, |memory| memory.taken_bytes);
    Amounts { memory_bytes: given.min(taken), ..machine.resources }
}

/// Whether the last report said that a guest is to let go of a Volume.
pub(super) fn is_detaching(instance: &Instance) -> bool {
    let ready = instance.status.as_ref().and_then(|status| condition(&status.conditions, READY));
    ready.is_some_and(|ready| ready.reason == DETACH_PENDING)
}

/// Copies what is known.
fn facts(status: &mut InstanceStatus, instance: &Instance, observed: &Observed) {
    let machine = current(observed);
    status.backend = Some(observed.backend.as_str().to_owned());
    status.host.clone_from(&observed.host);
    status.hostname = Some(instance.name_any());
    status.instance_type = Some(observed.instance_type.clone());
    status.machine_id = machine.map(|machine| machine.id.0.clone());
    status.image_id = machine.map(|machine| machine.image_id.clone());
    status.volumes.clone_from(&observed.held_volumes);
    status.started_at = machine.and_then(|machine| machine.started_at).map(|time| Time(whole_seconds(time)));
    status.resources = machine.map(in_force).or(observed.size.known().copied()).map(|amounts| {
        let (cpu, memory) = words(amounts);
        let max_memory = amounts.max_memory_bytes.map(|most| Quantity(memory_words(most)));
        Resources { cpu: Some(Quantity(cpu)), memory: Some(Quantity(memory)), max_memory, disk: None }
    });
    if machine.is_some_and(is_active) {
        status.next_restart = None;
        let steady = machine
            .and_then(|machine| machine.started_at)
            .is_some_and(|start| observed.now.duration_since(start) >= STEADY);
        if steady {
            status.crash_count = None;
        }
    }
    if let Some(MachineState::Exited(exit)) =
        machine.filter(|machine| observed.bounds.exceeded_by(&machine.security).is_some()).map(|machine| &machine.state)
    {
        let exit = restart::on_purpose(exit);
        // How it ended before that is known already.
        if status.last_exit.as_ref().is_none_or(|known| known.finished_at != exit.finished_at) {
            status.last_exit = Some(exit);
        }
    }
    if instance.spec.power_state == PowerState::Stopped {
        status.next_restart = None;
        status.crash_count = None;
        // Remembered, so that it is started whatever the restart policy says once the spec wants it to run.
        if let Some(MachineState::Exited(exit)) = machine.map(|machine| &machine.state) {
            status.last_exit = Some(restart::on_purpose(exit));
        }
        // What doesn't run has nothing to be restarted: it is started anew in any case.
        if !machine.is_some_and(is_active) {
            status.restart_token.clone_from(&instance.spec.restart_token);
        }
    }
}

/// How reality equals the spec, if it does.
fn standing(instance: &Instance, status: &InstanceStatus, machine: Option<&Machine>) -> Option<Standing<'static>> {
    let standing = |reason, message| Some(Standing { reason, message });
    if instance.spec.power_state == PowerState::Stopped {
        return standing("Stopped", "It is stopped on purpose.");
    }
    match machine.map(|machine| &machine.state) {
        Some(MachineState::Running) => standing("Running", "It runs."),
        Some(MachineState::Paused) => standing("Paused", "It is frozen on purpose."),
        _ if status.next_restart.is_none() && status.last_exit.as_ref().is_some_and(|exit| exit.code == 0) => {
            standing("Completed", "It ended with exit code 0 and is not started again.")
        }
        _ => None,
    }
}

/// What a status says of an ending before the machine is started again, in one write with the ending itself. What
/// follows at once on an ending that leads to no start is left to the report.
pub(super) fn ending(instance: &Instance, ending: &Ending, now: Timestamp) -> Value {
    let mut facts = json!({
        "lastExit": ending.exit,
        "crashCount": ending.crash_count,
        "restartCount": ending.restart_count,
        "nextRestart": ending.next_restart.map(Time),
    });
    if ending.next_restart.is_some_and(|due| due <= now) {
        let mut conditions = instance.status.as_ref().map(|status| status.conditions.clone()).unwrap_or_default();
        let moment = Moment { now, generation: instance.meta().generation };
        let message = format!("{} and is being started again.", how_it_ended(&ending.exit));
        set(&mut conditions, READY, Truth::False, "Restarting", &message, moment);
        if ending.exit.reason != UNHEALTHY {
            set(&mut conditions, AVAILABLE, Truth::False, "NotRunning", "It does not run.", moment);
        }
        facts["conditions"] = json!(conditions);
        facts["phase"] = json!(InstancePhase::Provisioning);
    }
    facts
}

fn how_it_ended(exit: &Exit) -> String {
    format!("It ended with exit code {} ({})", exit.code, exit.reason)
}

/// It does not run, and nothing is to be done about it now.
fn ended(status: &InstanceStatus) -> Waiting {
    let how = status.last_exit.as_ref().map_or("It ended".to_owned(), how_it_ended);
    if status.next_restart.is_some() {
        Waiting::briefly("BackOff", format!("{how} and is started again after a pause: status.nextRestart says when."))
    } else {
        Waiting::on_user("Failed", format!("{how} and is not started again: spec.restartPolicy says so."))
    }
}

/// What the steps that are about to be taken do, in words.
fn going_on(instance: &Instance, plan: &Plan<Step>) -> Option<Waiting> {
    let stops = plan.steps.iter().any(|step| matches!(step, Step::Stop { .. }));
    let first = plan.steps.iter().find(|step| !matches!(step, Step::StopProbe | Step::RefreshFiles { .. }))?;
    Some(match first {
        Step::Pull(reference) => Waiting::briefly("PullingImage", format!("Fetching image `{reference}`.")),
        _ if stops && instance.spec.power_state == PowerState::Stopped => {
            Waiting::briefly("Stopping", "It is being stopped.")
        }
        _ if restart::asked(instance).is_some()
            && (stops || plan.steps.iter().any(|step| matches!(step, Step::RecordRestart { exit: Some(_), .. }))) =>
        {
            Waiting::briefly("Restarting", "It is stopped and started again, as `restartToken` asks.")
        }
        _ if stops && plan.steps.iter().any(|step| matches!(step, Step::AnnounceRestart(_)))
            || secrets::is_restarting(instance) =>
        {
            Waiting::briefly("Restarting", "It is stopped and started again, as `secretUpdatePolicy` asks.")
        }
        _ if stops => Waiting::briefly("Replacing", "The machine is being stopped, to be started again or replaced."),
        _ => Waiting::briefly("Provisioning", "It is being made."),
    })
}

fn phase(
    goal: Goal,
    instance: &Instance,
    status: &InstanceStatus,
    machine: Option<&Machine>,
    ready: Verdicts,
    observed: bool,
) -> InstancePhase {
    if goal == Goal::Absent {
        return InstancePhase::Terminating;
    }
    if !observed || ready.unknown {
        // Nothing is known now: what was said stands.
        return status.phase.unwrap_or(InstancePhase::Pending);
    }
    let is_stalled = machine.is_some_and(|machine| machine.stall.is_some());
    let exited = machine.is_some_and(|machine| matches!(machine.state, MachineState::Exited(_)));
    match machine.map(|machine| &machine.state) {
        Some(MachineState::Running) => InstancePhase::Running,
        // Nobody froze it on purpose.
        Some(MachineState::Paused) if is_stalled && instance.spec.power_state != PowerState::Paused => {
            InstancePhase::Failed
        }
        Some(MachineState::Paused) => InstancePhase::Paused,
        _ if ready.holds && instance.spec.power_state == PowerState::Stopped => InstancePhase::Stopped,
        _ if ready.holds => InstancePhase::Succeeded,
        _ if ready.stalled => InstancePhase::Failed,
        _ if exited && status.next_restart.is_some() => InstancePhase::Failed,
        _ => match condition(&status.conditions, READY).map(|ready| ready.reason.as_str()) {
            Some("DependencyMissing" | "DependencyNotReady") => InstancePhase::Pending,
            _ => InstancePhase::Provisioning,
        },
    }
}

/// Whether it serves. Gives what should be told because it is news.
fn available(
    status: &mut InstanceStatus,
    instance: &Instance,
    observed: Option<&Observed>,
    moment: Moment,
) -> Option<Note> {
    let before = condition(&status.conditions, AVAILABLE).map(|available| available.reason.clone());
    let Some(observed) = observed else {
        set(&mut status.conditions, AVAILABLE, Truth::Unknown, "Unknown", "Nothing is known now.", moment);
        return None;
    };
    let health = observed.probing.as_ref().map(|probing| &probing.health);
    let checked = instance.spec.health_check.is_some();
    let mut note = None;
    let (truth, reason, message) = match current(observed).map(|machine| &machine.state) {
        Some(MachineState::Running) if !checked => (Truth::True, "Running", "It runs.".to_owned()),
        Some(MachineState::Running) => match health {
            Some(Health::Passing) => {
                if before.as_deref() == Some(UNHEALTHY) {
                    note = Some(Note::normal("Healthy", "The health check passes again."));
                }
                (Truth::True, "Healthy", "The health check passes.".to_owned())
            }
            Some(Health::Failing(why)) => {
                let message = format!("The health check fails: {why}.");
                if before.as_deref() != Some(UNHEALTHY) {
                    note = Some(Note::warning(UNHEALTHY, message.clone()));
                }
                (Truth::False, UNHEALTHY, message)
            }
            Some(Health::Unknown) | None => {
                // A new process doesn't know yet, and says what was known until it does.
                let known = condition(&status.conditions, AVAILABLE).filter(|known| known.reason == "Healthy");
                if known.is_some_and(|known| known.status == "True") && is_same_start(instance, observed) {
                    (Truth::True, "Healthy", "The health check passes.".to_owned())
                } else {
                    (Truth::False, "Checking", "The health check has not passed yet.".to_owned())
                }
            }
        },
        Some(MachineState::Paused) if is_stalled(observed) => {
            (Truth::False, "Stalled", "It stands still: the host can't write for it.".to_owned())
        }
        Some(MachineState::Paused) => (Truth::False, "Paused", "It is frozen.".to_owned()),
        // Why it was stopped decides how it goes on: that stays until it runs again.
        Some(MachineState::Exited(_)) if before.as_deref() == Some(UNHEALTHY) => return None,
        _ if instance.spec.power_state == PowerState::Stopped => (Truth::False, "Stopped", "It is stopped.".to_owned()),
        _ => (Truth::False, "NotRunning", "It does not run.".to_owned()),
    };
    set(&mut status.conditions, AVAILABLE, truth, reason, &message, moment);
    note
}

/// Whether the machine stands still that nobody froze.
fn is_stalled(observed: &Observed) -> bool {
    current(observed).is_some_and(|machine| machine.stall.is_some())
}

/// Whether the last report was about the start that goes on now.
fn is_same_start(instance: &Instance, observed: &Observed) -> bool {
    let started = current(observed).and_then(|machine| machine.started_at).map(|time| Time(whole_seconds(time)));
    started.is_some() && instance.status.as_ref().is_some_and(|status| status.started_at == started)
}

/// Amounts, as people write them.
pub(super) fn words(amounts: Amounts) -> (String, String) {
    let cpu = if amounts.cpu_millis.is_multiple_of(1000) {
        (amounts.cpu_millis / 1000).to_string()
    } else {
        format!("{}m", amounts.cpu_millis)
    };
    (cpu, memory_words(amounts.memory_bytes))
}

/// Memory, as people write it.
pub(super) fn memory_words(bytes: u64) -> String {
    [(MEBIBYTE << 10, "Gi"), (MEBIBYTE, "Mi"), (1 << 10, "Ki")]
        .into_iter()
        .find(|(unit, _)| bytes.is_multiple_of(*unit))
        .map_or_else(|| bytes.to_string(), |(unit, suffix)| format!("{}{suffix}", bytes / unit))
}
