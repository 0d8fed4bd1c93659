//! What every adapter promises about disk images that has any.

use std::sync::Arc;

use super::Fixture;
use crate::{Conflict, DiskFormat, DiskImageSpec, DiskImages, DiskSource, Error, MachineSpec};

fn port(fixture: &Fixture) -> Arc<dyn DiskImages> {
    fixture.backend.disk_images.clone().expect("the adapter has disk images")
}

fn spec(fixture: &Fixture, file: &str) -> DiskImageSpec {
    DiskImageSpec {
        owner: fixture.owner("Image", "debian", 7),
        source: DiskSource::File(file.to_owned()),
        format: DiskFormat::Qcow2,
    }
}

/// An image is imported once, told of, and removed by uid; removing again changes nothing.
pub async fn image_is_imported_once_and_removed(fixture: &Fixture) {
    let images = port(fixture);
    let spec = spec(fixture, &fixture.disk_file);
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), None);
    let made = images.ensure(&spec).await.expect("ensure");
    assert_eq!(made.owner, spec.owner);
    assert!(made.disk_bytes > 0 && made.stored_bytes > 0 && !made.id.is_empty(), "{made:?}");
    assert_eq!(images.ensure(&spec).await.expect("ensure again"), made);
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), Some(made.clone()));
    assert_eq!(images.list().await.expect("list").iter().filter(|image| **image == made).count(), 1);
    let theirs = fixture.stranger.disk_images.clone().expect("the adapter has disk images");
    assert_eq!(theirs.list().await.expect("list"), []);
    assert_eq!(theirs.find(spec.owner.uid).await.expect("find"), None);
    let known = fixture.backend.images.resolve(&spec.owner.uid.to_string()).await.expect("resolve");
    assert_eq!(known.map(|image| image.id), Some(made.id), "machines name it by its owner's uid");
    images.remove(spec.owner.uid).await.expect("remove");
    images.remove(spec.owner.uid).await.expect("removing again changes nothing");
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), None);
    assert_eq!(fixture.backend.images.resolve(&spec.owner.uid.to_string()).await.expect("resolve"), None);
}

/// A source that is not there is named, and one elsewhere on the host is refused.
pub async fn missing_and_outside_sources_are_refused(fixture: &Fixture) {
    let images = port(fixture);
    let error = images.ensure(&spec(fixture, "no-such-image.qcow2")).await.expect_err("it is not there");
    assert!(matches!(&error, Error::NotFound { what } if what.contains("no-such-image.qcow2")), "{error:?}");
    for outside in ["/etc/passwd", "../../etc/passwd"] {
        let error = images.ensure(&spec(fixture, outside)).await.expect_err(outside);
        assert!(matches!(error, Error::Invalid { .. }), "{error:?}");
    }
    assert_eq!(images.find(spec(fixture, "").owner.uid).await.expect("find"), None, "nothing is left half made");
}

/// An image stays while a machine is made from it.
pub async fn image_in_use_is_kept(fixture: &Fixture) {
    let images = port(fixture);
    let spec = spec(fixture, &fixture.disk_file);
    images.ensure(&spec).await.expect("ensure");
    let machine = MachineSpec { image: spec.owner.uid.to_string(), ..fixture.machine("user", 2) };
    let id = fixture.backend.machines.create(&machine).await.expect("create");
    let error = images.remove(spec.owner.uid).await.expect_err("it is in use");
    let Some(Conflict::InUse { users, .. }) = error.as_conflict() else { panic!("expected InUse, got {error:?}") };
    assert_eq!(users, &[machine.name]);
    fixture.backend.machines.remove(&id).await.expect("remove the machine");
    images.remove(spec.owner.uid).await.expect("nobody uses it");
}
