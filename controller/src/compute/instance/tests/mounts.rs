//! How a virtual machine's mounts change while it is there.

use super::*;

const NAMES: [&str; 3] = ["data", "first", "second"];

fn mount(volume: &str) -> VolumeMount {
    let mount_path = format!("/dev/{volume}");
    VolumeMount { mount_path, volume: Some(volume.to_owned()), ..VolumeMount::default() }
}

/// A virtual machine that runs and mounts these Volumes: `data` is a directory, the others are devices.
fn mounting(volumes: &[&str]) -> Scene {
    let mut scene = virtual_scene();
    set(&mut scene, volumes);
    scene.converge(Goal::Present);
    assert_eq!(scene.ready(), ("True", "Running"));
    scene
}

fn set(scene: &mut Scene, volumes: &[&str]) {
    scene.instance.spec.volumes = volumes.iter().map(|name| mount(name)).collect();
    let uids = [VOLUME, DEVICES[0], DEVICES[1]];
    let known = NAMES.into_iter().zip(uids).filter(|(name, _)| volumes.contains(name));
    scene.observed.volumes = known.map(|(name, uid)| (name.to_owned(), Target::Ready(uid))).collect();
}

fn live(scene: &Scene) -> Vec<String> {
    let mounts = scene.observed.machines.last().unwrap().mounts.clone().unwrap();
    mounts.live.unwrap().into_iter().map(|mount| mount.path).collect()
}

#[test]
fn a_device_comes_and_goes_while_it_runs_and_is_defined_first() {
    let mut scene = mounting(&["first"]);
    set(&mut scene, &["first", "second"]);
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Attach"]);
    assert_eq!((live(&scene), scene.ready()), (vec!["/dev/first".into(), "/dev/second".into()], ("True", "Running")));
    set(&mut scene, &["second"]);
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Detach"]);
    assert_eq!((live(&scene), scene.ready()), (vec!["/dev/second".into()], ("True", "Running")));
    assert_eq!(scene.machine().volumes, [DEVICES[1]]);
}

#[test]
fn a_device_that_is_to_be_read_only_goes_and_comes_back() {
    let mut scene = mounting(&["first"]);
    scene.instance.spec.volumes[0].read_only = true;
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Detach", "Attach"]);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_device_that_has_grown_is_told_of() {
    let mut scene = mounting(&["first"]);
    scene.machine().mounts.as_mut().unwrap().outgrown = vec![DEVICES[0]];
    assert_eq!(names(&scene.converge(Goal::Present)), ["Attach"]);
}

