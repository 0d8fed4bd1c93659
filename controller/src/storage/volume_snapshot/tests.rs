//! What is planned for a VolumeSnapshot in one situation after the other.

use controller_backend::{Owner, Snapshot, SnapshotSource, SnapshotSpec, VolumeMode};
use crds::quantity::Quantity;
use crds::status::{READY, condition};
use crds::storage::volume::DeletionPolicy;
use crds::storage::volume_snapshot::{VolumeSnapshot, VolumeSnapshotSpec, VolumeSnapshotStatus};
use jiff::Timestamp;
use kube::Resource;
use proptest::prelude::*;
use uuid::Uuid;

use super::observe::{Observed, Subject};
use super::plan::plan;
use super::report::report;
use super::{Step, VolumeSnapshotKind};
use crate::runtime::{Account, Goal};

const VOLUME: SnapshotSource = SnapshotSource::Volume(Uuid::from_u128(2));

fn snapshot() -> VolumeSnapshot {
    let spec = VolumeSnapshotSpec {
        volume: Some("data".to_owned()),
        retained: None,
        deletion_policy: DeletionPolicy::Delete,
        deletion_protection: false,
    };
    let mut snapshot = VolumeSnapshot::new("before", spec);
    snapshot.meta_mut().namespace = Some("shop".to_owned());
    snapshot
}

fn observed() -> Observed {
    let owner = Owner {
        installation: Uuid::nil(),
        kind: "VolumeSnapshot".to_owned(),
        namespace: "shop".to_owned(),
        name: "before".to_owned(),
        uid: Uuid::from_u128(1),
    };
    Observed { owner, snapshot: None, leftovers: false, subject: Subject::There(VOLUME) }
}

fn missing() -> Subject {
    Subject::Missing("Volume `data` does not exist.".to_owned())
}

fn model(observed: &mut Observed, step: &Step) {
    match step {
        Step::Take(SnapshotSpec { owner, source: _ }) => {
            let size_bytes = observed.snapshot.as_ref().map_or(64 << 20, |real| real.size_bytes);
            observed.snapshot = Some(Snapshot {
                owner: owner.clone(),
                size_bytes,
                used_bytes: 1,
                retained: false,
                mode: VolumeMode::Filesystem,
            });
        }
        Step::Remove => {
            observed.snapshot = None;
            observed.leftovers = false;
        }
        Step::Retain => observed.snapshot.as_mut().unwrap().retained = true,
    }
}

fn converge(snapshot: &mut VolumeSnapshot, observed: &mut Observed, goal: Goal) -> (Vec<Step>, VolumeSnapshotStatus) {
    let mut taken = Vec::new();
    for _ in 0..4 {
        let plan = plan(goal, snapshot, observed);
        if plan.steps.is_empty() {
            let account: Account<'_, VolumeSnapshotKind> = Account {
                goal,
                object: snapshot,
                observed: Some(observed),
                plan: Some(&plan),
                failure: None,
                now: Timestamp::UNIX_EPOCH,
            };
            let status = report(&account).status;
            snapshot.status = Some(status.clone());
            return (taken, status);
        }
        for step in &plan.steps {
            model(observed, step);
        }
        taken.extend(plan.steps);
    }
    panic!("planning does not come to an end: {taken:?}");
}

fn reason(status: &VolumeSnapshotStatus) -> (&str, &str) {
    let ready = condition(&status.conditions, READY).unwrap();
    (ready.reason.as_str(), ready.message.as_str())
}

#[test]
fn a_snapshot_is_taken_once_and_stays_when_its_volume_goes() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Take(spec)] if spec.source == VOLUME));
    assert_eq!((status.phase.as_deref(), status.ready_to_use), (Some("Ready"), Some(true)));
    assert_eq!((status.size, status.used), (Some(Quantity::from("64Mi")), Some(Quantity::from("1Mi"))));
    observed.subject = missing();
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert_eq!((steps, status.ready_to_use), (Vec::new(), Some(true)));
}

#[test]
fn it_waits_for_its_volume() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    observed.subject = missing();
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert_eq!(steps, []);
    assert_eq!(reason(&status), ("DependencyMissing", "Volume `data` does not exist."));
    assert_eq!((status.phase.as_deref(), status.ready_to_use), (Some("Pending"), Some(false)));
    observed.subject = Subject::There(VOLUME);
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
        assert_eq!(reason(&status).0, "DataMissing");
        assert_eq!(status.phase.as_deref(), Some("Failed"));
    }
}

#[test]
fn retained_data_is_adopted_and_not_taken_again() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    let retained = SnapshotSource::Retained(Uuid::from_u128(9));
    observed.subject = Subject::There(retained);
    let (steps, status) = converge(&mut snapshot, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Take(spec)] if spec.source == retained));
    assert_eq!(status.ready_to_use, Some(true));
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Present).0, []);
}

#[test]
fn what_is_half_taken_is_removed_whatever_the_policy_and_whole_data_is_retained() {
    let (mut snapshot, mut observed) = (snapshot(), observed());
    snapshot.spec.deletion_policy = DeletionPolicy::Retain;
    observed.leftovers = true;
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, [Step::Remove]);
    converge(&mut snapshot, &mut observed, Goal::Present);
    observed.leftovers = true;
    assert_eq!(converge(&mut snapshot, &mut observed, Goal::Absent).0, [Step::Retain]);
    assert!(observed.snapshot.is_some_and(|real| real.retained));
}

proptest! {
    #[test]
    fn planning_again_after_applying_plans_nothing(
        real in proptest::option::of(any::<bool>()),
        leftovers in any::<bool>(),
        subject in prop_oneof![Just(missing()), Just(Subject::There(VOLUME))],
        retain in any::<bool>(),
        absent in any::<bool>(),
    ) {
        let (mut snapshot, mut observed) = (snapshot(), observed());
        if retain {
            snapshot.spec.deletion_policy = DeletionPolicy::Retain;
        }
        let owner = observed.owner.clone();
        observed.snapshot =
            real.map(|retained| Snapshot { owner, size_bytes: 1 << 20, used_bytes: 1, retained, mode: VolumeMode::Filesystem });
        (observed.leftovers, observed.subject) = (leftovers, subject);
        let goal = if absent { Goal::Absent } else { Goal::Present };
        let (steps, _) = converge(&mut snapshot, &mut observed, goal);
        prop_assert_eq!(plan(goal, &snapshot, &observed).steps, Vec::new());
        if retain && real.is_some() {
            prop_assert!(!steps.contains(&Step::Remove));
            prop_assert!(observed.snapshot.is_some());
        }
    }
}
