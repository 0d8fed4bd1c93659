//! What every adapter promises about snapshots of machines, and about machines made from them.

use std::time::Duration;

use tokio::time::Instant;

use super::Fixture;
use crate::{
    Conflict, Consistency, DiskFormat, DiskImageSpec, DiskSource, FirstBoot, ImportError, MachineId, MachineSnapshot,
    MachineSnapshotSource, MachineSnapshotSpec, MachineSpec, MachineState, Progress,
};

fn spec(fixture: &Fixture, number: u32, machine: &MachineId) -> MachineSnapshotSpec {
    let source = MachineSnapshotSource::Machine(machine.clone());
    MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "before", number), source }
}

async fn take(fixture: &Fixture, spec: &MachineSnapshotSpec) -> MachineSnapshot {
    fixture.backend.machine_snapshots.ensure(spec, &Progress::default()).await.expect("the snapshot is taken")
}

/// A snapshot of a machine that runs is taken once, told of, outlives the machine, and is removed by uid.
pub async fn machine_snapshot_is_taken_once_and_outlives_its_machine(fixture: &Fixture) {
    let snapshots = &fixture.backend.machine_snapshots;
    let machine = fixture.machine("web", 2);
    let id = fixture.start(&machine).await;
    let before = fixture.only(machine.owner.uid).await;
    let spec = spec(fixture, 3, &id);
    assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), None);
    let (progress, begun) = (Progress::default(), Instant::now());
    assert!(!snapshots.held_still(&id, begun), "nobody has held it yet");
    assert!(!before.left_frozen);
    snapshots.thaw(&id).await.expect("what isn't frozen goes on");
    let taken = snapshots.ensure(&spec, &progress).await.expect("ensure");
    assert_eq!(snapshots.held_still(&id, begun), taken.consistency == Consistency::Frozen, "it may not have answered");
    assert!(!snapshots.held_still(&id, Instant::now() + Duration::from_nanos(1)), "it goes on");
    assert_eq!(taken.owner, spec.owner);
    assert!(!taken.image.id.is_empty() && taken.image.size_bytes > 0, "{taken:?}");
    assert_eq!(taken.disk_bytes.is_some(), machine.first_boot.is_some(), "{taken:?}");
    assert_ne!(taken.consistency, Consistency::AtRest);
    assert!(!taken.retained && taken.taken_at.is_some(), "{taken:?}");
    assert_eq!(progress.percent(), Some(100));
    assert_eq!(fixture.only(machine.owner.uid).await, before, "the machine goes on as it was");

    fixture.backend.machines.remove(&id).await.expect("a snapshot keeps no machine");
    assert_eq!(take(fixture, &spec).await, taken, "taken again, it is the same");
    assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), Some(taken.clone()));
    assert_eq!(snapshots.list().await.expect("list"), std::slice::from_ref(&taken));
    assert_eq!(fixture.stranger.machine_snapshots.list().await.expect("list"), []);
    assert_eq!(fixture.stranger.machine_snapshots.find(spec.owner.uid).await.expect("find"), None);
    fixture.stranger.machine_snapshots.remove(spec.owner.uid).await.expect("it has none");
    assert_eq!(snapshots.list().await.expect("list"), [taken]);
    snapshots.remove(spec.owner.uid).await.expect("remove");
    snapshots.remove(spec.owner.uid).await.expect("removing again changes nothing");
    assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), None);
    assert_eq!(snapshots.list().await.expect("list"), []);
}

/// A machine made from a snapshot runs, and holds the snapshot until it is gone.
pub async fn machine_is_made_from_a_snapshot_and_holds_it(fixture: &Fixture) {
    let (machines, snapshots) = (&fixture.backend.machines, &fixture.backend.machine_snapshots);
    let first = fixture.machine("first", 2);
    let id = fixture.start(&first).await;
    machines.stop(&id, Duration::ZERO).await.expect("stop");
    let spec = spec(fixture, 3, &id);
    let taken = take(fixture, &spec).await;
    assert_eq!(taken.consistency, Consistency::AtRest, "it didn't run");
    machines.remove(&id).await.expect("remove");

    let second = MachineSpec { image: taken.image.id.clone(), ..fixture.machine("second", 4) };
    let id = fixture.start(&second).await;
    let machine = fixture.only(second.owner.uid).await;
    assert_eq!((&machine.state, &machine.image_id), (&MachineState::Running, &taken.image.id));
    let error = snapshots.remove(spec.owner.uid).await.expect_err("a machine was made from it");
    let Some(Conflict::InUse { users, .. }) = error.as_conflict() else { panic!("expected InUse, got {error:?}") };
    assert_eq!(users, std::slice::from_ref(&machine.name));
    assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), Some(taken));

    // A snapshot of what was made from a snapshot keeps neither.
    let source = MachineSnapshotSource::Machine(id.clone());
    let grandchild = MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "later", 5), source };
    take(fixture, &grandchild).await;
    machines.remove(&id).await.expect("remove the machine");
    snapshots.remove(spec.owner.uid).await.expect("nobody uses it");
    let third = MachineSpec { image: take(fixture, &grandchild).await.image.id, ..fixture.machine("third", 6) };
    let id = fixture.start(&third).await;
    machines.remove(&id).await.expect("remove the machine");
    snapshots.remove(grandchild.owner.uid).await.expect("nobody uses it");
}

