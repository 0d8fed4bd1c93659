//! Decides what an Instance needs. Input: the Instance and what exists. Output: a plan. Never talks to a backend.

use std::time::Duration;

use controller_backend::{Machine, MachineState};
use crds::compute::instance::{Instance, OnFailure, PowerState};
use crds::status::{READY, condition, is_true};
use kube::{Resource, ResourceExt};

use super::allocate::{self, host_port_of};
use super::amounts;
use super::bounds;
use super::fit::unfit;
use super::health::{Health, ProbeSpec};
use super::mounting::{self, Change};
use super::needs::{cannot_start, may_make_vpc, missing, not_ready};
use super::observe::{Observed, Target, known_volumes, wanted_hash};
use super::origin::{self, of_another_backend};
use super::projected::{ensure_files, refreshed};
use super::pull;
use super::restart::{self, Decision};
use super::restore::restored;
use super::secrets::{self, Due};
use super::stall;
use super::wanted::{self, Parts, may_replace};
use super::{HostPorts, Step};
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, instance: &Instance, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent => absent(instance, observed),
        Goal::Present => present(instance, observed),
    }
}

fn absent(instance: &Instance, observed: &Observed) -> Plan<Step> {
    let mut steps = Vec::new();
    for machine in &observed.machines {
        steps.extend(take_down(instance, machine));
        steps.push(Step::Remove(machine.id.clone()));
    }
    if observed.files_left {
        steps.push(Step::RemoveFiles);
    }
    unless_probed(observed, &mut steps);
    let slow = !steps.is_empty();
    hold_ports(observed, HostPorts::new(), &mut steps);
    Plan { slow, ..Plan::of(steps) }
}

fn present(instance: &Instance, observed: &Observed) -> Plan<Step> {
    let hash = wanted_hash(instance, observed);
    let kept = kept(observed, hash.as_deref());
    let surplus: Vec<_> = observed
        .machines
        .iter()
        .filter(|machine| kept.is_none_or(|kept| kept.id != machine.id))
        .flat_map(|machine| take_down(instance, machine).into_iter().chain([Step::Remove(machine.id.clone())]))
        .collect();
    if !surplus.is_empty() {
        return Plan { slow: true, ..Plan::of(surplus) };
    }
    let plan = if instance.spec.power_state == PowerState::Stopped {
        stopped(instance, observed, kept)
    } else {
        refreshed(observed, kept, wished(instance, observed, kept, hash.as_deref()))
    };
    restored(instance, observed, kept, plan)
}

/// It should have this machine, or another one.
fn wished(instance: &Instance, observed: &Observed, kept: Option<&Machine>, hash: Option<&str>) -> Plan<Step> {
    if kept.is_none() && rests_without_machine(instance) && restart::asked(instance).is_none() {
        return Plan::default();
    }
    if let Some(plan) = not_to_be_had(instance, observed, kept) {
        return plan;
    }
    // What must be known before anything can be said about the machine.
    if let Some(waiting) = missing(instance, observed, kept) {
        let mut plan = Plan::wait(waiting);
        if may_make_vpc(instance, observed) {
            plan.steps.push(Step::MakeDefaultVpc);
            plan.last = true;
        }
        return plan;
    }
    match kept {
        Some(machine) if hash == Some(machine.spec_hash.as_str()) => {
            match allocation(instance, observed) {
                Ok(Some(step)) => Plan::of(vec![step]),
                Ok(None) => keep(instance, observed, machine),
                // What can't be allocated anew doesn't tear down what runs.
                Err(waiting) => {
                    let plan = keep(instance, observed, machine);
                    Plan { waiting: plan.waiting.clone().or(Some(waiting)), ..plan }
                }
            }
        }
        Some(machine) if observed.disk.is_some() && !hash.is_none_or(|hash| may_replace(&machine.spec_hash, hash)) => {
            let plan = keep(instance, observed, machine);
            let waiting = Waiting::on_user(
                "NotReplaced",
                "The machine was made from another image, network, disk size, keys or cloudInit, which count when it is made \
                 only. Undo the change, or change `replaceToken` too: then it is replaced, and its root disk is lost.",
            );
            Plan { waiting: plan.waiting.clone().or(Some(waiting)), ..plan }
        }
        _ => make(instance, observed, kept),
    }
}

