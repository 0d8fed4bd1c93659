//! Decides what an InstanceSnapshot needs. Input: the object and what exists. Output: a plan. Never talks to a backend.

use controller_backend::{MachineSnapshotSource, MachineSnapshotSpec};
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::storage::volume::DeletionPolicy;

use super::Step;
use super::observe::{Observed, Subject};
use crate::network::vpc::instances;
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, snapshot: &InstanceSnapshot, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent => absent(snapshot, observed),
        Goal::Present => present(snapshot, observed),
    }
}

fn absent(snapshot: &InstanceSnapshot, observed: &Observed) -> Plan<Step> {
    match (snapshot.spec.deletion_policy, &observed.snapshot) {
        (DeletionPolicy::Retain, Some(real)) if real.retained => Plan::default(),
        (_, Some(_)) if !observed.users.is_empty() => {
            Plan::wait(Waiting::on("InUse", format!("In use by {}.", instances(&observed.users))))
        }
        (DeletionPolicy::Retain, Some(_)) => Plan::of(vec![Step::Retain]),
        (DeletionPolicy::Delete, Some(_)) => Plan::of(vec![Step::Remove]),
        // A half-taken one is nobody's data.
        (_, None) if observed.leftovers => Plan::of(vec![Step::Remove]),
        (_, None) => Plan::default(),
    }
}

fn present(snapshot: &InstanceSnapshot, observed: &Observed) -> Plan<Step> {
    let was_ready = snapshot.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true));
    match (&observed.snapshot, &observed.subject) {
        // A retained one is no longer so.
        (Some(real), _) if real.retained => {
            take(snapshot, observed, MachineSnapshotSource::Retained(observed.owner.uid))
        }
        (Some(_), _) => Plan::default(),
        (None, _) if was_ready => {
            // One of a later moment in its place would not be what the user took it for.
            let message = "Its data is not on the host any more: somebody removed it there, as `docker image prune -a` \
                           does. Delete the InstanceSnapshot and take another one.";
            Plan::wait(Waiting::on_user("DataMissing", message))
        }
        (None, Subject::Settled) => Plan::default(),
        (None, Subject::Missing(message)) => Plan::wait(Waiting::on("DependencyMissing", message.clone())),
        (None, Subject::There(source)) => take(snapshot, observed, source.clone()),
    }
}

fn take(snapshot: &InstanceSnapshot, observed: &Observed, source: MachineSnapshotSource) -> Plan<Step> {
    let spec = MachineSnapshotSpec { owner: observed.owner.clone(), source };
    // Where it is made is in the status before anything is there, or a deletion would not know where to look.
    let tell = snapshot.status.as_ref().is_none_or(|status| status.backend.is_none());
    Plan { slow: true, tell, ..Plan::of(vec![Step::Take(spec)]) }
}
