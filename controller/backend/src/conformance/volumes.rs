//! What every adapter promises about volumes.

use super::Fixture;
use crate::{Conflict, MachineSpec, Mount, MountSource, Progress, VolumeMode, VolumeSource, VolumeSpec};

/// A volume is made once, told of, and removed by uid; removing again changes nothing.
pub async fn volume_is_made_once_and_removed(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let spec = fixture.volume("data", 2);
    assert_eq!(volumes.find(spec.owner.uid).await.expect("find"), None);
    let made = volumes.ensure(&spec).await.expect("ensure");
    assert_eq!((&made.owner, made.size_bytes, made.ready, made.retained), (&spec.owner, spec.size_bytes, true, false));
    assert!(made.used_bytes.is_some_and(|used| used < spec.size_bytes));
    assert_eq!(volumes.ensure(&spec).await.expect("ensure again"), made);
    assert_eq!(volumes.find(spec.owner.uid).await.expect("find"), Some(made.clone()));
    assert_eq!(volumes.list().await.expect("list"), [made]);
    assert_eq!(fixture.stranger.volumes.list().await.expect("list"), []);
    volumes.remove(spec.owner.uid).await.expect("remove");
    volumes.remove(spec.owner.uid).await.expect("removing again changes nothing");
    assert_eq!(volumes.list().await.expect("list"), []);
}

/// A volume grows in place and never shrinks.
pub async fn volume_grows_and_never_shrinks(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let spec = fixture.volume("data", 2);
    volumes.ensure(&spec).await.expect("ensure");
    let larger = VolumeSpec { size_bytes: spec.size_bytes * 2, ..spec.clone() };
    assert_eq!(volumes.ensure(&larger).await.expect("grow").size_bytes, larger.size_bytes);
    let error = volumes.ensure(&spec).await.expect_err("it would shrink");
    assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
    let found = volumes.find(spec.owner.uid).await.expect("find").expect("it is still there");
    assert_eq!(found.size_bytes, larger.size_bytes);
}

/// A volume that cannot hold a file system is refused.
pub async fn tiny_volume_is_refused(fixture: &Fixture) {
    let spec = VolumeSpec { size_bytes: crate::SMALLEST_VOLUME - 1, ..fixture.volume("data", 2) };
    let error = fixture.backend.volumes.ensure(&spec).await.expect_err("it is too small");
    assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
    assert_eq!(fixture.backend.volumes.list().await.expect("list"), []);
}

/// While a machine has a volume, running or not, it is neither removed nor retained.
pub async fn volume_in_use_is_kept(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let volume = fixture.volume("data", 2);
    let uid = volume.owner.uid;
    volumes.ensure(&volume).await.expect("ensure");
    let mount = Mount { path: "/data".to_owned(), read_only: false, source: MountSource::Volume(uid) };
    let spec = MachineSpec { mounts: vec![mount], ..fixture.machine("user", 3) };
    let id = fixture.start(&spec).await;
    assert_eq!(fixture.only(spec.owner.uid).await.volumes, [uid]);
    for stopped in [false, true] {
        if stopped {
            fixture.backend.machines.stop(&id, std::time::Duration::ZERO).await.expect("stop");
        }
        let error = volumes.remove(uid).await.expect_err("it is in use");
        assert!(
            matches!(error.as_conflict(), Some(Conflict::InUse { users, .. }) if *users == [spec.name.clone()]),
            "{error:?}"
        );
        let error = volumes.retain(uid).await.expect_err("it is in use");
        assert!(matches!(error.as_conflict(), Some(Conflict::InUse { .. })), "{error:?}");
        assert!(volumes.find(uid).await.expect("find").is_some_and(|volume| volume.ready && !volume.retained));
    }
    fixture.backend.machines.remove(&id).await.expect("remove");
    volumes.remove(uid).await.expect("nothing uses it");
}

/// A retained volume keeps its data, is told of as such, and comes back when its owner does.
pub async fn retained_volume_is_kept_and_told_of(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let spec = fixture.volume("data", 2);
    let uid = spec.owner.uid;
    assert!(volumes.retain(uid).await.expect_err("there is none").is_not_found());
    volumes.ensure(&spec).await.expect("ensure");
    volumes.retain(uid).await.expect("retain");
    volumes.retain(uid).await.expect("retaining again changes nothing");
    let kept = volumes.find(uid).await.expect("find").expect("it is kept");
    assert_eq!((kept.retained, kept.ready, kept.size_bytes), (true, false, spec.size_bytes));
    let back = volumes.ensure(&spec).await.expect("ensure");
    assert_eq!((back.retained, back.ready), (false, true));
    volumes.retain(uid).await.expect("retain");
    volumes.remove(uid).await.expect("a retained volume is removed by uid");
    assert_eq!(volumes.list().await.expect("list"), []);
}

/// A retained volume becomes another owner's, once, with its data; what isn't retained is nobody else's.
pub async fn retained_volume_is_adopted_once(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let spec = fixture.volume("data", 2);
    let uid = spec.owner.uid;
    let heir = VolumeSpec { source: Some(VolumeSource::Retained(uid)), ..fixture.volume("heir", 3) };
    assert!(volumes.ensure(&heir).await.expect_err("there is none").is_not_found());
    volumes.ensure(&spec).await.expect("ensure");
    let error = volumes.ensure(&heir).await.expect_err("it has an owner");
    assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    volumes.retain(uid).await.expect("retain");
    let small = VolumeSpec { size_bytes: crate::SMALLEST_VOLUME, ..heir.clone() };
    let error = volumes.ensure(&small).await.expect_err("it never shrinks");
    assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
    let large = VolumeSpec { size_bytes: heir.size_bytes * 2, ..heir.clone() };
    let adopted = volumes.ensure(&large).await.expect("adopt");
    assert_eq!((&adopted.owner, adopted.size_bytes), (&heir.owner, large.size_bytes));
    assert_eq!((adopted.ready, adopted.retained), (true, false));
    assert_eq!(volumes.ensure(&large).await.expect("ensure again"), adopted);
    assert_eq!(volumes.list().await.expect("list"), [adopted]);
    let other = VolumeSpec { source: heir.source, ..fixture.volume("other", 4) };
    assert!(volumes.ensure(&other).await.expect_err("it is gone").is_not_found());
    volumes.remove(uid).await.expect("the owner before has nothing to remove");
    assert!(volumes.find(heir.owner.uid).await.expect("find").is_some());
}

