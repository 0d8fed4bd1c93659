//! What is planned for an image in one situation after the other.

use controller_backend::{Checksum, DiskFormat, DiskImage, DiskSource, ImportError, Owner};
use crds::compute::cluster_image::{ClusterImage, ClusterImageSource, ClusterImageSpec};
use crds::compute::image::{Image, ImageFormat, ImageSource, ImageSpec};
use crds::quantity::Quantity;
use crds::status::{READY, condition};
use jiff::Timestamp;
use uuid::Uuid;

use super::observe::{Observed, Snapshot};
use super::plan::plan;
use super::report::report;
use super::{AnyImage, ImageKind, Step};
use crate::runtime::{Account, Failure, Goal, Plan};

fn image() -> ClusterImage {
    let source = ClusterImageSource { path: Some("debian.qcow2".to_owned()), ..ClusterImageSource::default() };
    ClusterImage::new("debian", ClusterImageSpec { source, ..ClusterImageSpec::default() })
}

fn observed() -> Observed {
    let owner = Owner {
        installation: Uuid::nil(),
        kind: "ClusterImage".to_owned(),
        namespace: String::new(),
        name: "debian".to_owned(),
        uid: Uuid::from_u128(1),
    };
    Observed { owner, image: None, users: Vec::new(), leftovers: false, snapshot: None, now: Timestamp::UNIX_EPOCH }
}

fn imported() -> Observed {
    let observed = observed();
    let image = DiskImage {
        owner: observed.owner.clone(),
        id: "sha256:1".to_owned(),
        disk_bytes: 3 << 30,
        stored_bytes: (200 << 20) + 1,
    };
    Observed { image: Some(image), ..observed }
}