/// What is done about an Instance that asks for what it can't have or may not, or whose machine has more than it may:
/// whatever is asked for, such a machine doesn't go on.
fn not_to_be_had(instance: &Instance, observed: &Observed, kept: Option<&Machine>) -> Option<Plan<Step>> {
    let waiting = unfit(instance, observed.backend)
        .or_else(|| of_another_backend(instance, observed))
        .or_else(|| observed.bounds.exceeded_by(&bounds::asked(instance)));
    let Some(machine) = kept.filter(|machine| observed.bounds.exceeded_by(&machine.security).is_some()) else {
        // What was made before goes on.
        return waiting.map(Plan::wait);
    };
    let mut steps = take_down(instance, machine);
    let slow = !steps.is_empty();
    unless_probed(observed, &mut steps);
    if waiting.is_none() {
        // It is asked for less by now, and made anew with that.
        steps.push(Step::Remove(machine.id.clone()));
    }
    Some(Plan { slow, waiting, ..Plan::of(steps) })
}

/// The machine that stays: the one that is as it should be, or else the newest. One that the engine could not take
/// down can only be removed.
fn kept<'a>(observed: &'a Observed, hash: Option<&str>) -> Option<&'a Machine> {
    let alive = || observed.machines.iter().filter(|machine| machine.state != MachineState::Dead);
    alive().rfind(|machine| Some(machine.spec_hash.as_str()) == hash).or_else(|| alive().next_back())
}

/// It should not run.
fn stopped(instance: &Instance, observed: &Observed, machine: Option<&Machine>) -> Plan<Step> {
    let mut steps = machine.map(|machine| take_down(instance, machine)).unwrap_or_default();
    let slow = !steps.is_empty();
    unless_probed(observed, &mut steps);
    hold_ports(observed, HostPorts::new(), &mut steps);
    if let (Some(machine), Target::Ready(resources)) = (machine, &observed.size)
        && machine.resources != *resources
    {
        steps.push(Step::Resize { id: machine.id.clone(), resources: *resources });
    }
    if !slow && let Some(machine) = machine {
        let Change { define, waiting, .. } = mounting::change(instance, observed, machine);
        steps.extend(define);
        return Plan { waiting, ..Plan::of(steps) };
    }
    Plan { slow, ..Plan::of(steps) }
}

/// The machine is as it should be: see to what it mounts and does.
fn keep(instance: &Instance, observed: &Observed, machine: &Machine) -> Plan<Step> {
    let Change { define, plug, waiting } = mounting::change(instance, observed, machine);
    let mut plan = sized(instance, observed, machine, define.into_iter().collect());
    plan.waiting = plan.waiting.or(waiting);
    // What is about to be stopped has nothing plugged in or out. A guest that doesn't let go keeps nothing else waiting.
    if !plan.steps.iter().any(|step| matches!(step, Step::Stop { .. })) {
        plan.steps.extend(plug);
        // One that doesn't answer keeps nothing else waiting.
        let is_frozen = machine.left_frozen && machine.state == MachineState::Running;
        plan.steps.extend(is_frozen.then(|| Step::Thaw(machine.id.clone())));
    }
    plan
}

/// See to its amounts, after these steps, and then to what it does.
fn sized(instance: &Instance, observed: &Observed, machine: &Machine, mut steps: Vec<Step>) -> Plan<Step> {
    let amounts::Change { resize, waiting, look_again } = amounts::change(instance, observed, machine);
    steps.extend(resize);
    let plan = drive(instance, observed, machine, steps);
    Plan {
        waiting: plan.waiting.clone().or(waiting),
        look_again: plan.look_again.into_iter().chain(look_again).min(),
        ..plan
    }
}

