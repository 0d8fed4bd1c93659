//! A pulled plug: cloudd is killed in the middle of everything, started again, and converges.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

use e2e::{Cloud, docker_is_there, eventually, skip_unless};

use crate::machine::{documents, sleeper, volume, vpc};
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

/// How often cloudd is killed while thirty objects are applied.
const ROUNDS: u32 = 20;

/// Thirty objects that use each other. Another round is another environment, so that every machine is replaced.
fn thirty(round: u32) -> String {
    const GROUP: &str = "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: inside\nspec:\n  \
                         vpc: left\n  selector: {}\n  ingress:\n  - {protocol: TCP, port: 80}\n";
    const PEERING: &str = "apiVersion: thecloud.dev/v1alpha1\nkind: VpcPeering\nmetadata:\n  name: both\nspec:\n  vpc: left\n  \
                           peer: {vpc: right}\n";
    const SNAPSHOT: &str =
        "apiVersion: thecloud.dev/v1alpha1\nkind: VolumeSnapshot\nmetadata:\n  name: before\nspec:\n  volume: data-0\n";
    let mut all = vec![vpc("left"), vpc("right"), GROUP.to_owned(), PEERING.to_owned(), SNAPSHOT.to_owned()];
    for number in 0..8 {
        all.push(format!("apiVersion: v1\nkind: Secret\nmetadata:\n  name: key-{number}\nstringData:\n  key: hush\n"));
        all.push(volume(&format!("data-{number}"), "32Mi"));
        let spec = format!(
            "vpc: {}\nenv: [{{name: ROUND, value: \"{round}\"}}]\nvolumes:\n- {{name: data, mountPath: /data, volume: data-{number}}}\n- \
             {{name: key, mountPath: /key, secret: key-{number}}}",
            if number < 4 { "left" } else { "right" }
        );
        all.push(sleeper(&format!("web-{number}"), &spec));
    }
    all.push("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: last\ndata: {}\n".to_owned());
    assert_eq!(all.len(), 30);
    documents(&all)
}

#[test]
fn killed_at_any_moment_of_an_apply_of_thirty_objects_it_ends_as_if_it_never_was() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    // Where nobody kills it, an apply takes about a second, and what follows some more.
    let moments: Vec<u64> = (0..ROUNDS).map(|_| RandomState::new().build_hasher().finish() % 2500).collect();
    eprintln!("killed after so many ms: {moments:?}");
    for (round, moment) in moments.iter().enumerate() {
        let yaml = thirty(u32::try_from(round).expect("a few"));
        std::thread::scope(|scope| {
            let apply = scope.spawn(|| cloud.cloudctl_with(&["apply", "-f", "-"], &yaml));
            std::thread::park_timeout(Duration::from_millis(*moment));
            let _ = e2e::run("kill", ["-9", &cloud.pid().to_string()], "");
            // Finished or cut off, it says so and doesn't hang.
            let _ = apply.join().expect("it ends");
        });
        cloud.kill();
        cloud.launch();
    }
    cloud.apply(&thirty(ROUNDS));
    for number in 0..8 {
        let web = cloud.await_ready("instances", &format!("web-{number}"));
        let container = cloud.container(&format!("web-{number}"));
        assert_eq!(web["status"]["machineId"], container.as_str());
        let inside = cloud.docker().call(&[
            "exec",
            &container,
            "sh",
            "-c",
            "echo $ROUND $(cat /key/key) > /data/file; cat /data/file",
        ]);
        assert_eq!(inside.ok(), format!("{ROUNDS} hush\n"));
    }
    for (kind, name) in [("vpcpeerings", "both"), ("securitygroups", "inside"), ("volumesnapshots", "before")] {
        cloud.await_ready(kind, name);
    }
    let installation = cloud.installation();
    assert_eq!(cloud.docker().containers(&installation).len(), 8);
    assert_eq!(cloud.docker().networks(&installation).len(), 2);

    let _ = cloud.cloudctl_with(&["delete", "--wait=false", "-f", "-"], &thirty(ROUNDS)).ok();
    eventually("nothing to be left", || {
        let left = cloud.leftovers();
        let objects = cloud.cloudctl(&["get", "inst,vol,vpc,sg,vpcpeering,vsnap"]).stdout;
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
