//! What is planned for a ClusterImage in one situation after the other.

use controller_backend::{DiskImage, DiskSource, Owner};
use crds::compute::cluster_image::{ClusterImage, ClusterImageSource, ClusterImageSpec};
use crds::status::{READY, condition};
use jiff::Timestamp;
use uuid::Uuid;

use super::observe::Observed;
use super::plan::plan;
use super::report::report;
use super::{ClusterImageKind, Step};
use crate::runtime::{Account, Failure, Goal};

fn image() -> ClusterImage {
    let source = ClusterImageSource { path: "debian.qcow2".to_owned() };
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
    Observed { owner, image: None, users: Vec::new() }
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

#[test]
fn what_machines_are_made_from_is_not_removed() {
    let used = Observed { users: vec!["shop/web".to_owned()], ..imported() };
    let plan_used = plan(Goal::Absent, &image(), &used);
    assert_eq!((plan_used.steps.as_slice(), plan_used.waiting.unwrap().reason), ([].as_slice(), "InUse"));
    assert_eq!(plan(Goal::Absent, &image(), &imported()).steps, [Step::Remove]);
    let gone = plan(Goal::Absent, &image(), &observed());
    assert!(gone.steps.is_empty() && gone.waiting.is_none());
}

fn told(observed: Option<&Observed>, failure: Option<&Failure>) -> (String, String, String) {
    let image = image();
    let plan = observed.map(|observed| plan(Goal::Present, &image, observed));
    let status = report(&Account::<ClusterImageKind> {
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
    assert_eq!(told(Some(&observed()), None), ("Pending".to_owned(), "Importing".to_owned(), String::new()));
    assert_eq!(told(Some(&imported()), None), ("Ready".to_owned(), "Ready".to_owned(), "201Mi".to_owned()));
    let failure = Failure::NoVirtualMachines;
    assert_eq!(told(None, Some(&failure)), ("Failed".to_owned(), "DependencyMissing".to_owned(), String::new()));
}