/// See to what the machine does, after these steps; a restart that was asked for, or that a Secret calls for, comes first.
fn drive(instance: &Instance, observed: &Observed, machine: &Machine, mut steps: Vec<Step>) -> Plan<Step> {
    let active = matches!(machine.state, MachineState::Running | MachineState::Paused);
    let due = if active { secrets::due(instance, observed, machine) } else { None };
    let is_asked = restart::asked(instance).is_some() || matches!(due, Some(Due::Now(_)));
    if !active || !is_asked {
        let plan = go_on(instance, observed, machine, steps);
        let later = match due {
            Some(Due::At(time)) => Some(time),
            _ => None,
        };
        return Plan { look_again: plan.look_again.into_iter().chain(later).min(), ..plan };
    }
    // What couldn't be started again goes on as it is.
    if let Some(waiting) = cannot_start(instance, observed, machine) {
        let plan = go_on(instance, observed, machine, steps);
        return Plan { waiting: plan.waiting.clone().or(Some(waiting)), ..plan };
    }
    unless_probed(observed, &mut steps);
    // Before the stop, so that one cut off there is started again, which what ended by itself may not be.
    if let Some(Due::Now(changed)) = due
        && !secrets::is_restarting(instance)
    {
        steps.push(Step::AnnounceRestart(changed));
    }
    steps.extend(take_down(instance, machine));
    Plan { slow: true, ..Plan::of(steps) }
}

fn go_on(instance: &Instance, observed: &Observed, machine: &Machine, mut steps: Vec<Step>) -> Plan<Step> {
    let id = machine.id.clone();
    let paused = instance.spec.power_state == PowerState::Paused;
    match &machine.state {
        MachineState::Running if paused => {
            steps.push(Step::Pause(id));
            unless_probed(observed, &mut steps);
            Plan::of(steps)
        }
        MachineState::Paused if !paused => {
            steps.push(stall::go_on(machine));
            Plan::of(steps)
        }
        MachineState::Running => running(instance, observed, machine, steps),
        MachineState::Paused => {
            unless_probed(observed, &mut steps);
            Plan::of(steps)
        }
        MachineState::Created => start(instance, observed, machine, steps),
        MachineState::Exited(exit) => {
            unless_probed(observed, &mut steps);
            let is_asked = restart::asked(instance).is_some() || secrets::is_restarting(instance);
            if is_asked || restart::was_on_purpose(instance, exit) {
                return start(instance, observed, machine, steps);
            }
            match restart::decide(instance, exit, machine.started_at, observed.now) {
                Decision::Rest => Plan::of(steps),
                Decision::Start => start(instance, observed, machine, steps),
                Decision::WaitUntil(time) => Plan { look_again: Some(time), ..Plan::of(steps) },
                Decision::Record(ending) => {
                    let next = ending.next_restart;
                    steps.push(Step::RecordEnding(ending));
                    if next.is_some_and(|due| due <= observed.now) {
                        return start(instance, observed, machine, steps);
                    }
                    Plan { look_again: next, ..Plan::of(steps) }
                }
            }
        }
        MachineState::Dead => make(instance, observed, Some(machine)),
    }
}

/// It runs and should.
fn running(instance: &Instance, observed: &Observed, machine: &Machine, mut steps: Vec<Step>) -> Plan<Step> {
    if !observed.files_in_place && observed.inputs.missing.is_empty() {
        steps.push(ensure_files(observed));
    }
    // A new process has none of them yet.
    hold_ports(observed, published(instance), &mut steps);
    let probing = observed.probing.as_ref();
    let mut tell = false;
    match probe(instance, machine) {
        Some(wanted) => match probing {
            Some(probing) if probing.spec == wanted => {
                let failing = matches!(probing.health, Health::Failing(_));
                if failing && wanted.check.on_failure == OnFailure::Restart {
                    steps.push(Step::StopProbe);
                    steps.extend(take_down(instance, machine));
                    // The status must say why it was stopped before it is.
                    tell = true;
                }
            }
            _ => steps.push(Step::Probe(wanted)),
        },
        None => unless_probed(observed, &mut steps),
    }
    let crashed = instance.status.as_ref().and_then(|status| status.crash_count).unwrap_or_default() > 0;
    let look_again = machine.started_at.filter(|_| crashed).and_then(|start| start.checked_add(restart::STEADY).ok());
    Plan { tell, look_again: look_again.filter(|time| *time > observed.now), ..Plan::of(steps) }
}

