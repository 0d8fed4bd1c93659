//! What is planned for a Volume in one situation after the other.

use controller_backend::{Owner, Volume as RealVolume, VolumeSource as From, VolumeSpec as Wanted};
use crds::quantity::Quantity;
use crds::status::{READY, SIZE_ENFORCED, condition};
use crds::storage::volume::{DeletionPolicy, Volume, VolumeSpec, VolumeStatus};
use jiff::Timestamp;
use kube::Resource;
use proptest::prelude::*;
use uuid::Uuid;

use super::observe::{Observed, Source};
use super::plan::plan;
use super::report::report;
use super::{Step, VolumeKind};
use crate::runtime::{Account, Goal};

fn volume(size: &str) -> Volume {
    let spec = VolumeSpec {
        size: Quantity::from(size),
        volume_mode: Default::default(),
        source: None,
        deletion_policy: DeletionPolicy::Delete,
        deletion_protection: false,
    };
    let mut volume = Volume::new("data", spec);
    volume.meta_mut().namespace = Some("shop".to_owned());
    volume
}

fn observed() -> Observed {
    let owner = Owner {
        installation: Uuid::nil(),
        kind: "Volume".to_owned(),
        namespace: "shop".to_owned(),
        name: "data".to_owned(),
        uid: Uuid::from_u128(1),
    };
    Observed { owner, volume: None, leftovers: false, users: Vec::new(), source: None }
}

fn model(observed: &mut Observed, step: &Step) {
    match step {
        Step::Ensure(Wanted { owner, size_bytes, mode, source: _ }) => {
            assert!(observed.volume.as_ref().is_none_or(|real| real.size_bytes <= *size_bytes), "it never shrinks");
            observed.volume = Some(RealVolume {
                owner: owner.clone(),
                size_bytes: *size_bytes,
                used_bytes: Some(1),
                ready: true,
                retained: false,
                directory: None,
                device: None,
                mode: *mode,
                unenforced: None,
            });
        }
        Step::Remove => {
            observed.volume = None;
            observed.leftovers = false;
        }
        Step::Retain => {
            let real = observed.volume.as_mut().unwrap();
            real.retained = true;
            real.ready = false;
        }
    }
}

fn converge(volume: &Volume, observed: &mut Observed, goal: Goal) -> (Vec<Step>, VolumeStatus) {
    let mut taken = Vec::new();
    for _ in 0..4 {
        let plan = plan(goal, volume, observed);
        if plan.steps.is_empty() {
            let account: Account<'_, VolumeKind> = Account {
                goal,
                object: volume,
                observed: Some(observed),
                plan: Some(&plan),
                failure: None,
                now: Timestamp::UNIX_EPOCH,
            };
            return (taken, report(&account).status);
        }
        for step in &plan.steps {
            model(observed, step);
        }
        taken.extend(plan.steps);
    }
    panic!("planning does not come to an end: {taken:?}");
}

#[test]
fn a_volume_is_made_once_and_grows_in_place() {
    let (mut volume, mut observed) = (volume("64Mi"), observed());
    let (steps, status) = converge(&volume, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Ensure(wanted)] if wanted.size_bytes == 64 << 20));
    assert_eq!(status.phase.as_deref(), Some("Available"));
    assert_eq!((status.size, status.used), (Some(Quantity::from("64Mi")), Some(Quantity::from("1Mi"))));
    assert_eq!(converge(&volume, &mut observed, Goal::Present).0, []);
    volume.spec.size = Quantity::from("128Mi");
    assert_eq!(converge(&volume, &mut observed, Goal::Present).0.len(), 1);
    assert_eq!(observed.volume.unwrap().size_bytes, 128 << 20);
}

