//! What ends by itself, or is taken away by hand, is back by itself.

use std::time::{Duration, Instant};

use e2e::{Cloud, Docker, docker_is_there, eventually, run, skip_unless};

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

/// Whether the host reaches the machine at its address.
fn answers(cloud: &Cloud, instance: &str) -> Result<(), String> {
    let address = cloud.object("instances", instance)["status"]["ip"].as_str().unwrap_or_default().to_owned();
    let page = run("curl", ["--silent", "--max-time", "2", &format!("http://{address}:8080/")], "");
    if page.stdout == "hello\n" { Ok(()) } else { Err(page.to_string()) }
}

#[test]
fn a_container_that_somebody_renamed_or_disconnected_is_itself_again_without_a_restart() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    let serve = "ports: [{port: 8080, publish: {}}]\ncommand: [sh, -c, \"mkdir -p /tmp/www; echo hello > /tmp/www/index.html; \
                 exec httpd -f -p 8080 -h /tmp/www\"]";
    cloud.apply(&sleeper("web", serve));
    let before = cloud.await_ready("instances", "web");
    eventually("the page", || answers(&cloud, "web"));
    let published = format!("http://{}/", before["status"]["published"].as_str().expect("it is published"));
    let container = cloud.container("web");
    let shown = |what: &str| Docker::default().call(&["inspect", "--format", what, &container]).ok().trim().to_owned();
    let (name, network) = (shown("{{.Name}}"), shown("{{.HostConfig.NetworkMode}}"));

    let _ = cloud.docker().call(&["rename", &container, "mine"]).ok();
    eventually("its name", || if shown("{{.Name}}") == name { Ok(()) } else { Err(shown("{{.Name}}")) });

    let _ = cloud.docker().call(&["network", "disconnect", &network, &container]).ok();
    eventually("it to be back in its network", || answers(&cloud, "web"));
    eventually("its port to be published again", || {
        let page = run("curl", ["--silent", "--max-time", "2", &published], "");
        if page.stdout == "hello\n" { Ok(()) } else { Err(page.to_string()) }
    });

    // While nobody looks, and it is stopped too.
    cloud.kill();
    let _ = cloud.docker().call(&["rename", &container, "mine"]).ok();
    let _ = cloud.docker().call(&["kill", &container]).ok();
    cloud.launch();
    let after = cloud.await_object("instances", "web", "to run again", |web| {
        web["status"]["restartCount"] == 1 && e2e::condition(web, "Ready")["status"] == "True"
    });
    eventually("the page", || answers(&cloud, "web"));
    assert_eq!(cloud.container("web"), container, "it is still the same container");
    assert_eq!((&after["status"]["ip"], shown("{{.Name}}")), (&before["status"]["ip"], name));
    let events = cloud.cloudctl(&["describe", "inst", "web"]).ok();
    assert!(events.contains("Restored"), "{events}");
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
