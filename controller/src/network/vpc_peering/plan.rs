//! Decides what a VpcPeering waits for. Pure.

use crds::network::vpc_peering::VpcPeering;

use super::Step;
use super::observe::Observed;
use super::sides::{Sides, peer};
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, peering: &VpcPeering, observed: &Observed) -> Plan<Step> {
    if goal == Goal::Absent {
        // What it opened closes with the object.
        return Plan::default();
    }
    let waiting = match &observed.sides {
        Sides::Open(..) if observed.in_force => return Plan::default(),
        Sides::Open(..) => Waiting::briefly("Provisioning", "The networks are being opened to each other."),
        Sides::Missing(name) => {
            Waiting::on("DependencyMissing", format!("Vpc `{name}` does not exist, or has no addresses yet."))
        }
        Sides::Same => Waiting::on_user("Invalid", "Both sides are the same Vpc."),
        Sides::Internal(name) => {
            Waiting::on_user("Internal", format!("Vpc `{name}` has no way out, because it is `internal`."))
        }
        Sides::Overlap(one, other) => {
            let message = format!("The ranges {one} and {other} overlap: one of the Vpcs must be made with another.");
            Waiting::on_user("CidrOverlap", message)
        }
        Sides::Undeclared => {
            let (namespace, vpc) = peer(peering);
            let message = format!(
                "Namespace `{namespace}` has no VpcPeering from its Vpc `{vpc}` to this one: both sides must declare it."
            );
            Waiting::on("PeerUndeclared", message)
        }
    };
    Plan::wait(waiting)
}
