//! Decides what a SecurityGroup waits for. Pure.

use crds::network::security_group::SecurityGroup;

use super::Step;
use super::observe::Observed;
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, group: &SecurityGroup, observed: &Observed) -> Plan<Step> {
    if goal == Goal::Absent {
        // Its rules go with the object.
        return Plan::default();
    }
    if let Some(reason) = &observed.bad_selector {
        return Plan::wait(Waiting::on_user("Invalid", format!("spec.selector can't be used: {reason}.")));
    }
    if !observed.has_vpc {
        let message = format!("Vpc `{}` does not exist.", group.spec.vpc);
        return Plan::wait(Waiting::on("DependencyMissing", message));
    }
    if !observed.missing.is_empty() {
        let names: Vec<String> = observed.missing.iter().map(|name| format!("`{name}`")).collect();
        let noun = if names.len() == 1 { "SecurityGroup" } else { "SecurityGroups" };
        let message = format!("{noun} {} in its rules: not there, so that nothing passes by these.", names.join(", "));
        return Plan::wait(Waiting::on("DependencyMissing", message));
    }
    if observed.in_force.is_none() {
        return Plan::wait(Waiting::briefly("Provisioning", "Its rules are being put in force."));
    }
    Plan::default()
}
