//! What every adapter promises about snapshots of machines, and about machines made from them.

use std::time::Duration;

use tokio::time::Instant;

use super::Fixture;
use crate::{
    Conflict, Consistency, DiskFormat, DiskImageSpec, DiskSource, FirstBoot, ImportError, MachineId, MachineSnapshot,
    MachineSnapshotSpec, MachineSpec, MachineState, Progress,
};

fn spec(fixture: &Fixture, number: u32, machine: &MachineId) -> MachineSnapshotSpec {
    MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "before", number), machine: machine.clone() }
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
    let grandchild = MachineSnapshotSpec { owner: fixture.owner("InstanceSnapshot", "later", 5), machine: id.clone() };
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
