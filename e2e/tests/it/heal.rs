//! What ends by itself, or is taken away by hand, is back by itself.

use std::time::{Duration, Instant};

use e2e::{Cloud, docker_is_there, eventually, skip_unless};

use crate::machine::sleeper;

#[test]
fn a_killed_container_runs_again_long_before_any_resync() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    let container = cloud.container("web");

    let killed = Instant::now();
    let _ = cloud.docker().call(&["kill", &container]).ok();
    cloud.await_object("instances", "web", "to count a restart", |web| web["status"]["restartCount"] == 1);
    let web = cloud.await_ready("instances", "web");
    assert!(killed.elapsed() < Duration::from_secs(15), "it took {:?}", killed.elapsed());
    assert_eq!(cloud.container("web"), container, "a plain restart keeps the container");
    assert_eq!(web["status"]["lastExit"]["code"], 137);
}

#[test]
fn a_removed_container_is_made_again_with_its_address() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    let before = cloud.await_ready("instances", "web");
    let container = cloud.container("web");

    let _ = cloud.docker().call(&["rm", "--force", &container]).ok();
    cloud.await_object("instances", "web", "to have another machine", |web| {
        web["status"]["machineId"] != before["status"]["machineId"]
    });
    let after = cloud.await_ready("instances", "web");
    assert_ne!(cloud.container("web"), container);
    assert_eq!(after["status"]["ip"], before["status"]["ip"]);
}

#[test]
fn a_machine_that_keeps_crashing_waits_longer_each_time_and_says_so() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("crasher", "command: [sh, -c]\nargs: [\"echo no; exit 3\"]"));
    let crasher = cloud.await_object("instances", "crasher", "to wait for its next start", |crasher| {
        crasher["status"]["nextRestart"].is_string() && e2e::condition(crasher, "Ready")["reason"] == "BackOff"
    });
    assert_eq!(crasher["status"]["lastExit"]["code"], 3);
    eventually("an event that tells of it", || {
        let events = cloud.cloudctl(&["describe", "inst", "crasher"]);
        if events.stdout.contains("BackOff") || events.stdout.contains("Died") {
            Ok(())
        } else {
            Err(events.to_string())
        }
    });
}

#[test]
fn demo_heal_tells_of_a_recovery_with_times() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    let told = cloud.cloudctl(&["demo", "heal", "web"]).ok();
    assert!(told.contains("killed") && told.contains("Ready again") && told.contains("healed in"), "{told}");
}
