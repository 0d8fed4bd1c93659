//! What cloudctl does with machines that run: their power, their files, their ports.

use e2e::{Cloud, Docker, docker_is_there, skip_unless};
use serde_json::Value;

use crate::machine::sleeper;

fn web() -> Cloud {
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    cloud
}

/// When the container of an Instance was last started, or that it isn't running.
fn running_since(container: &str) -> Option<String> {
    let format = "{{.State.Running}} {{.State.StartedAt}}";
    let shown = Docker::default().call(&["inspect", "--format", format, container]).ok();
    shown.trim().strip_prefix("true ").map(str::to_owned)
}

#[test]
fn stop_start_and_restart_come_back_when_it_is_so() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = web();
    let status = || cloud.object("instances", "web")["status"].clone();
    let container = status()["machineId"].as_str().unwrap().to_owned();
    let first = running_since(&container).expect("it runs");

    assert_eq!(cloud.cloudctl(&["restart", "web"]).ok(), "instance.thecloud.dev/web restarted\n");
    let second = running_since(&container).expect("it runs again");
    assert_ne!(first, second);
    assert_eq!((&status()["restartCount"], &status()["lastExit"]["reason"]), (&0.into(), &"Stopped".into()));

    assert_eq!(cloud.cloudctl(&["stop", "web"]).ok(), "instance.thecloud.dev/web stopped\n");
    assert_eq!(running_since(&container), None);
    let refused = cloud.cloudctl(&["restart", "web"]);
    assert_eq!((refused.code, refused.stderr.contains("`cloudctl start web` starts it")), (1, true), "{refused}");
    assert_eq!(cloud.cloudctl(&["stop", "web"]).ok(), "instance.thecloud.dev/web is stopped already\n");

    // What isn't there doesn't keep the others from being started.
    let mixed = cloud.cloudctl(&["start", "web", "missing"]);
    assert_eq!((mixed.code, mixed.stdout.as_str()), (3, "instance.thecloud.dev/web started\n"), "{mixed}");
    assert!(running_since(&container).is_some_and(|third| third != second));
    assert_eq!(status()["machineId"], Value::from(container));
}
