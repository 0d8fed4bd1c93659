//! What is in use is not torn out, and what is deleted is gone.

use e2e::{Cloud, condition, docker_is_there, eventually, skip_unless};

use crate::machine::{documents, sleeper, volume, vpc};

#[test]
fn a_vpc_waits_for_its_instances_and_says_for_which() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&documents(&[vpc("main"), sleeper("b", "vpc: main"), sleeper("a", "vpc: main")]));
    cloud.await_ready("instances", "a");
    cloud.await_ready("instances", "b");

    let _ = cloud.cloudctl(&["delete", "vpc", "main", "--wait=false"]).ok();
    let held = cloud
        .await_object("vpcs", "main", "to say that it is in use", |vpc| condition(vpc, "Ready")["reason"] == "InUse");
    assert_eq!(held["status"]["phase"], "Terminating");
    let message = condition(&held, "Ready")["message"].as_str().unwrap_or_default().to_owned();
    assert!(message.contains("a, b"), "{message}");

    let _ = cloud.cloudctl(&["delete", "inst", "a", "b"]).ok();
    eventually("the Vpc to be gone", || match cloud.object("vpcs", "main") {
        serde_json::Value::Null => Ok(()),
        vpc => Err(vpc),
    });
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}

#[test]
fn a_protected_object_refuses_its_deletion() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let protected = volume("data", "32Mi") + "  deletionProtection: true\n";
    cloud.apply(&protected);
    let said = cloud.cloudctl(&["delete", "vol", "data"]).failed();
    assert!(said.contains("deletionProtection"), "{said}");
    cloud.await_ready("volumes", "data");
    cloud.apply(&volume("data", "32Mi"));
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
}

#[test]
fn a_retained_volume_leaves_its_data_on_the_host() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply(&(volume("data", "32Mi") + "  deletionPolicy: Retain\n"));
    let uid = cloud.await_ready("volumes", "data")["metadata"]["uid"].as_str().unwrap().to_owned();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new(), "nothing is mounted any more");
    let found = e2e::run("grep", ["-rl", &uid, cloud.data_dir().join("volumes").to_str().unwrap()], "").stdout
        + &e2e::run("find", [cloud.data_dir().to_str().unwrap(), "-path", &format!("*{uid}*")], "").stdout;
    assert!(found.contains(&uid), "the data of {uid} is gone");
}

#[test]
fn deleting_a_namespace_empties_it() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    cloud.apply("apiVersion: v1\nkind: Namespace\nmetadata:\n  name: team\n");
    let _ = cloud.cloudctl_with(&["apply", "-n", "team", "-f", "-"], &sleeper("web", "")).ok();
    eventually("the Instance to be Ready", || {
        let output = cloud.cloudctl(&["wait", "-n", "team", "--for=condition=Ready", "--timeout=30s", "inst/web"]);
        if output.code == 0 { Ok(()) } else { Err(output.to_string()) }
    });
    let _ = cloud.cloudctl(&["delete", "namespace", "team"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}
