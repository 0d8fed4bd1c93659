//! The Docker daemon goes away and comes back. The daemon is the test's own, in a network namespace of its own.

use e2e::{Cloud, condition, docker_is_there, skip_unless};
use serde_json::Value;

use crate::machine::{documents, sleeper, volume, vpc};
use crate::network::{ip, reaches, server, until};
use crate::own_docker::Daemon;
use crate::own_host::on_a_host_of_its_own;
use crate::storage::shell;

#[test]
fn instances_wait_for_a_stopped_docker_and_are_back_with_it() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start("{}");
    let cloud = Cloud::builder().docker(daemon.docker()).start();
    cloud.apply(&sleeper("web", ""));
    cloud.await_ready("instances", "web");

    daemon.stop();
    cloud.apply(&sleeper("late", ""));
    let late = cloud.await_object("instances", "late", "to say that Docker is away", |late| {
        condition(late, "Ready")["reason"] == "BackendUnavailable"
    });
    assert!(condition(&late, "Ready")["message"].as_str().unwrap_or_default().contains("Docker"), "{late}");

    daemon.launch();
    cloud.await_ready("instances", "web");
    cloud.await_ready("instances", "late");
    let _ = cloud.cloudctl(&["delete", "inst", "web", "late"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "default"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
}

/// Two Instances, one of them with data, run while the daemon is stopped or killed, and started again. What they are
/// afterwards: their containers, and how often each was restarted.
fn restarted(daemon: &mut Daemon) -> Vec<(bool, Value)> {
    let cloud = Cloud::builder().docker(daemon.docker()).start();
    let with_data = sleeper("data", "volumes: [{name: data, mountPath: /data, volume: data}]");
    cloud.apply(&documents(&[volume("data", "32Mi"), with_data, sleeper("web", "")]));
    let names = ["data", "web"];
    let before: Vec<String> = names
        .map(|name| {
            cloud.await_ready("instances", name);
            cloud.container(name)
        })
        .to_vec();
    shell(&cloud, "data", "echo kept > /data/file; sync");
    let mut told = Vec::new();
    for end in [Daemon::stop, Daemon::kill] {
        end(daemon);
        daemon.launch();
        for (name, container) in names.iter().zip(&before) {
            let object = cloud.await_object("instances", name, "to be Ready, and its container to run", |object| {
                let state = cloud.docker().call(&["inspect", "--format", "{{.State.Running}}", container]).stdout;
                condition(object, "Ready")["status"] == "True" && state.trim() == "true"
            });
            told.push((cloud.container(name) == *container, object["status"]["restartCount"].clone()));
        }
        assert_eq!(shell(&cloud, "data", "cat /data/file"), "kept\n");
    }
    let _ = cloud.cloudctl(&["delete", "inst", "data", "web"]).ok();
    let _ = cloud.cloudctl(&["delete", "vol", "data"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "default"]).ok();
    // What Docker itself held on to goes with the next Volume, once it was started anew.
    daemon.stop();
    daemon.launch();
    cloud.apply(&volume("other", "32Mi"));
    cloud.await_ready("volumes", "other");
    let _ = cloud.cloudctl(&["delete", "vol", "other"]).ok();
    assert_eq!(cloud.leftovers(), Vec::<String>::new());
    told
}

#[test]
fn where_docker_restores_live_its_restart_is_not_noticed() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start("{\"live-restore\": true}");
    for (is_same, restarts) in restarted(&mut daemon) {
        assert_eq!((is_same, restarts.as_i64().unwrap_or_default()), (true, 0));
    }
}

#[test]
fn where_docker_takes_its_containers_down_they_are_started_again() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut daemon = Daemon::start("{\"live-restore\": false}");
    let told = restarted(&mut daemon);
    assert!(told.iter().all(|(is_same, _)| *is_same), "the same containers: {told:?}");
    let restarts: Vec<i64> = told.iter().map(|(_, restarts)| restarts.as_i64().unwrap_or_default()).collect();
    assert_eq!(restarts, [1, 1, 2, 2]);
}

#[test]
fn who_was_kept_out_stays_out_when_docker_is_started_again() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    // cloudd and all that it does to the host's network too: other tests use the host's Docker.
    let test = "docker_stops::who_was_kept_out_stays_out_when_docker_is_started_again";
    on_a_host_of_its_own(test, |namespace| walls_hold(&mut Daemon::start_in(namespace, "{\"live-restore\": true}")));
}

fn walls_hold(daemon: &mut Daemon) {
    let cloud = Cloud::builder().docker(daemon.docker()).start();
    let group = "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: web\nspec:\n  vpc: left\n  \
                 selector: {matchLabels: {role: web}}\n  ingress:\n  - {protocol: TCP, port: 80, from: {securityGroup: clients}}\n\
                 ---\napiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: clients\nspec:\n  vpc: left\n  \
                 selector: {matchLabels: {role: client}}\n";
    cloud.apply(&documents(&[
        vpc("left"),
        vpc("right"),
        group.to_owned(),
        server("web", "left", "web"),
        server("client", "left", "client"),
        server("neighbour", "left", "neighbour"),
        server("far", "right", "client"),
    ]));
    for name in ["web", "client", "neighbour", "far"] {
        cloud.await_ready("instances", name);
    }
    let web = ip(&cloud, "web");
    let ids = ["client", "neighbour", "far"].map(|name| cloud.container(name));
    let [client, neighbour, far] = ids.each_ref().map(String::as_str);
    let walls = |when: &str| {
        until(&format!("who is let in, {when}"), || reaches(&cloud, client, &web, "80"));
        assert!(!reaches(&cloud, neighbour, &web, "80"), "who is in no such group, {when}");
        assert!(!reaches(&cloud, far, &web, "80"), "who is in another Vpc, {when}");
    };
    walls("at first");
    for (end, when) in [(Daemon::stop as fn(&mut Daemon), "after a restart"), (Daemon::kill, "after a kill")] {
        end(daemon);
        daemon.launch();
        walls(when);
    }
    // It was the group that kept it out.
    let _ = cloud.cloudctl(&["delete", "sg", "web", "clients"]).ok();
    until("everybody in the Vpc is let in", || reaches(&cloud, neighbour, &web, "80"));
    assert!(!reaches(&cloud, far, &web, "80"), "who is in another Vpc");
}
