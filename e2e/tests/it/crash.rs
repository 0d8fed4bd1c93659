//! A pulled plug: cloudd is killed in the middle of everything, started again, and converges.

use std::time::Duration;

use e2e::{Cloud, docker_is_there, eventually, skip_unless};

use crate::tour::{get, tour};

#[test]
fn killed_again_and_again_during_the_tour_it_converges_and_doubles_nothing() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    // What was acknowledged before the first kill must be there after the last.
    cloud.apply(&tour());
    for pause in [0, 150, 400, 800, 1500] {
        std::thread::park_timeout(Duration::from_millis(pause));
        cloud.kill();
        cloud.launch();
    }
    let web = cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "client");
    let address = web["status"]["published"].as_str().expect("the port is published").to_owned();
    eventually("the page on the published port", || {
        let page = get(&address);
        if page == "Hello from The Cloud\n" { Ok(()) } else { Err(page) }
    });
    let installation = cloud.installation();
    assert_eq!(cloud.docker().containers(&installation).len(), 2);
    assert_eq!(cloud.docker().networks(&installation).len(), 1);

    let _ = cloud.cloudctl_with(&["delete", "--wait=false", "-f", "-"], &tour()).ok();
    for pause in [0, 300, 700] {
        std::thread::park_timeout(Duration::from_millis(pause));
        cloud.kill();
        cloud.launch();
    }
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        let objects = cloud.cloudctl(&["get", "inst,vol,vpc"]).stdout;
        if left.is_empty() && objects.is_empty() { Ok(()) } else { Err((left, objects)) }
    });
}

#[test]
fn every_acknowledged_write_is_there_after_a_kill() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::builder().fake().start();
    let mut acknowledged = Vec::new();
    for round in 0..5 {
        for number in 0..10 {
            let name = format!("note-{round}-{number}");
            let yaml =
                format!("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {name}\ndata:\n  round: \"{round}\"\n");
            cloud.apply(&yaml);
            acknowledged.push(format!("configmap/{name}"));
        }
        cloud.kill();
        cloud.launch();
    }
    let listed = cloud.cloudctl(&["get", "configmaps", "-o", "name"]).ok();
    for name in acknowledged {
        assert!(listed.lines().any(|line| line == name), "{name} is lost");
    }
}

#[test]
fn a_terminated_cloudd_ends_cleanly_and_soon() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    assert_eq!(cloud.stop(), 0, "{}", cloud.log());
    assert!(!cloud.log().contains("ERROR"), "{}", cloud.log());
}
