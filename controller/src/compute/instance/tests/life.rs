//! How a machine is made, kept as it should be, replaced and removed, and what it waits for.

use super::*;

#[test]
fn a_settled_instance_has_nothing_to_do_and_its_status_does_not_change() {
    let mut scene = running(spec());
    assert_eq!(scene.plan(Goal::Present), Plan::default());
    let before = scene.instance.status.clone();
    scene.observed.now = second(99);
    let plan = scene.plan(Goal::Present);
    assert_eq!(scene.report(Some(&plan), None, Goal::Present), []);
    assert_eq!(scene.instance.status, before);
}

#[test]
fn a_deleted_instance_stops_gently_and_leaves_nothing() {
    let mut scene = running(InstanceSpec { termination_grace_period_seconds: 7, ..spec() });
    scene.observed.files_left = true;
    let steps = scene.converge(Goal::Absent);
    assert_eq!(names(&steps), ["Stop", "Remove", "RemoveFiles"]);
    assert!(matches!(&steps[0], Step::Stop { grace, .. } if grace.as_secs() == 7));
    assert_eq!(scene.phase(), InstancePhase::Terminating);
    assert!(scene.observed.machines.is_empty());
}

#[test]
fn a_missing_dependency_is_named_and_nothing_is_made() {
    let mut scene = scene(InstanceSpec {
        volumes: vec![VolumeMount {
            mount_path: "/data".to_owned(),
            volume: Some("data".to_owned()),
            ..VolumeMount::default()
        }],
        ..spec()
    });
    scene.observed.network = Target::Missing;
    scene.observed.volumes.insert("data".to_owned(), Target::Missing);
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "DependencyMissing"));
    assert_eq!(scene.phase(), InstancePhase::Pending);
    let status = scene.instance.status.clone().unwrap();
    assert_eq!(condition(&status.conditions, READY).unwrap().message, "Waiting for Vpc `main`, Volume `data`.");
    assert!(condition(&status.conditions, STALLED).is_none());
    assert_eq!(status.ip, None);
}

#[test]
fn what_is_being_deleted_waits_for_the_machine_that_has_it_and_is_given_to_no_other() {
    let mount =
        VolumeMount { mount_path: "/data".to_owned(), volume: Some("data".to_owned()), ..VolumeMount::default() };
    let mut scene = running(InstanceSpec { volumes: vec![mount], ..spec() });
    scene.machine().volumes = vec![VOLUME];
    let network = *scene.observed.network.known().unwrap();
    scene.observed.network = Target::Going(network);
    scene.observed.volumes.insert("data".to_owned(), Target::Going(VOLUME));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("True", "Running"));
    scene.machine().state = exited(137, 5);
    scene.observed.now = second(6);
    assert!(names(&scene.converge(Goal::Present)).contains(&"Start".to_owned()));
    assert_eq!(scene.ready(), ("True", "Running"));

    scene.observed.machines.clear();
    assert_eq!(scene.converge(Goal::Present), [], "one that is made anew hasn't got it");
    assert_eq!(scene.ready(), ("False", "DependencyNotReady"));
}

#[test]
fn the_default_vpc_is_made_when_first_needed_and_no_other() {
    let mut scene = scene(InstanceSpec { vpc: None, ..spec() });
    scene.observed.network = Target::Missing;
    assert_eq!(names(&scene.converge(Goal::Present)), ["MakeDefaultVpc", "Allocate", "Create", "Start"]);
}

#[test]
fn a_missing_secret_holds_up_the_start_and_not_what_runs() {
    let mut fresh = scene(spec());
    fresh.observed.inputs.missing.insert("key `password` in Secret `db`".to_owned());
    assert_eq!(names(&fresh.converge(Goal::Present)), ["Allocate"]);
    assert_eq!(fresh.ready(), ("False", "DependencyMissing"));

    let mut running = running(spec());
    running.observed.inputs.missing.insert("Secret `db`".to_owned());
    assert_eq!(running.converge(Goal::Present), []);
    assert_eq!(running.ready(), ("True", "Running"));
}

#[test]
fn another_image_replaces_the_machine_and_keeps_its_address() {
    let mut scene = running(InstanceSpec { ports: vec![published(None)], ..spec() });
    let before = scene.instance.status.clone().unwrap();
    scene.instance.spec.image = "nginx:2".to_owned();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "Remove", "Create", "Start"]);
    let after = scene.instance.status.clone().unwrap();
    assert_eq!((before.ip, before.ports), (after.ip, after.ports));
}

#[test]
fn the_old_machine_goes_on_while_the_new_image_can_not_be_had() {
    let mut scene = running(spec());
    scene.instance.spec.image = "nginx:0".to_owned();
    scene.observed.image = None;
    let plan = scene.plan(Goal::Present);
    assert_eq!(plan.steps, [Step::Pull("nginx:0".to_owned())]);
    let failure = Failure::Pull(controller_backend::PullError::NoSuchImage { reference: "nginx:0".to_owned() });
    let notes = scene.report(Some(&plan), Some(&failure), Goal::Present);
    assert_eq!(scene.ready(), ("False", "ImageNotFound"));
    assert_eq!(scene.phase(), InstancePhase::Running);
    assert_eq!(scene.available(), "Running");
    assert_eq!(notes.len(), 1);
    // The same failure again is no news.
    assert_eq!(scene.report(Some(&plan), Some(&failure), Goal::Present), []);
    // It goes on in its network, too.
    let before = scene.machine().attachment;
    scene.machine().attachment = None;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Restore"]);
    assert_eq!(scene.machine().attachment, before);
}

