//! What is planned for an InstanceSnapshot in one situation after the other.

use controller_backend::{
    Consistency, Image, MachineId, MachineSnapshot, MachineSnapshotSource, MachineSnapshotSpec, Owner,
};
use crds::compute::instance::BackendName;
use crds::compute::instance_snapshot::{InstanceSnapshot, InstanceSnapshotSpec, InstanceSnapshotStatus};
use crds::quantity::Quantity;
use crds::status::{READY, condition};
use crds::storage::volume::DeletionPolicy;
use jiff::Timestamp;
use kube::Resource;
use proptest::prelude::*;
use uuid::Uuid;

use super::observe::{Observed, Subject};
use super::plan::plan;
use super::report::report;
use super::{InstanceSnapshotKind, Step};
use crate::runtime::{Account, Goal, Plan};

fn machine() -> Subject {
    Subject::There(MachineSnapshotSource::Machine(MachineId("machine-1".to_owned())))
}

fn missing() -> Subject {
    Subject::Missing("Instance `web` does not exist.".to_owned())
}

fn snapshot() -> InstanceSnapshot {
    let spec = InstanceSnapshotSpec { instance: Some("web".to_owned()), ..InstanceSnapshotSpec::default() };
    let mut snapshot = InstanceSnapshot::new("before", spec);
    snapshot.meta_mut().namespace = Some("shop".to_owned());
    snapshot
}

fn observed() -> Observed {
    let owner = Owner {
        installation: Uuid::nil(),
        kind: "InstanceSnapshot".to_owned(),
        namespace: "shop".to_owned(),
        name: "before".to_owned(),
        uid: Uuid::from_u128(1),
    };
    Observed {
        owner,
        backend: Some(BackendName::Libvirt),
        snapshot: None,
        leftovers: false,
        subject: machine(),
        users: Vec::new(),
    }
}

fn real(owner: &Owner) -> MachineSnapshot {
    let image = Image {
        id: "sha256:1".to_owned(),
        size_bytes: 64 << 20,
        exposed_ports: Vec::new(),
        entrypoint: Vec::new(),
        command: Vec::new(),
        user: String::new(),
    };
    MachineSnapshot {
        owner: owner.clone(),
        image,
        disk_bytes: Some(2 << 30),
        consistency: Consistency::Crash,
        retained: false,
        taken_at: None,
    }
}

fn status(snapshot: &InstanceSnapshot, observed: &Observed, goal: Goal, plan: &Plan<Step>) -> InstanceSnapshotStatus {
    report(&Account::<InstanceSnapshotKind> {
        goal,
        object: snapshot,
        observed: Some(observed),
        plan: Some(plan),
        failure: None,
        now: Timestamp::UNIX_EPOCH,
    })
    .status
}

fn converge(
    snapshot: &mut InstanceSnapshot,
    observed: &mut Observed,
    goal: Goal,
) -> (Vec<Step>, InstanceSnapshotStatus) {
    let mut taken = Vec::new();
    for _ in 0..4 {
        let plan = plan(goal, snapshot, observed);
        let told = status(snapshot, observed, goal, &plan);
        snapshot.status = Some(told.clone());
        if plan.steps.is_empty() {
            return (taken, told);
        }
        for step in &plan.steps {
            match step {
                Step::Take(MachineSnapshotSpec { owner, source: _ }) => observed.snapshot = Some(real(owner)),
                Step::Remove => (observed.snapshot, observed.leftovers) = (None, false),
                Step::Retain => observed.snapshot.as_mut().unwrap().retained = true,
            }
        }
        taken.extend(plan.steps);
    }
    panic!("planning does not come to an end: {taken:?}");
}

fn reason(status: &InstanceSnapshotStatus) -> (&str, &str) {
    let ready = condition(&status.conditions, READY).unwrap();
    (ready.reason.as_str(), ready.message.as_str())
}

#[test]
fn a_snapshot_is_taken_once_and_stays_when_its_instance_goes() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Take(spec)] if Subject::There(spec.source.clone()) == machine()));
    assert_eq!((status.phase.as_deref(), status.ready_to_use), (Some("Ready"), Some(true)));
    assert_eq!((status.size, status.disk_size), (Some(Quantity::from("64Mi")), Some(Quantity::from("2048Mi"))));
    assert_eq!(status.image_id.as_deref(), Some("sha256:1"));
    observed.subject = missing();
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert_eq!((steps, status.ready_to_use), (Vec::new(), Some(true)));
}

