//! Decides what a machine that stays is given back, whatever else its Instance waits for. Pure.

use controller_backend::{Machine, MachineState, machine_name};
use crds::compute::instance::Instance;

use super::Step;
use super::observe::{Observed, Target};
use super::wanted;
use crate::network::firewall::address;
use crate::runtime::Plan;

/// A machine that stays gets back what somebody took from it by hand, whatever else is waited for.
pub(super) fn restored(
    instance: &Instance,
    observed: &Observed,
    kept: Option<&Machine>,
    mut plan: Plan<Step>,
) -> Plan<Step> {
    // One that goes needs nothing, and an address that is about to change isn't given.
    let is_over = plan.steps.iter().any(|step| matches!(step, Step::Remove(_) | Step::Allocate { .. }));
    let step = kept.filter(|_| !is_over).and_then(|machine| restore(instance, observed, machine));
    plan.steps.splice(0..0, step);
    plan
}

/// What somebody took from it by hand is given back: its name, and its place in its network while that is there.
fn restore(instance: &Instance, observed: &Observed, machine: &Machine) -> Option<Step> {
    let name = machine_name(&observed.owner);
    let network = match (&observed.network, address(instance)) {
        (Target::Ready(network) | Target::Going(network), Some(address))
            if machine.attachment.is_none() && network.has(address) =>
        {
            Some(wanted::attachment(&observed.owner, network.uid, address))
        }
        _ => None,
    };
    let runs = matches!(machine.state, MachineState::Running | MachineState::Paused);
    // A virtual machine that runs can't be renamed, by nobody.
    let is_renamed = machine.name != name && !(observed.disk.is_some() && runs);
    (is_renamed || network.is_some()).then(|| Step::Restore { id: machine.id.clone(), name, network })
}
