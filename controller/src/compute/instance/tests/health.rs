//! What becomes of a machine that fails its health check.

use super::*;

#[test]
fn a_failing_check_makes_it_unavailable_and_is_told_once() {
    let mut scene = running(checked(OnFailure::None));
    assert_eq!((scene.available(), scene.ready()), ("Checking", ("True", "Running")));
    set_health(&mut scene, Health::Passing);
    scene.converge(Goal::Present);
    assert_eq!(scene.available(), "Healthy");
    set_health(&mut scene, Health::Failing("port 80 does not accept connections".to_owned()));
    let plan = scene.plan(Goal::Present);
    assert_eq!(plan.steps, []);
    assert_eq!(scene.report(Some(&plan), None, Goal::Present).len(), 1);
    assert_eq!(scene.report(Some(&plan), None, Goal::Present).len(), 0);
    assert_eq!(scene.available(), "Unhealthy");
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn what_was_healthy_is_checked_anew_after_a_restart_and_not_after_a_restart_of_the_controllers() {
    let mut scene = running(checked(OnFailure::None));
    set_health(&mut scene, Health::Passing);
    scene.converge(Goal::Present);
    scene.observed.probing = None;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Probe"]);
    assert_eq!(scene.available(), "Healthy");

    scene.observed.now += SignedDuration::from_secs(5);
    scene.machine().state = exited(137, 5);
    assert_eq!(names(&scene.converge(Goal::Present)), ["StopProbe", "RecordEnding", "Start", "RecordStart", "Probe"]);
    assert_eq!(scene.available(), "Checking");
}

#[test]
fn a_failing_check_restarts_the_machine_if_asked_to() {
    let mut scene = running(InstanceSpec { restart_policy: RestartPolicy::OnFailure, ..checked(OnFailure::Restart) });
    set_health(&mut scene, Health::Failing("no answer".to_owned()));
    let steps = scene.converge(Goal::Present);
    assert_eq!(names(&steps), ["StopProbe", "Stop", "RecordEnding", "Start", "RecordStart", "Probe"]);
    let status = scene.instance.status.clone().unwrap();
    assert_eq!(status.last_exit.unwrap().reason, "Unhealthy");
    assert_eq!(scene.available(), "Checking");
}