/// A machine that isn't there, or is another installation's, is not found, and nothing is left of the attempt.
pub async fn snapshot_of_a_missing_machine_is_not_found(fixture: &Fixture) {
    let machine = fixture.machine("web", 2);
    let id = fixture.backend.machines.create(&machine).await.expect("create");
    let mut theirs = spec(fixture, 3, &id);
    theirs.owner.installation = fixture.stranger_installation;
    let error = fixture.stranger.machine_snapshots.ensure(&theirs, &Progress::default()).await;
    assert!(error.expect_err("it is not theirs").is_not_found());
    fixture.backend.machines.remove(&id).await.expect("remove");
    let spec = spec(fixture, 3, &id);
    let error = fixture.backend.machine_snapshots.ensure(&spec, &Progress::default()).await;
    assert!(error.expect_err("there is none").is_not_found());
    assert_eq!(fixture.backend.machine_snapshots.list().await.expect("list"), []);
    assert_eq!(fixture.stranger.machine_snapshots.list().await.expect("list"), []);
}

/// What a user writes as an image never finds a snapshot, which may be another namespace's.
pub async fn snapshot_is_no_image_that_a_user_could_name(fixture: &Fixture) {
    let id = fixture.start(&fixture.machine("web", 2)).await;
    let spec = spec(fixture, 3, &id);
    let taken = take(fixture, &spec).await;
    let found = fixture.backend.images.resolve(&taken.image.id).await.expect("resolve");
    assert_eq!(found, None);
}

/// The disk of a machine is imported as an image from its snapshot, which can go afterwards.
pub async fn image_is_made_from_a_snapshot_and_outlives_it(fixture: &Fixture) {
    let (machines, snapshots) = (&fixture.backend.machines, &fixture.backend.machine_snapshots);
    let images = fixture.backend.disk_images.clone().expect("the adapter has disk images");
    let with_disk = |machine: MachineSpec| MachineSpec { first_boot: Some(FirstBoot::default()), ..machine };
    let id = fixture.start(&with_disk(fixture.machine("first", 2))).await;
    let spec = spec(fixture, 3, &id);
    let image = DiskImageSpec {
        owner: fixture.owner("Image", "golden", 7),
        source: DiskSource::Snapshot(spec.owner.uid),
        format: DiskFormat::Raw,
        max_bytes: None,
    };
    let error = images.ensure(&image, &Progress::default()).await.expect_err("there is no snapshot yet");
    assert!(matches!(&error, ImportError::Backend { source } if source.is_not_found()), "{error:?}");
    let taken = take(fixture, &spec).await;
    let small = DiskImageSpec { max_bytes: Some(1000), ..image.clone() };
    let error = images.ensure(&small, &Progress::default()).await.expect_err("it is larger");
    assert!(matches!(error, ImportError::TooLarge { .. }), "{error:?}");

    let made = images.ensure(&image, &Progress::default()).await.expect("ensure");
    assert_eq!(Some(made.disk_bytes), taken.disk_bytes);
    machines.remove(&id).await.expect("remove the machine");
    snapshots.remove(spec.owner.uid).await.expect("an image keeps no snapshot");
    assert_eq!(images.find(image.owner.uid).await.expect("find"), Some(made.clone()));
    let second = MachineSpec { image: image.owner.uid.to_string(), ..with_disk(fixture.machine("second", 4)) };
    let id = fixture.start(&second).await;
    assert_eq!(fixture.only(second.owner.uid).await.image_id, made.id);
    machines.remove(&id).await.expect("remove the machine");
    images.remove(image.owner.uid).await.expect("nobody uses it");
}

/// A retained snapshot is told of as such, and comes back when its owner does.
pub async fn retained_machine_snapshot_is_kept_and_told_of(fixture: &Fixture) {
    let snapshots = &fixture.backend.machine_snapshots;
    let id = fixture.start(&fixture.machine("web", 2)).await;
    let spec = spec(fixture, 3, &id);
    let uid = spec.owner.uid;
    assert!(snapshots.retain(uid).await.expect_err("there is none").is_not_found());
    let taken = take(fixture, &spec).await;
    snapshots.retain(uid).await.expect("retain");
    snapshots.retain(uid).await.expect("retaining again changes nothing");
    let kept = MachineSnapshot { retained: true, ..taken.clone() };
    assert_eq!(snapshots.find(uid).await.expect("find"), Some(kept.clone()));
    assert_eq!(snapshots.list().await.expect("list"), [kept]);
    assert_eq!(fixture.stranger.machine_snapshots.list().await.expect("list"), []);
    let itself = MachineSnapshotSpec { source: MachineSnapshotSource::Retained(uid), ..spec.clone() };
    assert_eq!(take(fixture, &itself).await, taken);
    snapshots.retain(uid).await.expect("retain");
    snapshots.remove(uid).await.expect("a retained snapshot is removed by uid");
    assert_eq!(snapshots.list().await.expect("list"), []);
}

