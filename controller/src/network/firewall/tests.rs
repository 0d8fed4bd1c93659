//! What may pass, from what is declared.

use std::sync::Arc;

use controller_backend::{Allowed, AllowedPeer, Rules, Traffic};
use crds::compute::instance::{BackendName, Instance};
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::rules::{Declared, rules};

fn object<K: DeserializeOwned>(kind: &str, namespace: &str, name: &str, uid: u128, rest: Value) -> Arc<K> {
    let mut object = json!({
        "apiVersion": "thecloud.dev/v1alpha1", "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "uid": Uuid::from_u128(uid)},
    });
    for (key, value) in rest.as_object().into_iter().flatten() {
        match key.as_str() {
            "labels" => object["metadata"]["labels"] = value.clone(),
            _ => object[key] = value.clone(),
        }
    }
    Arc::new(serde_json::from_value(object).expect("an object of its kind"))
}

fn vpc(namespace: &str, name: &str, uid: u128, cidr: &str) -> Arc<Vpc> {
    let gateway = cidr.replace("0/24", "1");
    object("Vpc", namespace, name, uid, json!({"spec": {}, "status": {"cidr": cidr, "gateway": gateway}}))
}

fn machine(namespace: &str, name: &str, uid: u128, vpc: &str, ip: &str, role: &str) -> Arc<Instance> {
    let rest = json!({"spec": {"image": "x", "vpc": vpc}, "status": {"ip": ip}, "labels": {"role": role}});
    object("Instance", namespace, name, uid, rest)
}

fn group(namespace: &str, name: &str, uid: u128, vpc: &str, spec: Value) -> Arc<SecurityGroup> {
    let mut spec = spec;
    spec["vpc"] = json!(vpc);
    object("SecurityGroup", namespace, name, uid, json!({"spec": spec}))
}

fn peering(namespace: &str, vpc: &str, peer: Value) -> Arc<VpcPeering> {
    object("VpcPeering", namespace, "peering", 99, json!({"spec": {"vpc": vpc, "peer": peer}}))
}

fn declared() -> Declared {
    Declared {
        vpcs: vec![vpc("shop", "main", 1, "10.0.1.0/24"), vpc("tools", "shared", 2, "10.0.2.0/24")],
        instances: vec![
            machine("shop", "web", 11, "main", "10.0.1.2", "web"),
            machine("shop", "db", 12, "main", "10.0.1.3", "db"),
            machine("tools", "web", 13, "shared", "10.0.2.2", "web"),
        ],
        groups: Vec::new(),
        peerings: Vec::new(),
        backend: BackendName::Docker,
    }
}

fn made(declared: &Declared) -> Rules {
    rules(declared, |vpc| format!("br-{}", vpc.name_any()))
}

fn virtual_machine(phase: &str, backend: Option<&str>) -> Arc<Instance> {
    let port = json!({"port": 80, "protocol": "TCP", "address": "127.0.0.1", "publishedPort": 8080});
    let status = json!({"ip": "10.0.1.9", "phase": phase, "ports": [port]});
    let rest = json!({"spec": {"image": "x", "vpc": "main", "backend": backend}, "status": status});
    object("Instance", "shop", "vm", 19, rest)
}

#[test]
fn only_to_virtual_machines_that_run_the_filter_forwards() {
    let forwards = |instance: Arc<Instance>, backend: BackendName| {
        let declared = Declared { instances: vec![instance], backend, ..declared() };
        made(&declared).networks[&MAIN].members[&"10.0.1.9".parse().unwrap()].is_forwarded
    };
    assert!(forwards(virtual_machine("Running", Some("libvirt")), BackendName::Docker));
    assert!(forwards(virtual_machine("Paused", None), BackendName::Libvirt));
    assert!(!forwards(virtual_machine("Stopped", Some("libvirt")), BackendName::Docker));
    assert!(!forwards(virtual_machine("Running", None), BackendName::Docker));
}

const MAIN: Uuid = Uuid::from_u128(1);
const SHARED: Uuid = Uuid::from_u128(2);
const GROUP: Uuid = Uuid::from_u128(21);