#[test]
fn other_amounts_apply_in_place() {
    let mut scene = running(spec());
    scene.observed.size = Target::Ready(Resources { cpu_millis: 250, memory_bytes: 1 << 28, max_memory_bytes: None });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Resize"]);
    let amounts = scene.instance.status.unwrap().resources.unwrap();
    assert_eq!((amounts.cpu.unwrap().0, amounts.memory.unwrap().0), ("250m".to_owned(), "256Mi".to_owned()));
}

#[test]
fn what_the_backend_cannot_do_is_named_and_touches_nothing() {
    let mut scene = virtual_scene();
    scene.instance.spec.command = vec!["sleep".to_owned()];
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "Invalid"));
    let message = |scene: &Scene| {
        let status = scene.instance.status.clone().unwrap();
        condition(&status.conditions, READY).unwrap().message.clone()
    };
    assert!(message(&scene).contains("`command` is for containers"), "{}", message(&scene));
    let mut scene = self::scene(InstanceSpec { ssh_authorized_keys: vec!["ssh-ed25519 AAAA".to_owned()], ..spec() });
    assert_eq!(scene.converge(Goal::Present), []);
    assert!(message(&scene).contains("`sshAuthorizedKeys` is for virtual machines"), "{}", message(&scene));
}

#[test]
fn a_machine_that_somebody_removed_is_made_again_at_once() {
    let mut scene = running(spec());
    scene.observed.machines.clear();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Create", "Start"]);
}

#[test]
fn what_somebody_took_from_a_machine_is_given_back_without_another_machine() {
    let mut scene = running(spec());
    let before = scene.machine().clone();
    scene.machine().name = "mine".to_owned();
    scene.machine().attachment = None;
    let steps = scene.plan(Goal::Present).steps;
    let [Step::Restore { id, name, network: Some(network) }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((id, name), (&before.id, &before.name));
    assert_eq!((network.network, Some(network.address)), (NETWORK, before.attachment.map(|at| at.address)));
    scene.converge(Goal::Present);
    assert_eq!(*scene.machine(), before);
    // Where the network is gone, only the name can be given back.
    scene.machine().name = "mine".to_owned();
    scene.machine().attachment = None;
    scene.observed.network = Target::NotReady(Network { uid: NETWORK, range: None }, "is not ready".to_owned());
    let steps = scene.plan(Goal::Present).steps;
    assert!(matches!(steps.first(), Some(Step::Restore { network: None, .. })), "{steps:?}");
}

#[test]
fn of_two_machines_the_one_that_is_as_it_should_be_stays() {
    let mut scene = running(spec());
    let mut old = scene.machine().clone();
    old.id = MachineId("old".to_owned());
    old.spec_hash = "other".to_owned();
    scene.observed.machines.push(old);
    let steps = scene.converge(Goal::Present);
    assert_eq!(names(&steps), ["Stop", "Remove"]);
    assert_eq!(steps[1], Step::Remove(MachineId("old".to_owned())));
}

#[test]
fn a_volume_that_another_machine_writes_to_is_waited_for() {
    let mut scene = scene(spec());
    scene.observed.rivals.insert("data".to_owned(), "api".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate"]);
    assert_eq!(scene.ready(), ("False", "VolumeInUse"));
}

#[test]
fn a_backend_that_does_not_answer_is_unknown_and_what_was_said_stands() {
    let mut scene = running(spec());
    let failure = Failure::backend("look for the machine")(controller_backend::Error::Unavailable {
        what: "Docker".to_owned(),
        source: None,
    });
    assert_eq!(scene.report(None, Some(&failure), Goal::Present).len(), 1);
    assert_eq!(scene.ready(), ("Unknown", "BackendUnavailable"));
    assert_eq!(scene.phase(), InstancePhase::Running);
    scene.converge(Goal::Present);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn files_are_put_in_place_before_every_start_and_when_they_change() {
    let mut scene = scene(spec());
    scene.observed.inputs.files.push(file_set());
    (scene.observed.files_in_place, scene.observed.files_up_to_date) = (false, false);
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "EnsureFiles", "Create", "EnsureFiles", "Start"]);
    (scene.observed.files_in_place, scene.observed.files_up_to_date) = (false, false);
    assert_eq!(names(&scene.converge(Goal::Present)), ["EnsureFiles"]);
}

#[test]
fn no_step_shows_a_secret_value() {
    let mut scene = scene(spec());
    scene
        .observed
        .inputs
        .environment
        .push(controller_backend::EnvVar { name: "PASSWORD".to_owned(), value: "hunter2".to_owned() });
    let hash_before = {
        let mut other = scene.clone();
        other.converge(Goal::Present);
        wanted_hash(&other.instance, &other.observed)
    };
    let steps = scene.converge(Goal::Present);
    assert!(!format!("{steps:?}").contains("hunter2"));
    scene.observed.inputs.environment[0].value = "hunter3".to_owned();
    assert_eq!(wanted_hash(&scene.instance, &scene.observed), hash_before);
}