/// Only retained data is handed to another namespace, or purged.
pub async fn retained_volume_is_handed_over_and_purged(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let spec = fixture.volume("data", 2);
    let uid = spec.owner.uid;
    assert!(volumes.hand_over(uid, "elsewhere").await.expect_err("there is none").is_not_found());
    assert!(volumes.purge(uid).await.expect_err("there is none").is_not_found());
    volumes.ensure(&spec).await.expect("ensure");
    for error in [
        volumes.hand_over(uid, "elsewhere").await.expect_err("it has an owner"),
        volumes.purge(uid).await.expect_err("it has an owner"),
    ] {
        assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    }
    volumes.retain(uid).await.expect("retain");
    volumes.hand_over(uid, "elsewhere").await.expect("hand over");
    let kept = volumes.find(uid).await.expect("find").expect("it is kept");
    assert_eq!((kept.owner.namespace.as_str(), kept.owner.uid, kept.retained), ("elsewhere", uid, true));
    volumes.purge(uid).await.expect("purge");
    assert_eq!(volumes.list().await.expect("list"), []);
    assert!(volumes.purge(uid).await.expect_err("it is gone").is_not_found());
}

/// A block volume is made, grown, copied, retained and removed as any other, and never becomes one with a file system.
pub async fn block_volume_stays_one(fixture: &Fixture) {
    let (volumes, snapshots) = (&fixture.backend.volumes, &fixture.backend.snapshots);
    let spec = VolumeSpec { mode: VolumeMode::Block, ..fixture.volume("data", 2) };
    let made = volumes.ensure(&spec).await.expect("ensure");
    assert_eq!((made.mode, made.size_bytes, made.ready), (VolumeMode::Block, spec.size_bytes, true));
    assert_eq!(volumes.ensure(&spec).await.expect("ensure again"), made);
    let larger = VolumeSpec { size_bytes: spec.size_bytes * 2, ..spec.clone() };
    assert_eq!(volumes.ensure(&larger).await.expect("grow").size_bytes, larger.size_bytes);
    let taken = fixture.snapshot("before", 3, &spec);
    let taken = snapshots.ensure(&taken, &Progress::default()).await.expect("a snapshot");
    assert_eq!(taken.mode, VolumeMode::Block);
    for (number, source) in (4..).zip([VolumeSource::Snapshot(taken.owner.uid), VolumeSource::Volume(spec.owner.uid)]) {
        let copy = VolumeSpec { source: Some(source), size_bytes: larger.size_bytes, ..fixture.volume("copy", number) };
        let error = volumes.ensure(&copy).await.expect_err("a device holds no file system of ours");
        assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
        let copy = VolumeSpec { mode: VolumeMode::Block, ..copy };
        assert!(volumes.ensure(&copy).await.expect("ensure").ready);
    }
    volumes.retain(spec.owner.uid).await.expect("retain");
    assert!(volumes.find(spec.owner.uid).await.expect("find").is_some_and(|kept| kept.retained && !kept.ready));
    let source = Some(VolumeSource::Retained(spec.owner.uid));
    let heir = VolumeSpec { source, size_bytes: larger.size_bytes, ..fixture.volume("heir", 6) };
    let error = volumes.ensure(&heir).await.expect_err("a device holds no file system of ours");
    assert!(matches!(error, crate::Error::Invalid { .. }), "{error:?}");
    let heir = VolumeSpec { mode: VolumeMode::Block, ..heir };
    assert!(volumes.ensure(&heir).await.expect("adopt").ready);
    volumes.remove(heir.owner.uid).await.expect("remove");
    assert_eq!(volumes.find(heir.owner.uid).await.expect("find"), None);
}

/// While a machine has a block volume it is kept, and it grows under it.
pub async fn block_volume_in_use_is_kept_and_grows(fixture: &Fixture) {
    let volumes = &fixture.backend.volumes;
    let volume = VolumeSpec { mode: VolumeMode::Block, ..fixture.volume("data", 2) };
    let uid = volume.owner.uid;
    volumes.ensure(&volume).await.expect("ensure");
    let mount = Mount { path: "/dev/data".to_owned(), read_only: false, source: MountSource::Volume(uid) };
    let spec = MachineSpec { mounts: vec![mount], ..fixture.machine("user", 3) };
    let id = fixture.start(&spec).await;
    assert_eq!(fixture.only(spec.owner.uid).await.volumes, [uid]);
    let larger = VolumeSpec { size_bytes: volume.size_bytes * 2, ..volume };
    assert_eq!(volumes.ensure(&larger).await.expect("grow").size_bytes, larger.size_bytes);
    for error in
        [volumes.remove(uid).await.expect_err("it is in use"), volumes.retain(uid).await.expect_err("it is in use")]
    {
        assert!(
            matches!(error.as_conflict(), Some(Conflict::InUse { users, .. }) if *users == [spec.name.clone()]),
            "{error:?}"
        );
    }
    fixture.backend.machines.remove(&id).await.expect("remove");
    volumes.remove(uid).await.expect("nothing uses it");
}
