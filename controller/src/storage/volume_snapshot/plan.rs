//! Decides what a VolumeSnapshot needs. Input: the object and what exists. Output: a plan. Never talks to a backend.

use controller_backend::{SnapshotSource, SnapshotSpec};
use crds::storage::volume::DeletionPolicy;
use crds::storage::volume_snapshot::VolumeSnapshot;

use super::Step;
use super::observe::{Observed, Subject};
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, snapshot: &VolumeSnapshot, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent => absent(snapshot, observed),
        Goal::Present => present(snapshot, observed),
    }
}

fn absent(snapshot: &VolumeSnapshot, observed: &Observed) -> Plan<Step> {
    match (snapshot.spec.deletion_policy, &observed.snapshot) {
        (DeletionPolicy::Retain, Some(real)) if !real.retained => Plan::of(vec![Step::Retain]),
        (DeletionPolicy::Retain, Some(_)) => Plan::default(),
        (DeletionPolicy::Delete, Some(_)) => Plan::of(vec![Step::Remove]),
        // A half-taken one is nobody's data.
        (_, None) if observed.leftovers => Plan::of(vec![Step::Remove]),
        (_, None) => Plan::default(),
    }
}

fn present(snapshot: &VolumeSnapshot, observed: &Observed) -> Plan<Step> {
    let was_ready = snapshot.status.as_ref().is_some_and(|status| status.ready_to_use == Some(true));
    match (&observed.snapshot, &observed.subject) {
        (Some(real), _) if !real.retained => Plan::default(),
        (None, _) if was_ready => {
            // One of a later moment in its place would not be what the user took it for.
            let message = "Its data is not in the server's data directory, where it was. Bring it back, or delete the \
                           VolumeSnapshot and take another one.";
            Plan::wait(Waiting::on_user("DataMissing", message))
        }
        (None, Subject::Missing(message)) => Plan::wait(Waiting::on("DependencyMissing", message.clone())),
        // A retained one is no longer so; what it is of is of no account.
        (Some(_), Subject::Missing(_)) => take(observed, SnapshotSource::Retained(observed.owner.uid)),
        (_, Subject::There(source)) => take(observed, *source),
    }
}

fn take(observed: &Observed, source: SnapshotSource) -> Plan<Step> {
    Plan { slow: true, ..Plan::of(vec![Step::Take(SnapshotSpec { owner: observed.owner.clone(), source })]) }
}