/// Starts a machine, once all that it needs is there.
fn start(instance: &Instance, observed: &Observed, machine: &Machine, mut steps: Vec<Step>) -> Plan<Step> {
    if let Some(waiting) = cannot_start(instance, observed, machine) {
        return Plan { waiting: Some(waiting), ..Plan::of(steps) };
    }
    if !observed.inputs.files.is_empty() && !steps.iter().any(|step| matches!(step, Step::EnsureFiles { .. })) {
        steps.push(ensure_files(observed));
    }
    hold_ports(observed, published(instance), &mut steps);
    let due = instance.status.as_ref().is_some_and(|status| status.next_restart.is_some());
    steps.extend(secrets::record(instance, observed, machine));
    if let Some(token) = restart::asked(instance) {
        let exit = match &machine.state {
            MachineState::Exited(exit) => Some(restart::on_purpose(exit)),
            _ => None,
        };
        // Before the start, so that a restart cut off here goes on and doesn't take place twice.
        steps.push(Step::RecordRestart { token: token.to_owned(), exit });
        steps.push(Step::Start(machine.id.clone()));
        return Plan::of(steps);
    }
    let is_restart = due || steps.iter().any(|step| matches!(step, Step::RecordEnding(_)));
    steps.push(Step::Start(machine.id.clone()));
    if is_restart {
        steps.push(Step::RecordStart);
    }
    Plan::of(steps)
}

/// There is no machine, or another than there should be.
fn make(instance: &Instance, observed: &Observed, old: Option<&Machine>) -> Plan<Step> {
    let plan = replace(instance, observed, old);
    let Some(old) = old.filter(|old| old.state != MachineState::Dead) else { return plan };
    // One that has ended wasn't stopped to be replaced: that is done only once the image is there.
    if matches!(old.state, MachineState::Exited(_)) && observed.image.is_none() {
        return meanwhile(drive(instance, observed, old, Vec::new()), plan);
    }
    plan
}

/// The old machine goes on until there is something to replace it with: one that has ended is started again.
fn meanwhile(old: Plan<Step>, new: Plan<Step>) -> Plan<Step> {
    Plan {
        steps: [old.steps, new.steps].concat(),
        waiting: new.waiting.or(old.waiting),
        look_again: old.look_again.into_iter().chain(new.look_again).min(),
        tell: old.tell || new.tell,
        ..new
    }
}

fn replace(instance: &Instance, observed: &Observed, old: Option<&Machine>) -> Plan<Step> {
    let origin = origin::words(instance, observed);
    // Until then it may turn out to be of another backend, and what can't be made gets no address.
    if let Some(why) = origin::not_ready(observed) {
        return Plan::wait(Waiting::briefly("DependencyNotReady", format!("{origin} {why}.")));
    }
    match allocation(instance, observed) {
        Err(waiting) => return Plan::wait(waiting),
        Ok(Some(step)) => return Plan::of(vec![step]),
        Ok(None) => {}
    }
    if let Some(waiting) = missing(instance, observed, None).or_else(|| not_ready(instance, observed, None)) {
        return Plan::wait(waiting);
    }
    if let Some(waiting) = origin::disk_too_small(instance, observed) {
        return Plan::wait(waiting);
    }
    let Some(image) = &observed.image else {
        if observed.disk.is_none() && observed.snapshot.is_none() {
            return pull::plan(instance, observed.now);
        }
        let message = format!("The data of {origin} is not on this host.");
        return Plan::wait(Waiting::briefly("DependencyNotReady", message));
    };
    let mut steps = Vec::new();
    if let Some(old) = old {
        unless_probed(observed, &mut steps);
        steps.extend(take_down(instance, old));
        steps.push(Step::Remove(old.id.clone()));
        return Plan { slow: true, ..Plan::of(steps) };
    }
    let (Some(network), Some(ip), Target::Ready(resources)) = (
        observed.network.known(),
        instance.status.as_ref().and_then(|status| status.ip.as_deref()?.parse().ok()),
        &observed.size,
    ) else {
        return Plan::default();
    };
    let volumes = known_volumes(observed);
    let ports = instance.status.as_ref().map(|status| status.ports.clone()).unwrap_or_default();
    let parts = Parts {
        owner: &observed.owner,
        network: network.uid,
        address: ip,
        ports: &ports,
        volumes: &volumes,
        snapshot: observed.snapshot.as_ref().and_then(Target::known).map(|snapshot| snapshot.uid),
        disk: observed.disk.as_ref(),
    };
    let image = origin::name(instance, observed, image);
    if !observed.inputs.files.is_empty() {
        steps.push(ensure_files(observed));
    }
    let machine = wanted::machine(instance, &parts, image, *resources, &observed.inputs);
    steps.push(Step::Create(Box::new(machine)));
    // Somebody has removed the machine that the status says is there.
    let claims_ready = instance.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY));
    Plan { tell: claims_ready, ..Plan::of(steps) }
}