#[test]
fn a_size_that_is_no_limit_is_said_once_and_the_volume_serves() {
    let (volume, mut observed) = (volume("64Mi"), observed());
    let (_, status) = converge(&volume, &mut observed, Goal::Present);
    assert_eq!(condition(&status.conditions, SIZE_ENFORCED).unwrap().status, "True");
    observed.volume.as_mut().unwrap().unenforced = Some("mount failed: Operation not permitted.".to_owned());
    let plan = plan(Goal::Present, &volume, &observed);
    let account = |volume| Account::<'_, VolumeKind> {
        goal: Goal::Present,
        object: volume,
        observed: Some(&observed),
        plan: Some(&plan),
        failure: None,
        now: Timestamp::UNIX_EPOCH,
    };
    let told = report(&account(&volume));
    let enforced = condition(&told.status.conditions, SIZE_ENFORCED).unwrap();
    assert_eq!((enforced.status.as_str(), enforced.reason.as_str()), ("False", "NoLoopMount"));
    assert!(enforced.message.contains("(mount failed: Operation not permitted)"), "{}", enforced.message);
    assert_eq!(condition(&told.status.conditions, READY).unwrap().status, "True");
    assert_eq!(
        told.notes.iter().map(|note| (note.warning, note.reason)).collect::<Vec<_>>(),
        [(true, "SizeNotEnforced")]
    );
    let mut told_before = volume.clone();
    told_before.status = Some(told.status);
    assert_eq!(report(&account(&told_before)).notes, []);
}

#[test]
fn a_block_volume_is_asked_for_as_one() {
    let (mut volume, mut observed) = (volume("64Mi"), observed());
    volume.spec.volume_mode = crds::storage::volume::VolumeMode::Block;
    let (steps, _) = converge(&volume, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Ensure(wanted)] if wanted.mode == controller_backend::VolumeMode::Block));
}

#[test]
fn after_the_host_restarted_it_is_made_ready_again() {
    let (volume, mut observed) = (volume("64Mi"), observed());
    converge(&volume, &mut observed, Goal::Present);
    observed.volume.as_mut().unwrap().ready = false;
    assert!(matches!(&converge(&volume, &mut observed, Goal::Present).0[..], [Step::Ensure(_)]));
}

#[test]
fn it_never_shrinks() {
    let (mut volume, mut observed) = (volume("128Mi"), observed());
    converge(&volume, &mut observed, Goal::Present);
    volume.spec.size = Quantity::from("64Mi");
    assert_eq!(converge(&volume, &mut observed, Goal::Present).0, []);
    observed.volume.as_mut().unwrap().ready = false;
    converge(&volume, &mut observed, Goal::Present);
    assert_eq!(observed.volume.unwrap().size_bytes, 128 << 20);
}

#[test]
fn retained_data_is_adopted_with_room_for_it_and_lost_never() {
    let (mut volume, mut observed) = (volume("64Mi"), observed());
    let source = From::Retained(Uuid::from_u128(9));
    let name = "the retained data `9`".to_owned();
    observed.source = Some(Source::There { source, name, size_bytes: 128 << 20 });
    let (steps, status) = converge(&volume, &mut observed, Goal::Present);
    assert_eq!(steps, []);
    assert_eq!(
        condition(&status.conditions, READY).unwrap().message,
        "Its size is less than that of the retained data `9`: make a Volume of at least 128Mi."
    );
    volume.spec.size = Quantity::from("128Mi");
    let (steps, _) = converge(&volume, &mut observed, Goal::Present);
    assert!(matches!(&steps[..], [Step::Ensure(wanted)] if wanted.source == Some(source)));
    // Cut off after it was adopted: it goes on, whatever became of the source.
    let real = observed.volume.as_mut().unwrap();
    (real.retained, real.ready, observed.source) = (true, false, None);
    assert!(matches!(&converge(&volume, &mut observed, Goal::Present).0[..], [Step::Ensure(_)]));
    volume.spec.deletion_policy = DeletionPolicy::Retain;
    assert_eq!(converge(&volume, &mut observed, Goal::Absent).0, [Step::Retain]);
}

#[test]
fn what_is_half_made_is_removed_whatever_the_policy() {
    let (mut volume, mut observed) = (volume("64Mi"), observed());
    volume.spec.deletion_policy = DeletionPolicy::Retain;
    observed.leftovers = true;
    assert_eq!(converge(&volume, &mut observed, Goal::Absent).0, [Step::Remove]);
}

fn snapshot_of(size_bytes: u64) -> Option<Source> {
    let source = From::Snapshot(Uuid::from_u128(2));
    Some(Source::There { source, name: "VolumeSnapshot `before`".to_owned(), size_bytes })
}

