//! What every adapter promises about snapshots, and about volumes made from something.

use super::Fixture;
use crate::{Conflict, Progress, SnapshotSource, SnapshotSpec, VolumeSource, VolumeSpec};

async fn take(fixture: &Fixture, spec: &SnapshotSpec) -> crate::Snapshot {
    fixture.backend.snapshots.ensure(spec, &Progress::default()).await.expect("the snapshot is taken")
}

/// A snapshot is taken once, told of, outlives its volume, and is removed by uid.
pub async fn snapshot_is_taken_once_and_outlives_its_volume(fixture: &Fixture) {
    let (volumes, snapshots) = (&fixture.backend.volumes, &fixture.backend.snapshots);
    let volume = fixture.volume("data", 2);
    volumes.ensure(&volume).await.expect("ensure");
    let spec = fixture.snapshot("before", 3, &volume);
    assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), None);
    let progress = Progress::default();
    let taken = snapshots.ensure(&spec, &progress).await.expect("ensure");
    assert_eq!((&taken.owner, taken.size_bytes, taken.retained), (&spec.owner, volume.size_bytes, false));
    assert_eq!(progress.percent(), Some(100));
    volumes.remove(volume.owner.uid).await.expect("a snapshot keeps no volume");
    assert_eq!(take(fixture, &spec).await, taken, "taken again, it is the same");
    assert_eq!(snapshots.find(spec.owner.uid).await.expect("find"), Some(taken.clone()));
    assert_eq!(snapshots.list().await.expect("list"), [taken]);
    assert_eq!(fixture.stranger.snapshots.list().await.expect("list"), []);
    snapshots.remove(spec.owner.uid).await.expect("remove");
    snapshots.remove(spec.owner.uid).await.expect("removing again changes nothing");
    assert_eq!(snapshots.list().await.expect("list"), []);
}

/// A volume is made from a snapshot or from another volume, at least as large; later it depends on neither.
pub async fn volume_is_made_from_snapshot_or_volume(fixture: &Fixture) {
    let (volumes, snapshots) = (&fixture.backend.volumes, &fixture.backend.snapshots);
    let volume = fixture.volume("data", 2);
    volumes.ensure(&volume).await.expect("ensure");
    let spec = fixture.snapshot("before", 3, &volume);
    take(fixture, &spec).await;
    let sources = [VolumeSource::Snapshot(spec.owner.uid), VolumeSource::Volume(volume.owner.uid)];
    for (number, source) in (4..).zip(sources) {
        let copy = VolumeSpec { source: Some(source), ..fixture.volume("copy", number) };
        let small = VolumeSpec { size_bytes: copy.size_bytes / 2, ..copy.clone() };
        let error = volumes.ensure(&small).await.expect_err("it is smaller than its source");
        assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
        assert_eq!(volumes.find(copy.owner.uid).await.expect("find"), None);
        let large = VolumeSpec { size_bytes: copy.size_bytes * 2, ..copy };
        let made = volumes.ensure(&large).await.expect("ensure");
        assert_eq!((made.size_bytes, made.ready), (large.size_bytes, true));
    }
    volumes.remove(volume.owner.uid).await.expect("remove");
    snapshots.remove(spec.owner.uid).await.expect("remove");
    for (number, source) in (4..).zip(sources) {
        let copy = VolumeSpec { source: Some(source), ..fixture.volume("copy", number) };
        let grown = VolumeSpec { size_bytes: copy.size_bytes * 2, ..copy };
        assert!(volumes.ensure(&grown).await.expect("its source is of no account any more").ready);
    }
}

/// What is to be copied and does not exist is not found, and nothing is left of the attempt.
pub async fn missing_source_is_named(fixture: &Fixture) {
    let (volumes, snapshots) = (&fixture.backend.volumes, &fixture.backend.snapshots);
    let missing = fixture.volume("missing", 2);
    let spec = fixture.snapshot("before", 3, &missing);
    let error = snapshots.ensure(&spec, &Progress::default()).await.expect_err("there is no volume");
    assert!(error.is_not_found(), "{error:?}");
    assert_eq!(snapshots.list().await.expect("list"), []);
    for source in [VolumeSource::Snapshot(spec.owner.uid), VolumeSource::Volume(missing.owner.uid)] {
        let copy = VolumeSpec { source: Some(source), ..fixture.volume("copy", 4) };
        let error = volumes.ensure(&copy).await.expect_err("there is no source");
        assert!(error.is_not_found(), "{error:?}");
        assert_eq!(volumes.list().await.expect("list"), []);
    }
}

/// A retained snapshot is told of as such, and comes back when its owner does.
pub async fn retained_snapshot_is_kept_and_told_of(fixture: &Fixture) {
    let snapshots = &fixture.backend.snapshots;
    let volume = fixture.volume("data", 2);
    fixture.backend.volumes.ensure(&volume).await.expect("ensure");
    let spec = fixture.snapshot("before", 3, &volume);
    let uid = spec.owner.uid;
    assert!(snapshots.retain(uid).await.expect_err("there is none").is_not_found());
    take(fixture, &spec).await;
    snapshots.retain(uid).await.expect("retain");
    snapshots.retain(uid).await.expect("retaining again changes nothing");
    assert!(snapshots.find(uid).await.expect("find").is_some_and(|kept| kept.retained));
    assert!(!take(fixture, &spec).await.retained);
    snapshots.retain(uid).await.expect("retain");
    snapshots.remove(uid).await.expect("a retained snapshot is removed by uid");
    assert_eq!(snapshots.list().await.expect("list"), []);
}

/// A retained snapshot becomes another owner's, once; what isn't retained is neither adopted, handed over nor purged.
pub async fn retained_snapshot_is_adopted_or_purged(fixture: &Fixture) {
    let snapshots = &fixture.backend.snapshots;
    let volume = fixture.volume("data", 2);
    fixture.backend.volumes.ensure(&volume).await.expect("ensure");
    let spec = fixture.snapshot("before", 3, &volume);
    let uid = spec.owner.uid;
    let heir = SnapshotSpec { source: SnapshotSource::Retained(uid), ..fixture.snapshot("heir", 4, &volume) };
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
    snapshots.hand_over(uid, "elsewhere").await.expect("hand over");
    let kept = snapshots.find(uid).await.expect("find").expect("it is kept");
    assert_eq!((kept.owner.namespace.as_str(), kept.retained), ("elsewhere", true));
    let adopted = take(fixture, &heir).await;
    assert_eq!((&adopted.owner, adopted.size_bytes, adopted.retained), (&heir.owner, taken.size_bytes, false));
    assert_eq!(snapshots.list().await.expect("list"), [adopted]);
    snapshots.retain(heir.owner.uid).await.expect("retain");
    snapshots.purge(heir.owner.uid).await.expect("purge");
    assert_eq!(snapshots.list().await.expect("list"), []);
}
