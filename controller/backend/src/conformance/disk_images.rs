//! What every adapter promises about disk images that has any.

use std::sync::Arc;

use super::Fixture;
use crate::{
    Algorithm, Checksum, Conflict, DiskFormat, DiskImageSpec, DiskImages, DiskSource, Error, ImportError, MachineSpec,
    Progress,
};

fn port(fixture: &Fixture) -> Arc<dyn DiskImages> {
    fixture.backend.disk_images.clone().expect("the adapter has disk images")
}

fn spec(fixture: &Fixture, file: &str) -> DiskImageSpec {
    DiskImageSpec {
        owner: fixture.owner("Image", "debian", 7),
        source: DiskSource::File(file.to_owned()),
        format: DiskFormat::Qcow2,
        max_bytes: None,
    }
}

fn url(fixture: &Fixture) -> &(String, Checksum) {
    fixture.disk_url.as_ref().expect("the adapter downloads disk images")
}

fn downloaded(fixture: &Fixture, url: &str, checksum: Checksum) -> DiskImageSpec {
    DiskImageSpec { source: DiskSource::Url { url: url.to_owned(), checksum }, ..spec(fixture, "") }
}

/// An image is imported once, told of, and removed by uid; removing again changes nothing.
pub async fn image_is_imported_once_and_removed(fixture: &Fixture) {
    let images = port(fixture);
    let spec = spec(fixture, &fixture.disk_file);
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), None);
    let made = images.ensure(&spec, &Progress::default()).await.expect("ensure");
    assert_eq!(made.owner, spec.owner);
    assert!(made.disk_bytes > 0 && made.stored_bytes > 0 && !made.id.is_empty(), "{made:?}");
    assert_eq!(images.ensure(&spec, &Progress::default()).await.expect("ensure again"), made);
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
    let error =
        images.ensure(&spec(fixture, "no-such-image.qcow2"), &Progress::default()).await.expect_err("it is not there");
    let ImportError::Backend { source: error } = error else { panic!("{error:?}") };
    assert!(matches!(&error, Error::NotFound { what } if what.contains("no-such-image.qcow2")), "{error:?}");
    for outside in ["/etc/passwd", "../../etc/passwd"] {
        let error = images.ensure(&spec(fixture, outside), &Progress::default()).await.expect_err(outside);
        assert!(matches!(error, ImportError::Backend { source: Error::Invalid { .. } }), "{error:?}");
    }
    assert_eq!(images.find(spec(fixture, "").owner.uid).await.expect("find"), None, "nothing is left half made");
}

/// What is served is imported if it is what the checksum says, and told of as any other.
pub async fn image_is_downloaded(fixture: &Fixture) {
    let images = port(fixture);
    let (url, checksum) = url(fixture);
    let spec = downloaded(fixture, url, checksum.clone());
    let progress = Progress::default();
    let made = images.ensure(&spec, &progress).await.expect("ensure");
    assert_eq!(progress.percent(), Some(100));
    assert!(made.disk_bytes > 0 && made.stored_bytes > 0 && !made.id.is_empty(), "{made:?}");
    assert_eq!(images.ensure(&spec, &Progress::default()).await.expect("ensure again"), made);
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), Some(made));
    images.remove(spec.owner.uid).await.expect("remove");
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), None);
}

/// What is served and isn't what the checksum says is refused, and so is what isn't served; neither leaves anything.
pub async fn wrong_and_missing_downloads_are_refused(fixture: &Fixture) {
    let images = port(fixture);
    let (url, right) = url(fixture);
    let wrong = Checksum::new(Algorithm::Sha256, &[0; 32]);
    let spec = downloaded(fixture, url, wrong.clone());
    let error = images.ensure(&spec, &Progress::default()).await.expect_err("it is another file");
    assert!(
        matches!(&error, ImportError::ChecksumMismatch { expected, actual } if *expected == wrong && actual == right),
        "{error:?}"
    );
    let spec = downloaded(fixture, &format!("{url}.absent"), right.clone());
    let error = images.ensure(&spec, &Progress::default()).await.expect_err("it is not there");
    assert!(matches!(error, ImportError::NoSuchSource { .. }), "{error:?}");
    assert_eq!(images.find(spec.owner.uid).await.expect("find"), None, "nothing is left half made");
    assert_eq!(images.list().await.expect("list").iter().filter(|image| image.owner == spec.owner).count(), 0);
    images.remove(spec.owner.uid).await.expect("what is left half made can be removed");
}

/// An image that takes more than it may is refused, wherever it comes from, and leaves nothing.
pub async fn image_that_is_too_large_is_refused(fixture: &Fixture) {
    let images = port(fixture);
    let (url, checksum) = url(fixture);
    let whole = DiskImageSpec { max_bytes: Some(1 << 40), ..downloaded(fixture, url, checksum.clone()) };
    for spec in [whole.clone(), spec(fixture, &fixture.disk_file)] {
        let spec = DiskImageSpec { max_bytes: Some(1000), ..spec };
        let error = images.ensure(&spec, &Progress::default()).await.expect_err("it is larger");
        assert!(matches!(error, ImportError::TooLarge { .. }), "{error:?}");
        assert_eq!(images.find(spec.owner.uid).await.expect("find"), None, "nothing is left half made");
    }
    images.ensure(&whole, &Progress::default()).await.expect("it isn't larger than this");
    images.remove(whole.owner.uid).await.expect("remove");
}

/// An image stays while a machine is made from it.
pub async fn image_in_use_is_kept(fixture: &Fixture) {
    let images = port(fixture);
    let spec = spec(fixture, &fixture.disk_file);
    images.ensure(&spec, &Progress::default()).await.expect("ensure");
    let machine = MachineSpec { image: spec.owner.uid.to_string(), ..fixture.machine("user", 2) };
    let id = fixture.backend.machines.create(&machine).await.expect("create");
    let error = images.remove(spec.owner.uid).await.expect_err("it is in use");
    let Some(Conflict::InUse { users, .. }) = error.as_conflict() else { panic!("expected InUse, got {error:?}") };
    assert_eq!(users, &[machine.name]);
    fixture.backend.machines.remove(&id).await.expect("remove the machine");
    images.remove(spec.owner.uid).await.expect("nobody uses it");
}