#[test]
fn where_it_is_made_is_told_before_it_is() {
    let (snapshot, observed) = (snapshot(), observed());
    let plan = plan(Goal::Present, &snapshot, &observed);
    assert!(plan.tell && plan.slow, "{plan:?}");
    let status = status(&snapshot, &observed, Goal::Present, &plan);
    assert_eq!(status.backend, Some(BackendName::Libvirt));
    assert_eq!((status.phase.as_deref(), reason(&status).0), (Some("Taking"), "Taking"));
    assert_eq!(status.ready_to_use, Some(false));
}

#[test]
fn it_waits_for_its_instance() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    observed.subject = missing();
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert_eq!(steps, []);
    assert_eq!(reason(&status), ("DependencyMissing", "Instance `web` does not exist."));
    assert_eq!((status.phase.as_deref(), status.ready_to_use), (Some("Pending"), Some(false)));
    assert_eq!(status.backend, None, "nothing of it is anywhere");
    observed.subject = machine();
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Present).1.ready_to_use, Some(true));
}

#[test]
fn one_that_was_ready_is_never_taken_again_by_itself() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    converge(&mut snapshot, &mut observed, Goal::Present);
    observed.snapshot = None;
    for _ in 0..2 {
        let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
        assert_eq!(steps, []);
        assert_eq!((reason(&status).0, status.phase.as_deref()), ("DataMissing", Some("Failed")));
    }
}

#[test]
fn what_instances_are_made_from_is_not_removed() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    converge(&mut snapshot, &mut observed, Goal::Present);
    observed.users = vec!["again".to_owned(), "other".to_owned()];
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Absent);
    assert_eq!((steps, reason(&status).0), (Vec::new(), "InUse"));
    assert_eq!(reason(&status).1, "In use by Instances again, other.");
    observed.users.clear();
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, [Step::Remove]);
}

#[test]
fn what_is_half_taken_is_removed_and_what_was_never_begun_is_not_looked_for() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, []);
    observed.leftovers = true;
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, [Step::Remove]);
}

#[test]
fn data_that_is_retained_stays_and_is_told_of() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    snapshot.spec.deletion_policy = DeletionPolicy::Retain;
    converge(&mut snapshot, &mut observed, Goal::Present);
    observed.users = vec!["again".to_owned()];
    assert_eq!(reason(&converge(&mut snapshot, &mut observed, Goal::Absent).1).0, "InUse");
    observed.users.clear();
    (observed.leftovers, observed.subject) = (true, Subject::Settled);
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, [Step::Retain]);
    assert!(observed.snapshot.is_some());
    // Another one has adopted it meanwhile: what this one may have half made goes.
    observed.snapshot = None;
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, [Step::Remove]);
}

#[test]
fn what_is_retained_is_adopted_where_it_is_and_by_whoever_it_was_of() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    let from = Uuid::from_u128(9);
    (snapshot.spec.instance, snapshot.spec.retained) = (None, Some(from.to_string()));
    observed.subject = Subject::There(MachineSnapshotSource::Retained(from));
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Take(spec)] if spec.source == MachineSnapshotSource::Retained(from)));
    assert_eq!((status.ready_to_use, status.backend), (Some(true), Some(BackendName::Libvirt)));
    let own = observed.owner.uid;
    observed.snapshot.as_mut().unwrap().retained = true;
    let (steps, _) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Take(spec)] if spec.source == MachineSnapshotSource::Retained(own)));
}

proptest! {
    #[test]
    fn planning_again_after_applying_plans_nothing(
        there in any::<bool>(),
        leftovers in any::<bool>(),
        subject in prop_oneof![Just(missing()), Just(machine()), Just(Subject::Settled)],
        used in any::<bool>(),
        absent in any::<bool>(),
        retain in any::<bool>(),
    ) {
        let (mut snapshot, mut observed) = (snapshot(), observed());
        observed.snapshot = there.then(|| real(&observed.owner));
        (observed.leftovers, observed.subject) = (leftovers, subject);
        observed.users = if used { vec!["again".to_owned()] } else { Vec::new() };
        snapshot.spec.deletion_policy = if retain { DeletionPolicy::Retain } else { DeletionPolicy::Delete };
        let goal = if absent { Goal::Absent } else { Goal::Present };
        let (steps, _) = converge(&mut snapshot, &mut observed, goal);
        prop_assert_eq!(plan(goal, &snapshot, &observed).steps, Vec::new());
        if there && (used || !absent) {
            prop_assert_eq!(steps, Vec::new());
        }
        if there && (used || retain || !absent) {
            prop_assert!(observed.snapshot.is_some());
        }
    }
}
