//! Who reaches whom, by packets of real containers: what SecurityGroups and VpcPeerings promise.

use std::collections::BTreeSet;
use std::time::Duration;

use e2e::{Cloud, condition, docker_is_there, eventually, eventually_within, skip_unless};
use serde_json::Value;

use crate::machine::{documents, sleeper, vpc};

/// An Instance that serves HTTP on port 80.
pub(crate) fn server(name: &str, vpc: &str, role: &str) -> String {
    let serve = format!(
        "vpc: {vpc}\ncommand: [sh, -c, \"mkdir -p /tmp/page; echo hello > /tmp/page/index.html; \
         exec httpd -f -p 80 -h /tmp/page\"]"
    );
    sleeper(name, &serve)
        .replace(&format!("  name: {name}\n"), &format!("  name: {name}\n  labels: {{role: {role}}}\n"))
}

pub(crate) fn ip(cloud: &Cloud, name: &str) -> String {
    cloud.object("instances", name)["status"]["ip"].as_str().expect("it has an address").to_owned()
}

/// Whether a connection from this container comes about.
pub(crate) fn reaches(cloud: &Cloud, from: &str, to: &str, port: &str) -> bool {
    let script = format!("nc -w 1 {to} {port} < /dev/null");
    cloud.docker().call(&["exec", from, "sh", "-c", &script]).code == 0
}

/// What is refused is tried once. What passes is tried again: a busy server may take its time.
pub(crate) fn until(awaited: &str, mut holds: impl FnMut() -> bool) {
    eventually(awaited, || if holds() { Ok(()) } else { Err("not yet") });
}

#[test]
fn vpcs_are_apart_until_they_are_peers_and_groups_let_in_whom_they_name() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let mut cloud = Cloud::start();
    cloud.apply(&documents(&[
        vpc("left"),
        vpc("right"),
        server("web", "left", "web"),
        server("client", "left", "client"),
        server("far", "right", "client"),
    ]));
    for name in ["web", "client", "far"] {
        cloud.await_ready("instances", name);
    }
    let (web, far) = (ip(&cloud, "web"), ip(&cloud, "far"));
    // Known beforehand: they are asked while nothing of ours answers, too.
    let (client, other) = (cloud.container("client"), cloud.container("far"));
    let (client, other) = (client.as_str(), other.as_str());
    until("the server serves", || reaches(&cloud, client, &web, "80"));
    assert!(!reaches(&cloud, other, &web, "80"), "another Vpc");

    // The server itself listens on the host: no machine reaches it.
    let gateway = cloud.object("vpcs", "left")["status"]["gateway"].as_str().expect("a gateway").to_owned();
    let api = cloud.address();
    let port = api.rsplit(':').next().expect("a port").to_owned();
    assert!(!reaches(&cloud, client, &gateway, &port), "the API of the cloud");

    cloud.apply(
        "apiVersion: thecloud.dev/v1alpha1\nkind: VpcPeering\nmetadata:\n  name: both\nspec:\n  vpc: left\n  \
         peer: {vpc: right}\n",
    );
    cloud.await_ready("vpcpeerings", "both");
    until("peers reach each other", || reaches(&cloud, other, &web, "80") && reaches(&cloud, client, &far, "80"));

    cloud.apply(
        "apiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: web\nspec:\n  vpc: left\n  \
         selector: {matchLabels: {role: web}}\n  ingress:\n  - {protocol: TCP, port: 80, from: {securityGroup: clients}}\n\
         ---\napiVersion: thecloud.dev/v1alpha1\nkind: SecurityGroup\nmetadata:\n  name: clients\nspec:\n  vpc: left\n  \
         selector: {matchLabels: {role: client}}\n",
    );
    let group = cloud.await_ready("securitygroups", "web");
    assert_eq!((&group["status"]["members"], &group["status"]["rules"]), (&1.into(), &1.into()));
    until("a member of the group is let in", || reaches(&cloud, client, &web, "80"));
    assert!(!reaches(&cloud, other, &web, "80"), "a peer that is in no such group");

    // Rules outlive the process that made them, and are put back if somebody takes them away.
    cloud.kill();
    assert!(!reaches(&cloud, other, &web, "80"), "while nothing of ours runs");
    until("the group is let in while nothing of ours runs", || reaches(&cloud, client, &web, "80"));
    let table = format!("thecloud_{}", &cloud.installation().replace('-', "")[..8]);
    let gone = std::process::Command::new("nft").args(["delete", "table", "inet", &table]).status().expect("nft runs");
    assert!(gone.success());
    cloud.launch();
    until("the rules are back", || !reaches(&cloud, other, &web, "80"));
    until("the group is let in again", || reaches(&cloud, client, &web, "80"));

    let _ = cloud.cloudctl(&["delete", "vpcpeering", "both"]).ok();
    let _ = cloud.cloudctl(&["delete", "sg", "web", "clients"]).ok();
    until("the peering is closed", || !reaches(&cloud, client, &far, "80"));
    until("the group is gone", || reaches(&cloud, client, &web, "80"));
}

#[test]
fn a_hundred_vpcs_come_and_go_on_one_host_and_never_overlap() {
    skip_unless!(docker_is_there(), "no Docker daemon answers");
    let cloud = Cloud::start();
    let all: Vec<String> = (0..100).map(|number| vpc(&format!("vpc-{number}"))).collect();
    cloud.apply(&documents(&all));
    let vpcs = eventually_within(Duration::from_secs(240), "all to be Ready", || {
        let listed = cloud.cloudctl(&["get", "vpc", "-o", "json"]).ok();
        let listed: Value = serde_json::from_str(&listed).expect("-o json is JSON");
        let vpcs = listed["items"].as_array().expect("a list").clone();
        let waiting = vpcs.iter().filter(|vpc| condition(vpc, "Ready")["status"] != "True").count();
        if (vpcs.len(), waiting) == (100, 0) { Ok(vpcs) } else { Err((vpcs.len(), waiting)) }
    });
    // Each is a /20, so that none overlaps another where no two are the same.
    let ranges: BTreeSet<&str> = vpcs.iter().filter_map(|vpc| vpc["status"]["cidr"].as_str()).collect();
    assert_eq!(ranges.len(), 100);
    assert!(ranges.iter().all(|range| range.ends_with("/20")), "{ranges:?}");
    // The last one serves as any.
    cloud.apply(&documents(&[server("web", "vpc-99", "web"), server("client", "vpc-99", "client")]));
    for name in ["web", "client"] {
        cloud.await_ready("instances", name);
    }
    let client = cloud.container("client");
    until("a server by its name", || reaches(&cloud, &client, "web", "80"));
    let _ = cloud.cloudctl(&["delete", "inst", "web", "client"]).ok();
    let _ = cloud.cloudctl(&["delete", "vpc", "--all", "--wait=false"]).ok();
    eventually_within(Duration::from_secs(240), "nothing to be left", || {
        let left = cloud.leftovers();
        if left.is_empty() { Ok(()) } else { Err(left.len()) }
    });
}