/// A retained snapshot becomes another owner's, once; what isn't retained is neither adopted, handed over nor purged.
pub async fn retained_machine_snapshot_is_adopted_or_purged(fixture: &Fixture) {
    let (machines, snapshots) = (&fixture.backend.machines, &fixture.backend.machine_snapshots);
    let id = fixture.start(&fixture.machine("web", 2)).await;
    let spec = spec(fixture, 3, &id);
    let uid = spec.owner.uid;
    let source = MachineSnapshotSource::Retained(uid);
    let heir = MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "heir", 4), source: source.clone() };
    let late = MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "late", 5), source };
    let progress = Progress::default();
    assert!(snapshots.ensure(&heir, &progress).await.expect_err("there is none").is_not_found());
    let taken = take(fixture, &spec).await;
    for error in [
        snapshots.ensure(&heir, &progress).await.expect_err("it has an owner"),
        snapshots.hand_over(uid, "elsewhere").await.expect_err("it has an owner"),
        snapshots.purge(uid).await.expect_err("it has an owner"),
    ] {
        assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    }
    snapshots.retain(uid).await.expect("retain");
    for namespace in ["elsewhere", "elsewhere", "further-away"] {
        snapshots.hand_over(uid, namespace).await.expect("hand over");
        let kept = snapshots.find(uid).await.expect("find").expect("it is kept");
        assert_eq!((kept.owner.namespace.as_str(), kept.retained), (namespace, true));
    }
    let adopted = take(fixture, &heir).await;
    assert_eq!((&adopted.owner, adopted.retained), (&heir.owner, false));
    assert_eq!((adopted.disk_bytes, adopted.taken_at), (taken.disk_bytes, taken.taken_at));
    assert_eq!(adopted.consistency, taken.consistency);
    assert_eq!(take(fixture, &heir).await, adopted, "asked for again, it is the same");
    assert_eq!(snapshots.list().await.expect("list"), std::slice::from_ref(&adopted));
    assert!(snapshots.ensure(&late, &progress).await.expect_err("somebody has it").is_not_found());
    snapshots.remove(uid).await.expect("the one before has nothing left");

    machines.remove(&id).await.expect("remove");
    let again = MachineSpec { image: adopted.image.id.clone(), ..fixture.machine("again", 6) };
    let id = fixture.start(&again).await;
    assert_eq!(fixture.only(again.owner.uid).await.image_id, adopted.image.id);
    snapshots.retain(heir.owner.uid).await.expect("retain");
    let error = snapshots.purge(heir.owner.uid).await.expect_err("a machine was made from it");
    assert!(matches!(error.as_conflict(), Some(Conflict::InUse { .. })), "{error:?}");
    assert!(
        snapshots.find(heir.owner.uid).await.expect("find").is_some_and(|kept| kept.retained),
        "nothing is removed"
    );
    machines.remove(&id).await.expect("remove");
    snapshots.purge(heir.owner.uid).await.expect("purge");
    assert!(snapshots.purge(heir.owner.uid).await.expect_err("it is gone").is_not_found());
    assert_eq!(snapshots.list().await.expect("list"), []);
}

/// Machines that were made from a snapshot go on when another owner adopts it, and hold it as before.
pub async fn adopted_machine_snapshot_keeps_the_machines_made_from_it(fixture: &Fixture) {
    let (machines, snapshots) = (&fixture.backend.machines, &fixture.backend.machine_snapshots);
    let first = fixture.start(&fixture.machine("first", 2)).await;
    let spec = spec(fixture, 3, &first);
    let taken = take(fixture, &spec).await;
    let second = MachineSpec { image: taken.image.id.clone(), ..fixture.machine("second", 4) };
    let id = fixture.start(&second).await;
    let machine = fixture.only(second.owner.uid).await;

    let mut last = spec.owner.uid;
    for number in 5..7 {
        snapshots.retain(last).await.expect("retain");
        let owner = fixture.owner("InstanceSnapshot", "heir", number);
        let heir = MachineSnapshotSpec { owner, source: MachineSnapshotSource::Retained(last) };
        let adopted = take(fixture, &heir).await;
        assert_eq!(snapshots.list().await.expect("list"), std::slice::from_ref(&adopted));
        last = heir.owner.uid;
        assert_eq!(fixture.only(second.owner.uid).await, machine, "it goes on");
        let error = snapshots.remove(last).await.expect_err("a machine was made from it");
        let Some(Conflict::InUse { users, .. }) = error.as_conflict() else { panic!("expected InUse, got {error:?}") };
        assert_eq!(users, std::slice::from_ref(&machine.name));
        assert_eq!(snapshots.find(last).await.expect("find"), Some(adopted));
    }
    machines.stop(&id, Duration::ZERO).await.expect("stop");
    machines.start(&id).await.expect("what it was made from is still there");
    machines.remove(&id).await.expect("remove");
    snapshots.remove(last).await.expect("nobody uses it");
    assert_eq!(snapshots.list().await.expect("list"), []);
}
