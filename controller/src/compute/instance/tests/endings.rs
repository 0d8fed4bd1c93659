//! What becomes of a machine that ends, is stopped, or is to be restarted.

use super::*;

#[test]
fn the_old_machine_is_started_again_while_the_new_one_can_not_be_made() {
    let mut scene = running(spec());
    scene.instance.spec.image = "nginx:0".to_owned();
    scene.observed.image = None;
    scene.machine().state = exited(137, 0);
    let plan = scene.plan(Goal::Present);
    assert_eq!(names(&plan.steps), ["RecordEnding", "Start", "RecordStart", "Pull"]);
    // One that isn't restarted rests.
    scene.instance.spec.restart_policy = RestartPolicy::Never;
    assert_eq!(names(&scene.plan(Goal::Present).steps), ["RecordEnding", "Pull"]);
}

#[test]
fn a_machine_stopped_on_purpose_starts_again_whatever_the_restart_policy() {
    let mut scene = running(InstanceSpec { restart_policy: RestartPolicy::Never, ..spec() });
    scene.instance.spec.power_state = PowerState::Stopped;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop"]);
    assert_eq!(scene.ready(), ("True", "Stopped"));
    assert_eq!(scene.phase(), InstancePhase::Stopped);
    scene.instance.spec.power_state = PowerState::Running;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Start"]);
    assert_eq!(scene.instance.status.unwrap().restart_count, Some(0));
}

#[test]
fn another_token_restarts_the_machine_once_whatever_the_restart_policy() {
    for policy in [RestartPolicy::Always, RestartPolicy::Never] {
        let mut scene = running(InstanceSpec { restart_policy: policy, ..spec() });
        scene.instance.spec.restart_token = Some("one".to_owned());
        assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "RecordRestart", "Start"]);
        assert_eq!(scene.ready(), ("True", "Running"));
        let status = scene.instance.status.clone().unwrap();
        assert_eq!((status.restart_token.as_deref(), status.restart_count), (Some("one"), Some(0)));
        assert_eq!(scene.converge(Goal::Present), []);
        scene.instance.spec.restart_token = None;
        assert_eq!(scene.converge(Goal::Present), []);
    }
}

#[test]
fn a_restart_that_is_cut_off_anywhere_goes_on_and_does_not_take_place_twice() {
    for policy in [RestartPolicy::Always, RestartPolicy::Never] {
        for done in 0..3 {
            let mut scene = running(InstanceSpec { restart_policy: policy, ..spec() });
            scene.instance.spec.restart_token = Some("one".to_owned());
            let taken = scene.converge_cut_off_after(done);
            assert_eq!(names(&taken), ["Stop", "RecordRestart", "Start"], "cut off after {done}");
        }
    }
}

#[test]
fn a_restart_starts_what_has_ended_or_waits_and_leaves_alone_what_is_stopped() {
    let mut ended = running(InstanceSpec { restart_policy: RestartPolicy::Never, ..spec() });
    ended.machine().state = exited(0, 5);
    ended.observed.now = second(6);
    assert_eq!(names(&ended.converge(Goal::Present)), ["RecordEnding"]);
    ended.instance.spec.restart_token = Some("one".to_owned());
    assert_eq!(names(&ended.converge(Goal::Present)), ["RecordRestart", "Start"]);

    let mut stopped = running(InstanceSpec { power_state: PowerState::Running, ..spec() });
    stopped.instance.spec.power_state = PowerState::Stopped;
    stopped.converge(Goal::Present);
    stopped.instance.spec.restart_token = Some("one".to_owned());
    assert_eq!(stopped.converge(Goal::Present), []);
    assert_eq!(stopped.ready(), ("True", "Stopped"));
    stopped.instance.spec.power_state = PowerState::Running;
    assert_eq!(names(&stopped.converge(Goal::Present)), ["Start"]);
}

#[test]
fn a_restart_that_could_not_start_again_stops_nothing() {
    let mut scene = running(spec());
    scene.instance.spec.restart_token = Some("one".to_owned());
    scene.observed.inputs.missing.insert("Secret `db`".to_owned());
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "DependencyMissing"));
    scene.observed.inputs.missing.clear();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "RecordRestart", "Start"]);
}

