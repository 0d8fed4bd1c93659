//! Decides what an InstanceSnapshot needs. Input: the object and what exists. Output: a plan. Never talks to a backend.

use controller_backend::MachineSnapshotSpec;
use crds::compute::instance_snapshot::InstanceSnapshot;

use super::Step;
use super::observe::{Observed, Subject};
use crate::network::vpc::instances;
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, snapshot: &InstanceSnapshot, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent => absent(observed),
        Goal::Present => present(snapshot, observed),
    }
}

fn absent(observed: &Observed) -> Plan<Step> {
    let there = observed.snapshot.is_some();
    if there && !observed.users.is_empty() {
        return Plan::wait(Waiting::on("InUse", format!("In use by {}.", instances(&observed.users))));
    }
    // A half-taken one is nobody's data.
    if there || observed.leftovers { Plan::of(vec![Step::Remove]) } else { Plan::default() }
}

fn present(snapshot: &InstanceSnapshot, observed: &Observed) -> Plan<Step> {
    let was_ready = snapshot.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true));
    if observed.snapshot.is_some() {
        return Plan::default();
    }
    if was_ready {
        // One of a later moment in its place would not be what the user took it for.
        let message = "Its data is not on the host any more: somebody removed it there, as `docker image prune -a` does. \
                       Delete the InstanceSnapshot and take another one.";
        return Plan::wait(Waiting::on_user("DataMissing", message));
    }
    match &observed.subject {
        Subject::Settled => Plan::default(),
        Subject::Missing(message) => Plan::wait(Waiting::on("DependencyMissing", message.clone())),
        Subject::There(machine) => {
            let spec = MachineSnapshotSpec { owner: observed.owner.clone(), machine: machine.clone() };
            // Where it is made is in the status before anything is there, or a deletion would not know where to look.
            let tell = snapshot.status.as_ref().is_none_or(|status| status.backend.is_none());
            Plan { slow: true, tell, ..Plan::of(vec![Step::Take(spec)]) }
        }
    }
}