#[test]
fn every_machine_with_an_address_is_in_its_network() {
    let mut declared = declared();
    declared.instances.push(object("Instance", "shop", "new", 14, json!({"spec": {"image": "x", "vpc": "main"}})));
    let rules = made(&declared);
    assert_eq!(rules.networks[&MAIN].bridge, "br-main");
    assert_eq!(rules.networks[&MAIN].members.len(), 2, "the new one has no address yet");
    assert!(rules.admits(SHARED, "10.0.2.2".parse().unwrap()));
    assert!(!rules.admits(MAIN, "10.0.2.2".parse().unwrap()), "an address counts in its own network only");
}

#[test]
fn vpc_without_addresses_has_no_part_in_it_yet() {
    let mut declared = declared();
    declared.vpcs[0] = object("Vpc", "shop", "main", 1, json!({"spec": {}}));
    assert_eq!(made(&declared).networks.keys().collect::<Vec<_>>(), [&SHARED]);
}

#[test]
fn group_takes_whom_it_selects_in_its_namespace_and_vpc() {
    let mut declared = declared();
    let selector = json!({"selector": {"matchLabels": {"role": "web"}}, "ingress": [{"protocol": "TCP", "port": 80}]});
    declared.groups =
        vec![group("shop", "web", 21, "main", selector.clone()), group("shop", "far", 22, "shared", selector)];
    let rules = made(&declared);
    assert_eq!(rules.groups[&GROUP].members, ["10.0.1.2".parse().unwrap()].into());
    assert_eq!(rules.groups[&Uuid::from_u128(22)].members.len(), 0, "its namespace has no such Vpc");
    assert_eq!(rules.networks[&MAIN].members[&"10.0.1.2".parse().unwrap()].groups, [GROUP].into());
    let http = Allowed { traffic: Traffic::Tcp(80, 80), peer: AllowedPeer::Anyone };
    assert_eq!(rules.groups[&GROUP].ingress, [http]);
}

#[test]
fn rule_whose_other_side_is_missing_lets_nothing_pass() {
    let mut declared = declared();
    let admins = json!([{"from": {"securityGroup": "admins"}, "to": {"securityGroup": "admins"}}]);
    let spec = json!({"selector": {}, "ingress": admins, "egress": admins});
    declared.groups = vec![group("shop", "web", 21, "main", spec)];
    let rules = made(&declared);
    assert_eq!(rules.groups[&GROUP].ingress, []);
    let nothing = Allowed { traffic: Traffic::Tcp(0, 0), peer: AllowedPeer::Anyone };
    assert_eq!(rules.groups[&GROUP].egress, [nothing], "an empty list would open everything");
}

#[test]
fn peering_of_two_namespaces_needs_both_sides() {
    let mut declared = declared();
    let ours = peering("shop", "main", json!({"namespace": "tools", "vpc": "shared"}));
    declared.peerings = vec![ours.clone()];
    assert!(made(&declared).peers.is_empty(), "the other side has not agreed");
    declared.peerings = vec![ours.clone(), peering("tools", "shared", json!({"namespace": "shop", "vpc": "other"}))];
    assert!(made(&declared).peers.is_empty(), "it agreed to another Vpc");
    declared.peerings = vec![ours, peering("tools", "shared", json!({"namespace": "shop", "vpc": "main"}))];
    assert_eq!(made(&declared).peers, [(MAIN, SHARED)].into());
}

#[test]
fn overlapping_or_internal_vpcs_are_no_peers() {
    let mut declared = declared();
    declared.vpcs = vec![vpc("shop", "main", 1, "10.0.1.0/24"), vpc("shop", "shared", 2, "10.0.1.0/24")];
    declared.peerings = vec![peering("shop", "main", json!({"vpc": "shared"}))];
    assert!(made(&declared).peers.is_empty(), "their ranges overlap");
    declared.vpcs[1] = vpc("shop", "shared", 2, "10.0.2.0/24");
    assert_eq!(made(&declared).peers, [(MAIN, SHARED)].into(), "one object is enough inside a namespace");
    let status = json!({"cidr": "10.0.2.0/24", "gateway": "10.0.2.1"});
    declared.vpcs[1] = object("Vpc", "shop", "shared", 2, json!({"spec": {"internal": true}, "status": status}));
    assert!(made(&declared).peers.is_empty(), "one has no way out");
}
