//! What differs for an Instance that is made from an InstanceSnapshot.

use super::*;
use crate::compute::instance::observe::Snapshot;

const SNAPSHOT: Uuid = Uuid::from_u128(13);

fn of(backend: BackendName) -> Snapshot {
    Snapshot { uid: SNAPSHOT, backend: Some(backend) }
}

fn restored() -> Scene {
    let mut scene = scene(InstanceSpec { image: String::new(), image_snapshot: Some("before".to_owned()), ..spec() });
    scene.observed.snapshot = Some(Target::Ready(of(BackendName::Docker)));
    scene.observed.image = Some(Image { id: "sha256:snapshot".to_owned(), ..image() });
    scene
}

#[test]
fn it_is_made_from_the_snapshot_once_that_is_ready_and_waits_by_its_name() {
    let mut scene = restored();
    let unready = Target::NotReady(of(BackendName::Docker), "is not ready (Taking)".to_owned());
    for (snapshot, reason) in [(Target::Missing, "DependencyMissing"), (unready, "DependencyNotReady")] {
        scene.observed.snapshot = Some(snapshot);
        scene.converge(Goal::Present);
        assert_eq!((scene.ready().1, scene.observed.machines.len()), (reason, 0));
        let status = scene.instance.status.clone().unwrap();
        let message = condition(&status.conditions, READY).unwrap().message.clone();
        assert!(message.contains("InstanceSnapshot `before`"), "{message}");
        // It may turn out to be of another backend, and then there is nothing to be at an address.
        assert_eq!(status.ip, None);
    }
    scene.observed.snapshot = Some(Target::Ready(of(BackendName::Docker)));
    let steps = scene.converge(Goal::Present);
    let made = steps.iter().find_map(|step| if let Step::Create(spec) = step { Some(spec) } else { None }).unwrap();
    assert_eq!(made.image, "sha256:snapshot");
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn no_vpc_is_made_until_it_is_known_that_there_can_be_a_machine_in_it() {
    let mut scene = restored();
    scene.instance.spec.vpc = None;
    scene.observed.network = Target::Missing;
    let unready = Target::NotReady(Snapshot { uid: SNAPSHOT, backend: None }, "is not ready (Taking)".to_owned());
    for snapshot in [Target::Missing, unready] {
        scene.observed.snapshot = Some(snapshot);
        assert_eq!(names(&scene.converge(Goal::Present)), [""; 0]);
        assert!(scene.message().contains("InstanceSnapshot `before`"), "{}", scene.message());
        assert!(!scene.message().contains("Vpc"), "{}", scene.message());
    }
    scene.observed.snapshot = Some(Target::Ready(of(BackendName::Docker)));
    assert_eq!(names(&scene.converge(Goal::Present))[0], "MakeDefaultVpc");
}

#[test]
fn nothing_is_fetched_where_its_data_is_gone() {
    let mut scene = restored();
    scene.observed.image = None;
    let steps = names(&scene.converge(Goal::Present));
    assert!(!steps.contains(&"Pull".to_owned()), "{steps:?}");
    assert_eq!(scene.ready(), ("False", "DependencyNotReady"));
}

#[test]
fn it_goes_on_while_its_snapshot_waits_to_be_deleted() {
    let mut scene = restored();
    scene.converge(Goal::Present);
    scene.observed.snapshot = Some(Target::NotReady(of(BackendName::Docker), "is being deleted".to_owned()));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn another_snapshot_replaces_a_container() {
    let mut scene = restored();
    scene.converge(Goal::Present);
    let other = Snapshot { uid: Uuid::from_u128(14), backend: Some(BackendName::Docker) };
    scene.observed.snapshot = Some(Target::Ready(other));
    let steps = names(&scene.converge(Goal::Present));
    assert!(steps.contains(&"Remove".to_owned()) && steps.contains(&"Create".to_owned()), "{steps:?}");
}

#[test]
fn a_snapshot_of_another_backend_is_told_with_the_way_out() {
    let mut scene = restored();
    scene.observed.snapshot = Some(Target::Ready(of(BackendName::Libvirt)));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "Invalid"));
    let status = scene.instance.status.clone().unwrap();
    assert!(condition(&status.conditions, STALLED).is_some());
    let message = &condition(&status.conditions, READY).unwrap().message;
    assert!(message.contains("`before`") && message.contains("make an Instance with `backend: libvirt`"), "{message}");
}

#[test]
fn a_virtual_machine_is_made_from_the_uid_of_its_snapshot() {
    let mut scene = virtual_scene();
    scene.instance.spec.image = String::new();
    scene.instance.spec.image_snapshot = Some("before".to_owned());
    scene.observed.snapshot = Some(Target::Ready(of(BackendName::Libvirt)));
    scene.observed.disk = Some(Disk { image: Target::Ready(SNAPSHOT), ..disk() });
    let steps = scene.converge(Goal::Present);
    let made = steps.iter().find_map(|step| if let Step::Create(spec) = step { Some(spec) } else { None }).unwrap();
    assert_eq!(made.image, SNAPSHOT.to_string());
}