#[test]
fn what_is_not_there_is_imported_once_and_then_left_alone() {
    let steps = plan(Goal::Present, &image(), &observed()).steps;
    let [Step::Import(spec)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!(spec.source, DiskSource::File("debian.qcow2".to_owned()));
    assert_eq!(plan(Goal::Present, &image(), &imported()).steps, []);
}

fn at(url: &str) -> ClusterImage {
    let checksum = Some(format!("sha256:{}", "ab".repeat(32)));
    let source = ClusterImageSource { url: Some(url.to_owned()), checksum, ..ClusterImageSource::default() };
    ClusterImage::new("debian", ClusterImageSpec { source, ..ClusterImageSpec::default() })
}

#[test]
fn what_is_at_a_url_is_downloaded_with_its_checksum() {
    let steps = plan(Goal::Present, &at("https://images.example/debian"), &observed()).steps;
    let [Step::Import(spec)] = steps.as_slice() else { panic!("{steps:?}") };
    let checksum = format!("sha256:{}", "ab".repeat(32)).parse().unwrap();
    assert_eq!(spec.source, DiskSource::Url { url: "https://images.example/debian".to_owned(), checksum });
}

fn own(source: ImageSource) -> Image {
    let (format, max_size) = (ImageFormat::Raw, Quantity::from("2Gi"));
    Image::new("debian", ImageSpec { source, format, max_size, min_disk: None, deletion_protection: false })
}

#[test]
fn an_image_of_a_snapshot_waits_until_it_is_whole_and_is_then_its_own() {
    let mut image = own(ImageSource { snapshot: Some("before".to_owned()), ..ImageSource::default() });
    image.metadata.namespace = Some("shop".to_owned());
    assert_eq!(image.wish().snapshot, Some(("shop", "before")));
    let seen = |snapshot| plan(Goal::Present, &image, &Observed { snapshot: Some(snapshot), ..observed() });
    let reason = |plan: &Plan<Step>| plan.waiting.as_ref().map(|waiting| (waiting.reason, waiting.stalled));
    let missing = seen(Snapshot::Missing("It is not there.".to_owned()));
    assert_eq!((missing.steps.len(), reason(&missing)), (0, Some(("DependencyMissing", false))));
    let unfit = seen(Snapshot::Unfit("It is of a container.".to_owned()));
    assert_eq!((unfit.steps.len(), reason(&unfit)), (0, Some(("Invalid", true))));
    let steps = seen(Snapshot::There(Uuid::from_u128(9))).steps;
    let [Step::Import(spec)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((&spec.source, spec.max_bytes), (&DiskSource::Snapshot(Uuid::from_u128(9)), Some(2 << 30)));
    assert_eq!(plan(Goal::Present, &image, &imported()), Plan::default());
}

#[test]
fn an_image_of_a_namespace_is_downloaded_and_takes_no_more_than_it_says() {
    let image = own(ImageSource {
        url: Some("https://images.example/debian".to_owned()),
        checksum: Some(format!("sha512:{}", "AB".repeat(64))),
        snapshot: None,
    });
    let steps = plan(Goal::Present, &image, &observed()).steps;
    let [Step::Import(spec)] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((spec.format, spec.max_bytes), (DiskFormat::Raw, Some(2 << 30)));
    let checksum = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
    assert_eq!(spec.source, DiskSource::Url { url: "https://images.example/debian".to_owned(), checksum });
    assert_eq!(plan(Goal::Present, &image, &imported()).steps, []);
    assert_eq!(plan(Goal::Absent, &image, &imported()).steps, [Step::Remove]);
}

#[test]
fn a_download_that_failed_is_tried_again_after_a_pause_that_grows() {
    let mut image = at("https://images.example/debian");
    let mut observed = observed();
    let mut pauses = Vec::new();
    for _ in 0..12 {
        let plan_now = plan(Goal::Present, &image, &observed);
        assert!(matches!(plan_now.steps.as_slice(), [Step::Import(_)]), "it is tried: {plan_now:?}");
        let wrong: Checksum = format!("sha512:{}", "0".repeat(128)).parse().unwrap();
        let failure = Failure::Import(ImportError::ChecksumMismatch { expected: wrong.clone(), actual: wrong.clone() });
        let account = Account::<ImageKind<ClusterImage>> {
            goal: Goal::Present,
            object: &image,
            observed: Some(&observed),
            plan: Some(&plan_now),
            failure: Some(&failure),
            now: observed.now,
        };
        let status = report(&account).status;
        assert_eq!(status.phase.as_deref(), Some("Failed"));
        assert_eq!(condition(&status.conditions, READY).unwrap().reason, "ChecksumMismatch");
        assert_eq!(condition(&status.conditions, "Stalled").unwrap().status, "True");
        image.status = Some(status);
        // It says the same while it waits.
        let waits = plan(Goal::Present, &image, &observed);
        assert!(waits.steps.is_empty());
        assert_eq!(
            waits.waiting.as_ref().map(|waiting| (waiting.reason, waiting.stalled)),
            Some(("ChecksumMismatch", true))
        );
        let due = waits.look_again.expect("it is tried again");
        pauses.push(due.duration_since(observed.now).as_secs());
        observed.now = due;
    }
    assert_eq!(pauses[..4], [10, 20, 40, 80]);
    assert_eq!(pauses.last(), Some(&3600));
    // The clock was set back: it isn't waited for for ever.
    observed.now = Timestamp::UNIX_EPOCH;
    assert!(!plan(Goal::Present, &image, &observed).steps.is_empty());
}

#[test]
fn a_download_that_cannot_be_unpacked_is_not_made_again_at_once() {
    let mut image = at("https://images.example/debian");
    let observed = observed();
    let plan_now = plan(Goal::Present, &image, &observed);
    let failure =
        Failure::Import(ImportError::backend(controller_backend::Error::failed("run qemu-img", "it is torn")));
    let account = Account::<ImageKind<ClusterImage>> {
        goal: Goal::Present,
        object: &image,
        observed: Some(&observed),
        plan: Some(&plan_now),
        failure: Some(&failure),
        now: observed.now,
    };
    image.status = Some(report(&account).status);
    let waits = plan(Goal::Present, &image, &observed);
    assert!(waits.steps.is_empty() && waits.look_again.is_some(), "{waits:?}");
}

#[test]
fn what_a_half_done_import_left_is_removed_with_the_object() {
    let left = Observed { leftovers: true, ..observed() };
    assert_eq!(plan(Goal::Absent, &at("https://images.example/debian"), &left).steps, [Step::Remove]);
}

#[test]
fn what_machines_are_made_from_is_not_removed() {
    let used = Observed { users: vec!["shop/web".to_owned()], ..imported() };
    let plan_used = plan(Goal::Absent, &image(), &used);
    let waiting = plan_used.waiting.unwrap();
    assert_eq!((plan_used.steps.as_slice(), waiting.reason), ([].as_slice(), "InUse"));
    assert_eq!(waiting.message, "In use by 1 Instance.", "everybody reads it: it names nobody's");
    assert_eq!(plan(Goal::Absent, &image(), &imported()).steps, [Step::Remove]);
    let gone = plan(Goal::Absent, &image(), &observed());
    assert!(gone.steps.is_empty() && gone.waiting.is_none());
}

fn told(observed: Option<&Observed>, failure: Option<&Failure>) -> (String, String, String) {
    let image = image();
    let plan = observed.map(|observed| plan(Goal::Present, &image, observed));
    let status = report(&Account::<ImageKind<ClusterImage>> {
        goal: Goal::Present,
        object: &image,
        observed,
        plan: plan.as_ref(),
        failure,
        now: Timestamp::UNIX_EPOCH,
    })
    .status;
    let ready = condition(&status.conditions, READY).unwrap();
    let size = status.size.map(|size| size.0).unwrap_or_default();
    (status.phase.unwrap(), ready.reason.clone(), size)
}

#[test]
fn its_status_tells_how_far_it_is_and_what_is_missing() {
    assert_eq!(told(Some(&observed()), None), ("Importing".to_owned(), "Importing".to_owned(), String::new()));
    assert_eq!(told(Some(&imported()), None), ("Ready".to_owned(), "Ready".to_owned(), "201Mi".to_owned()));
    let failure = Failure::NoVirtualMachines;
    assert_eq!(told(None, Some(&failure)), ("Failed".to_owned(), "DependencyMissing".to_owned(), String::new()));
}