#[test]
fn a_machine_is_frozen_and_thawed() {
    let mut scene = running(spec());
    scene.instance.spec.power_state = PowerState::Paused;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Pause"]);
    assert_eq!(scene.ready(), ("True", "Paused"));
    scene.instance.spec.power_state = PowerState::Stopped;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Unpause", "Stop"]);
}

#[test]
fn the_first_crash_restarts_at_once_and_the_next_ones_wait_longer_and_longer() {
    let mut scene = running(spec());
    let mut pauses = Vec::new();
    for crash in 0..5 {
        scene.observed.now += SignedDuration::from_secs(1);
        let now = scene.observed.now;
        let exit = ExitState { code: 1, out_of_memory: false, finished_at: now };
        scene.machine().state = MachineState::Exited(exit);
        let steps = names(&scene.converge(Goal::Present));
        if crash == 0 {
            assert_eq!(steps, ["RecordEnding", "Start", "RecordStart"]);
        } else {
            assert_eq!(steps, ["RecordEnding"]);
            assert_eq!(scene.ready(), ("False", "BackOff"));
            assert_eq!(scene.phase(), InstancePhase::Failed);
            let due = scene.instance.status.as_ref().unwrap().next_restart.clone().unwrap().0;
            assert_eq!(scene.plan(Goal::Present).look_again, Some(due));
            pauses.push(due.duration_since(now).as_secs());
            scene.observed.now = due;
            assert_eq!(names(&scene.converge(Goal::Present)), ["Start", "RecordStart"]);
        }
        assert_eq!(scene.ready(), ("True", "Running"));
    }
    assert_eq!(pauses, [10, 20, 40, 80]);
    let status = scene.instance.status.clone().unwrap();
    assert_eq!((status.restart_count, status.crash_count), (Some(5), Some(5)));
    assert_eq!(status.next_restart, None);

    // After ten minutes it is no crash any more.
    scene.observed.now += SignedDuration::from_mins(10);
    scene.converge(Goal::Present);
    assert_eq!(scene.instance.status.clone().unwrap().crash_count, None);
    let finished_at = scene.observed.now;
    scene.machine().state = MachineState::Exited(ExitState { code: 1, out_of_memory: false, finished_at });
    assert_eq!(names(&scene.converge(Goal::Present)), ["RecordEnding", "Start", "RecordStart"]);
}

#[test]
fn a_machine_that_is_killed_by_hand_again_and_again_is_back_at_once_but_not_for_ever() {
    let mut scene = running(spec());
    let mut at_once = 0;
    for kill in 1..10 {
        scene.observed.now += SignedDuration::from_secs(2);
        let finished_at = scene.observed.now;
        scene.machine().state = MachineState::Exited(ExitState { code: 137, out_of_memory: false, finished_at });
        if names(&scene.converge(Goal::Present)) != ["RecordEnding", "Start", "RecordStart"] {
            break;
        }
        at_once = kill;
    }
    assert_eq!(at_once, 6);
}

#[test]
fn what_ended_well_stays_so_unless_the_policy_says_always() {
    let mut scene = running(InstanceSpec { restart_policy: RestartPolicy::OnFailure, ..spec() });
    scene.machine().state = exited(0, 5);
    assert_eq!(names(&scene.converge(Goal::Present)), ["RecordEnding"]);
    assert_eq!(scene.ready(), ("True", "Completed"));
    assert_eq!(scene.phase(), InstancePhase::Succeeded);
    // Nor is it run a second time when somebody removes the machine.
    scene.observed.machines.clear();
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("True", "Completed"));
    // Another spec is another run.
    scene.instance.metadata.generation = Some(2);
    assert_eq!(names(&scene.converge(Goal::Present)), ["Create", "Start"]);
}

#[test]
fn what_failed_and_is_not_started_again_needs_the_user() {
    let mut scene = running(InstanceSpec { restart_policy: RestartPolicy::Never, ..spec() });
    scene.machine().state = exited(3, 5);
    assert_eq!(names(&scene.converge(Goal::Present)), ["RecordEnding"]);
    assert_eq!(scene.ready(), ("False", "Failed"));
    let status = scene.instance.status.unwrap();
    assert_eq!(condition(&status.conditions, STALLED).unwrap().status, "True");
    assert_eq!(status.last_exit.unwrap().code, 3);
}
