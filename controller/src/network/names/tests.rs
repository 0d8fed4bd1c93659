//! Who is found by which name, from what is declared.

use std::sync::Arc;

use controller_backend::{Owner, Zones};
use crds::compute::instance::Instance;
use crds::network::vpc::Vpc;
use kube::ResourceExt;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use uuid::Uuid;

use super::zones::zones;
use crate::runtime::uid_of;

fn object<K: DeserializeOwned>(
    kind: &str,
    namespace: &str,
    name: &str,
    uid: u128,
    spec: Value,
    status: Value,
) -> Arc<K> {
    let object = json!({
        "apiVersion": "thecloud.dev/v1alpha1", "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "uid": Uuid::from_u128(uid)},
        "spec": spec, "status": status,
    });
    Arc::new(serde_json::from_value(object).expect("an object of its kind"))
}

fn vpc(namespace: &str, uid: u128, spec: Value) -> Arc<Vpc> {
    let status = json!({"cidr": format!("10.0.{uid}.0/24"), "gateway": format!("10.0.{uid}.1")});
    object("Vpc", namespace, "main", uid, spec, status)
}

fn machine(namespace: &str, name: &str, uid: u128, vpc: &str, ip: Option<&str>) -> Arc<Instance> {
    object("Instance", namespace, name, uid, json!({"image": "x", "vpc": vpc}), json!({"ip": ip}))
}

fn made(vpcs: &[Arc<Vpc>], instances: &[Arc<Instance>]) -> Zones {
    zones(vpcs, instances, |instance| Owner {
        installation: Uuid::nil(),
        kind: "Instance".to_owned(),
        namespace: instance.namespace().expect("one"),
        name: instance.name_any(),
        uid: uid_of(instance),
    })
}

/// All names of a network.
fn names(zones: &Zones, network: u128) -> Vec<&str> {
    zones.networks[&Uuid::from_u128(network)].hosts.values().flatten().map(String::as_str).collect()
}

#[test]
fn every_machine_with_an_address_is_found_in_its_own_network_only() {
    let vpcs = [vpc("shop", 1, json!({})), vpc("tools", 2, json!({"internal": true}))];
    let zones = made(
        &vpcs,
        &[
            machine("shop", "web", 11, "main", Some("10.0.1.2")),
            machine("shop", "new", 12, "main", None),
            machine("shop", "lost", 13, "other", Some("10.0.9.2")),
            machine("tools", "web", 14, "main", Some("10.0.2.2")),
        ],
    );
    assert_eq!(names(&zones, 1), ["web", "web.shop.cloud.internal", "web.instance.shop.cloud.internal"]);
    assert_eq!(names(&zones, 2), ["web", "web.tools.cloud.internal", "web.instance.tools.cloud.internal"]);
    let forwards: Vec<bool> = zones.networks.values().map(|zone| zone.forwards).collect();
    assert_eq!(forwards, [true, false], "without a way out nothing is looked up either");
}

#[test]
fn network_without_a_range_yet_is_not_served() {
    let vpc = object("Vpc", "shop", "main", 1, json!({}), json!({}));
    assert_eq!(made(&[vpc], &[machine("shop", "web", 11, "main", Some("10.0.1.2"))]), Zones::default());
}