/// The step that writes address and ports into the status, unless they are as they should be.
fn allocation(instance: &Instance, observed: &Observed) -> Result<Option<Step>, Waiting> {
    let Some(network) = observed.network.known() else { return Ok(None) };
    let Some((cidr, gateway)) = network.range else {
        return match not_ready(instance, observed, None) {
            Some(waiting) => Err(waiting),
            None => Ok(None),
        };
    };
    let ip = allocate::address(instance, cidr, gateway, &observed.supply)?;
    let (ports, published) = allocate::ports(instance, &observed.supply)?;
    let status = instance.status.as_ref();
    if status.is_some_and(|status| status.ip.as_deref() == Some(&ip.to_string()) && status.ports == ports) {
        return Ok(None);
    }
    let hold = observed.held.is_some();
    Ok(Some(Step::Allocate { network: network.uid, ip, ports, published, hold }))
}

/// What the Instance publishes, as its status tells it.
fn published(instance: &Instance) -> HostPorts {
    instance.status.iter().flat_map(|status| &status.ports).filter_map(host_port_of).collect()
}

/// The step that keeps these ports of the host for it and no others, where that is ours to do and isn't done.
fn hold_ports(observed: &Observed, wanted: HostPorts, steps: &mut Vec<Step>) {
    if observed.held.as_ref().is_some_and(|held| *held != wanted) {
        steps.push(Step::HoldPorts(wanted));
    }
}

/// Stops a machine, whatever it does.
fn take_down(instance: &Instance, machine: &Machine) -> Vec<Step> {
    let grace = Duration::from_secs(u64::try_from(instance.spec.termination_grace_period_seconds).unwrap_or_default());
    let stop = Step::Stop { id: machine.id.clone(), grace };
    match machine.state {
        MachineState::Running => vec![stop],
        // A frozen machine can't hear that it is asked to stop.
        MachineState::Paused => stall::stop(machine, stop),
        MachineState::Created | MachineState::Exited(_) | MachineState::Dead => Vec::new(),
    }
}

fn unless_probed(observed: &Observed, steps: &mut Vec<Step>) {
    if observed.probing.is_some() {
        steps.insert(0, Step::StopProbe);
    }
}

/// The check that should be going on for a machine that runs.
fn probe(instance: &Instance, machine: &Machine) -> Option<ProbeSpec> {
    Some(ProbeSpec {
        instance: (instance.namespace().unwrap_or_default(), instance.name_any()),
        check: instance.spec.health_check.clone()?,
        machine: machine.id.clone(),
        started_at: machine.started_at,
        address: machine.attachment.map(|attachment| attachment.address)?,
    })
}

/// Whether it ended for good and its machine went afterwards: it isn't run a second time for that.
fn rests_without_machine(instance: &Instance) -> bool {
    let Some(status) = &instance.status else { return false };
    let ready = condition(&status.conditions, READY);
    ready.is_some_and(|ready| {
        matches!(ready.reason.as_str(), "Completed" | "Failed")
            && ready.observed_generation == instance.meta().generation
    }) && status.last_exit.as_ref().is_some_and(|exit| restart::rests(instance.spec.restart_policy, exit))
}
