//! Two installations on one Docker never touch each other, nor anything that is nobody's.

use e2e::{Cloud, Docker, docker_is_there, skip_unless};

use crate::machine::sleeper;

#[test]
fn two_installations_and_a_strangers_container_live_side_by_side() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let docker = Docker::default();
    let stranger = docker.call(&["run", "--detach", "busybox:stable", "sleep", "1000000"]).ok().trim().to_owned();
    let (mut first, second) = (Cloud::start(), Cloud::start());
    assert_ne!(first.installation(), second.installation());
    // The same names in both, and a port that both would pick first.
    let spec = "ports: [{port: 80, publish: {}}]";
    first.apply(&sleeper("web", spec));
    second.apply(&sleeper("web", spec));
    let one = first.await_ready("instances", "web");
    let two = second.await_ready("instances", "web");
    assert_ne!(one["status"]["published"], two["status"]["published"]);
    let container = second.container("web");

    let _ = first.cloudctl(&["delete", "inst", "web"]).ok();
    first.kill();
    first.launch();
    assert_eq!(second.container("web"), container);
    let running = docker.call(&["inspect", "--format", "{{.State.Running}}", &container, &stranger]).ok();
    let _ = docker.call(&["rm", "--force", &stranger]);
    assert_eq!(running, "true\ntrue\n");
}

#[test]
fn a_container_from_a_committed_image_is_not_taken_for_ours() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");
    let (docker, container) = (Docker::default(), cloud.container("web"));
    // The labels of the container are in the image that is made of it, and on whatever runs from that.
    let image = format!("tc-e2e-committed-{}", std::process::id());
    let _ = docker.call(&["commit", &container, &image]).ok();
    let copy = docker.call(&["run", "--detach", &image]).ok().trim().to_owned();
    cloud.apply(&sleeper("web", "env: [{name: COLOUR, value: blue}]"));
    cloud.await_object("instances", "web", "to be replaced", |web| {
        web["status"]["machineId"].as_str().is_some_and(|id| id != container)
    });
    cloud.await_ready("instances", "web");
    let running = docker.call(&["inspect", "--format", "{{.State.Running}}", &copy]).stdout;
    let _ = docker.call(&["rm", "--force", &copy]);
    let _ = docker.call(&["rmi", "--force", &image]);
    assert_eq!(running, "true\n");
}