#[test]
fn a_guest_that_does_not_let_go_is_named_and_its_volume_is_not_free() {
    let mut scene = mounting(&["first"]);
    set(&mut scene, &[]);
    let plan = scene.plan(Goal::Present);
    assert_eq!(names(&plan.steps), ["DefineMounts"]);
    scene.model(&plan.steps[0]);
    assert_eq!(scene.machine().volumes, [DEVICES[0]], "defined away, and still there");
    let plan = scene.plan(Goal::Present);
    assert_eq!(names(&plan.steps), ["Detach"]);
    let held = Failure::Held { volume: "first".to_owned() };
    let notes = scene.report(Some(&plan), Some(&held), Goal::Present);
    assert_eq!((scene.ready(), notes.len()), (("False", "DetachPending"), 1));
    assert!(scene.message().contains("Volume `first`"), "{}", scene.message());
    assert_eq!((scene.phase(), scene.available()), (InstancePhase::Running, "Running"));
    assert_eq!(scene.report(Some(&plan), Some(&held), Goal::Present), [], "it is told once");

    // It lets go by itself.
    let id = scene.machine().id.clone();
    scene.model(&Step::Detach { id, volume: DEVICES[0] });
    let plan = scene.plan(Goal::Present);
    let notes = scene.report(Some(&plan), None, Goal::Present);
    assert_eq!((plan.steps, notes[0].reason), (Vec::new(), "VolumeDetached"));
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_restart_takes_from_a_guest_what_it_does_not_let_go() {
    let mut scene = mounting(&["first"]);
    set(&mut scene, &[]);
    scene.instance.spec.restart_token = Some("now".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Stop", "RecordRestart", "Start"]);
    assert_eq!(live(&scene), [] as [String; 0]);
}

#[test]
fn a_volume_that_has_grown_and_is_taken_away_at_once_is_let_go_of() {
    let mut scene = mounting(&["first"]);
    scene.machine().mounts.as_mut().unwrap().outgrown = vec![DEVICES[0]];
    set(&mut scene, &[]);
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Detach"]);
    assert_eq!((scene.ready(), live(&scene)), (("True", "Running"), Vec::new()));
}

#[test]
fn directories_change_at_the_next_start_which_is_said() {
    let mut scene = mounting(&["data"]);
    set(&mut scene, &[]);
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts"]);
    assert_eq!(scene.ready(), ("False", "RestartNeeded"));
    assert!(scene.message().contains("`/dev/data`") && scene.message().contains("cloudctl restart web"));
    assert_eq!(scene.machine().volumes, [VOLUME], "it has the Volume until then");
    scene.instance.spec.restart_token = Some("now".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "RecordRestart", "Start"]);
    assert_eq!((scene.ready(), live(&scene)), (("True", "Running"), Vec::new()));
}

#[test]
fn a_volume_that_others_have_is_waited_for_and_keeps_nothing_else_from_going_on() {
    let mut scene = mounting(&["first"]);
    set(&mut scene, &["second"]);
    scene.observed.rivals.insert("second".to_owned(), "api".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Detach"]);
    assert_eq!(scene.ready(), ("False", "VolumeInUse"));
    scene.machine().state = exited(137, 5);
    scene.machine().mounts.as_mut().unwrap().live = None;
    scene.observed.now = second(6);
    assert!(names(&scene.converge(Goal::Present)).contains(&"Start".to_owned()), "with what it has");
    assert_eq!((scene.ready(), live(&scene)), (("False", "VolumeInUse"), Vec::new()));
    scene.observed.rivals.clear();
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Attach"]);
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn a_volume_that_is_not_there_takes_nothing_away() {
    let mut scene = mounting(&["first"]);
    set(&mut scene, &["second"]);
    scene.observed.volumes.insert("second".to_owned(), Target::Missing);
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!((scene.ready(), live(&scene)), (("False", "DependencyMissing"), vec!["/dev/first".to_owned()]));
    let not_ready = Target::NotReady(DEVICES[1], "is not ready yet".to_owned());
    scene.observed.volumes.insert("second".to_owned(), not_ready);
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts", "Detach"]);
    assert_eq!(scene.ready(), ("False", "DependencyNotReady"));
}

#[test]
fn a_machine_is_not_replaced_by_one_without_a_volume_that_is_missing() {
    let mut scene = mounting(&["first"]);
    let kept = scene.machine().id.clone();
    scene.observed.volumes.insert("first".to_owned(), Target::Missing);
    scene.instance.spec.replace_token = Some("now".to_owned());
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!((scene.ready(), &scene.observed.machines[0].id), (("False", "DependencyMissing"), &kept));
}

#[test]
fn writing_to_what_others_read_is_waited_for_and_reading_goes_on() {
    let mut scene = virtual_scene();
    set(&mut scene, &["first"]);
    scene.instance.spec.volumes[0].read_only = true;
    scene.converge(Goal::Present);
    scene.instance.spec.volumes[0].read_only = false;
    scene.observed.rivals.insert("first".to_owned(), "api".to_owned());
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!((scene.ready(), live(&scene)), (("False", "VolumeInUse"), vec!["/dev/first".to_owned()]));
}

#[test]
fn projected_files_are_in_place_before_they_are_mounted() {
    let mut scene = mounting(&[]);
    (scene.observed.files_in_place, scene.observed.files_up_to_date) = (false, false);
    let settings =
        VolumeMount { mount_path: "/settings".to_owned(), config_map: Some("s".to_owned()), ..VolumeMount::default() };
    scene.instance.spec.volumes = vec![settings];
    scene.observed.inputs.missing.insert("ConfigMap `s`".to_owned());
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "DependencyMissing"));
    scene.observed.inputs.missing.clear();
    let steps = names(&scene.converge(Goal::Present));
    assert_eq!(steps[..2], ["EnsureFiles", "DefineMounts"], "{steps:?}");
    assert_eq!(scene.ready(), ("False", "RestartNeeded"));
}

#[test]
fn what_is_stopped_mounts_something_else_when_it_is_started() {
    let mut scene = mounting(&["data", "first"]);
    scene.instance.spec.power_state = PowerState::Stopped;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop"]);
    set(&mut scene, &["second"]);
    assert_eq!(names(&scene.converge(Goal::Present)), ["DefineMounts"]);
    assert_eq!((scene.ready(), scene.observed.machines[0].volumes.clone()), (("True", "Stopped"), vec![DEVICES[1]]));
    scene.instance.spec.power_state = PowerState::Running;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Start"]);
    assert_eq!(live(&scene), ["/dev/second"]);
}

#[test]
fn files_that_were_in_place_are_put_there_again_before_they_are_defined() {
    let mut scene = mounting(&["first"]);
    set(&mut scene, &[]);
    let config =
        VolumeMount { mount_path: "/etc/app".to_owned(), config_map: Some("app".to_owned()), ..VolumeMount::default() };
    scene.instance.spec.volumes.push(config);
    scene.observed.inputs.files.push(file_set());
    (scene.observed.files_in_place, scene.observed.files_up_to_date) = (true, true);
    let steps = names(&scene.plan(Goal::Present).steps);
    assert_eq!(
        steps[..2],
        ["EnsureFiles", "DefineMounts"],
        "a host that was switched off has forgotten them: {steps:?}"
    );
}