#[test]
fn it_waits_for_what_it_is_made_from_and_is_made_from_that() {
    let (volume, mut observed) = (volume("64Mi"), observed());
    observed.source = Some(Source::Missing("VolumeSnapshot `before` does not exist.".to_owned()));
    let (steps, status) = converge(&volume, &mut observed, Goal::Present);
    assert_eq!(steps, []);
    let ready = condition(&status.conditions, READY).unwrap();
    assert_eq!(
        (ready.reason.as_str(), ready.message.as_str()),
        ("DependencyMissing", "VolumeSnapshot `before` does not exist.")
    );
    observed.source = snapshot_of(32 << 20);
    let (steps, _) = converge(&volume, &mut observed, Goal::Present);
    let from = Some(From::Snapshot(Uuid::from_u128(2)));
    assert!(matches!(&steps[..], [Step::Ensure(wanted)] if wanted.source == from && wanted.size_bytes == 64 << 20));
}

#[test]
fn it_is_never_smaller_than_what_it_is_made_from() {
    let (volume, mut observed) = (volume("64Mi"), observed());
    observed.source = snapshot_of(128 << 20);
    let (steps, status) = converge(&volume, &mut observed, Goal::Present);
    assert_eq!(steps, []);
    let ready = condition(&status.conditions, READY).unwrap();
    assert_eq!(ready.reason, "Invalid");
    assert!(ready.message.contains("VolumeSnapshot `before`") && ready.message.contains("128Mi"), "{}", ready.message);
}

#[test]
fn what_is_in_use_is_not_torn_out() {
    let (volume, mut observed) = (volume("64Mi"), observed());
    converge(&volume, &mut observed, Goal::Present);
    observed.users = vec!["web".to_owned()];
    let (steps, status) = converge(&volume, &mut observed, Goal::Absent);
    assert_eq!(steps, []);
    let ready = condition(&status.conditions, READY).unwrap();
    assert_eq!((ready.reason.as_str(), ready.message.as_str()), ("InUse", "In use by Instance web."));
    assert_eq!(status.attached_to, ["web"]);
    // A restart of the host takes it away, and those who have it start on it again.
    observed.volume.as_mut().unwrap().ready = false;
    let (steps, status) = converge(&volume, &mut observed, Goal::Absent);
    assert!(matches!(&steps[..], [Step::Ensure(_)]), "{steps:?}");
    assert_eq!(condition(&status.conditions, READY).unwrap().reason, "InUse");
    observed.users.clear();
    assert_eq!(converge(&volume, &mut observed, Goal::Absent).0, [Step::Remove]);
}

#[test]
fn a_half_made_one_is_removed_too() {
    let (volume, mut observed) = (volume("64Mi"), observed());
    observed.leftovers = true;
    assert_eq!(converge(&volume, &mut observed, Goal::Absent).0, [Step::Remove]);
}

#[test]
fn data_to_be_retained_is_never_removed() {
    let (mut volume, mut observed) = (volume("64Mi"), observed());
    volume.spec.deletion_policy = DeletionPolicy::Retain;
    converge(&volume, &mut observed, Goal::Present);
    observed.leftovers = true;
    assert_eq!(converge(&volume, &mut observed, Goal::Absent).0, [Step::Retain]);
    assert!(observed.volume.unwrap().retained);
}

proptest! {
    #[test]
    fn planning_again_after_applying_plans_nothing(
        size in prop_oneof![Just("64Mi"), Just("1Gi"), Just("nonsense")],
        real in proptest::option::of((1_u64..1 << 31, any::<bool>(), any::<bool>())),
        leftovers in any::<bool>(),
        used in any::<bool>(),
        retain in any::<bool>(),
        absent in any::<bool>(),
    ) {
        let (mut volume, mut observed) = (volume(size), observed());
        if retain {
            volume.spec.deletion_policy = DeletionPolicy::Retain;
        }
        observed.volume = real.map(|(size_bytes, ready, retained)| RealVolume {
            owner: observed.owner.clone(), size_bytes, used_bytes: None, ready, retained,
            directory: None,
            device: None,
            mode: Default::default(),
            unenforced: None,
        });
        observed.leftovers = leftovers;
        observed.users = if used { vec!["web".to_owned()] } else { Vec::new() };
        let had = observed.volume.is_some();
        let goal = if absent { Goal::Absent } else { Goal::Present };
        let (steps, _) = converge(&volume, &mut observed, goal);
        prop_assert_eq!(plan(goal, &volume, &observed).steps, Vec::new());
        if retain && had || used {
            prop_assert!(!steps.contains(&Step::Remove));
            prop_assert!(!had || observed.volume.is_some());
        }
    }
}
