//! What becomes of objects when what they belong to goes.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, config_map, namespace, owned, widget};

const MAPS: &str = "/api/v1/namespaces/a/configmaps";
const ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";
const NOBODY: &str = "11111111-1111-1111-1111-111111111111";

fn at(name: &str) -> String {
    format!("{WIDGETS}/{name}")
}

fn red(name: &str) -> Value {
    widget(name, json!({"color": "red"}))
}

fn reference(api_version: &str, kind: &str, name: &str, uid: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind, "name": name, "uid": uid})
}

/// A reference to an object that is there.
fn to(owner: &Value) -> Value {
    owned("x", owner)["metadata"]["ownerReferences"][0].clone()
}

fn with_owners(mut object: Value, owners: &[Value]) -> Value {
    object["metadata"]["ownerReferences"] = json!(owners);
    object
}

/// Lets the collector do what it is going to do, shown by an object that it collects after everything before.
async fn settle(server: &Server) {
    let dead = [reference("v1", "ConfigMap", "none", NOBODY)];
    server.post(MAPS, with_owners(config_map("last", [].into()), &dead)).await.expect(201);
    server.until_gone(&format!("{MAPS}/last")).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
}

#[tokio::test]
async fn owners_of_each_other_go_together() {
    let server = Server::with_widgets().await;
    let first = server.post(WIDGETS, red("first")).await.expect(201);
    let second = server.post(WIDGETS, owned("second", &first)).await.expect(201);
    server.merge(&at("first"), json!({"metadata": {"ownerReferences": [to(&second)]}})).await.expect(200);
    server.delete(&at("first"), json!({"propagationPolicy": "Foreground"})).await.expect(200);
    server.until_gone(&at("first")).await;
    server.until_gone(&at("second")).await;
}

#[tokio::test]
async fn owners_of_each_other_that_all_wait_go_too() {
    let server = Server::with_widgets().await;
    let mut made: Vec<Value> = Vec::new();
    for name in ["one", "two", "three"] {
        let mut object = red(name);
        // Each will wait for what it owns, however it is deleted.
        object["metadata"]["finalizers"] = json!(["foregroundDeletion"]);
        made.push(server.post(WIDGETS, object).await.expect(201));
    }
    for (index, name) in ["one", "two", "three"].into_iter().enumerate() {
        let owner = to(&made[(index + 1) % 3]);
        server.merge(&at(name), json!({"metadata": {"ownerReferences": [owner]}})).await.expect(200);
    }
    let own = server.post(WIDGETS, red("own")).await.expect(201);
    server.merge(&at("own"), json!({"metadata": {"ownerReferences": [to(&own)]}})).await.expect(200);
    server.delete(&at("own"), json!({"propagationPolicy": "Foreground"})).await.expect(200);
    server.delete(WIDGETS, json!({})).await.expect(200);
    for name in ["own", "one", "two", "three"] {
        server.until_gone(&at(name)).await;
    }
}

#[tokio::test]
async fn an_owner_waits_only_for_those_that_block_it() {
    let server = Server::with_widgets().await;
    let owner = server.post(WIDGETS, red("owner")).await.expect(201);
    let mut free = owned("free", &owner);
    free["metadata"]["ownerReferences"][0]["blockOwnerDeletion"] = false.into();
    free["metadata"]["finalizers"] = json!(["example.com/hold"]);
    let mut blocking = owned("blocking", &owner);
    blocking["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(WIDGETS, free).await.expect(201);
    server.post(WIDGETS, blocking).await.expect(201);
    server.delete(&at("owner"), json!({"propagationPolicy": "Foreground"})).await.expect(200);
    let is_going =
        |found: Option<&Value>| found.is_some_and(|found| found["metadata"]["deletionTimestamp"].is_string());
    // All of them go at once; only one is waited for.
    server.until(&at("free"), "being deleted", is_going).await;
    server.until(&at("blocking"), "being deleted", is_going).await;
    server.get(&at("owner")).await.expect(200);
    server.json_patch(&at("blocking"), json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    server.until_gone(&at("owner")).await;
    server.get(&at("free")).await.expect(200);
}

#[tokio::test]
async fn what_waits_for_its_dependents_waits_for_its_own_finalizers_too() {
    let server = Server::with_widgets().await;
    let mut owner = red("owner");
    owner["metadata"]["finalizers"] = json!(["example.com/a"]);
    let owner = server.post(WIDGETS, owner).await.expect(201);
    server.post(WIDGETS, owned("child", &owner)).await.expect(201);
    let marked = server.delete(&at("owner"), json!({"propagationPolicy": "Foreground"})).await.expect(200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["example.com/a", "foregroundDeletion"]));
    server.until_gone(&at("child")).await;
    let is_held =
        |found: Option<&Value>| found.is_some_and(|found| found["metadata"]["finalizers"] == json!(["example.com/a"]));
    server.until(&at("owner"), "held by its own finalizer alone", is_held).await;
    server.json_patch(&at("owner"), json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    server.get(&at("owner")).await.refusal(404);
}

#[tokio::test]
async fn a_finalizer_that_is_there_says_how_a_deletion_is_meant_and_a_policy_overrules_it() {
    let server = Server::with_widgets().await;
    for (name, policy) in [("kept", json!({})), ("lost", json!({"propagationPolicy": "Background"}))] {
        let mut owner = red(name);
        owner["metadata"]["finalizers"] = json!(["orphan"]);
        let owner = server.post(WIDGETS, owner).await.expect(201);
        let child = format!("{name}-child");
        server.post(WIDGETS, owned(&child, &owner)).await.expect(201);
        server.delete(&at(name), policy).await.expect(200);
        server.until_gone(&at(name)).await;
    }
    server.until_gone(&at("lost-child")).await;
    let kept = server.get(&at("kept-child")).await.expect(200);
    assert!(kept["metadata"].get("ownerReferences").is_none());
}

#[tokio::test]
async fn an_owner_of_an_unknown_kind_is_neither_there_nor_gone_until_the_kind_is_known() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let unknown = reference("wire.test/v1", "Widget", "none", NOBODY);
    let dead = reference("v1", "ConfigMap", "none", NOBODY.replace('1', "2").as_str());
    server.post(MAPS, with_owners(config_map("one", [].into()), std::slice::from_ref(&unknown))).await.expect(201);
    let both = server.post(MAPS, with_owners(config_map("both", [].into()), &[unknown, dead])).await.expect(201);
    settle(&server).await;
    server.get(&format!("{MAPS}/one")).await.expect(200);
    assert_eq!(server.get(&format!("{MAPS}/both")).await.expect(200), both, "nothing of it is touched");
    server.server.install_kinds(&[crate::harness::widgets()]).await.unwrap();
    server.until_gone(&format!("{MAPS}/one")).await;
    server.until_gone(&format!("{MAPS}/both")).await;
}

#[tokio::test]
async fn an_owner_in_a_version_that_is_not_served_is_not_taken_for_gone() {
    let server = Server::with_widgets().await;
    let owners = [reference("wire.test/v9", "Widget", "none", NOBODY)];
    server.post(MAPS, with_owners(config_map("one", [].into()), &owners)).await.expect(201);
    settle(&server).await;
    server.get(&format!("{MAPS}/one")).await.expect(200);
}

#[tokio::test]
async fn what_is_in_no_namespace_is_never_collected_for_an_owner_in_one() {
    let server = Server::with_widgets().await;
    let owner = server.post(WIDGETS, red("owner")).await.expect(201);
    let role = |name: &str, owners: &[Value]| {
        let role = json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": [],
        });
        with_owners(role, owners)
    };
    let dead = reference("rbac.authorization.k8s.io/v1", "ClusterRole", "none", NOBODY);
    let made = server.post(ROLES, role("misled", &[to(&owner), dead.clone()])).await.expect(201);
    server.post(ROLES, role("lost", &[dead])).await.expect(201);
    server.delete(&at("owner"), json!({})).await.expect(200);
    server.until_gone(&format!("{ROLES}/lost")).await;
    settle(&server).await;
    assert_eq!(server.get(&format!("{ROLES}/misled")).await.expect(200), made);
}

#[tokio::test]
async fn an_owner_in_another_namespace_is_none_and_an_event_says_so() {
    let server = Server::with_widgets().await;
    server.post("/api/v1/namespaces", namespace("b")).await.expect(201);
    let owner = server.post(WIDGETS, red("owner")).await.expect(201);
    let uid = owner["metadata"]["uid"].as_str().unwrap();
    let there = "/apis/wire.test/v1/namespaces/b/widgets";
    let child = server.post(there, owned("child", &owner)).await.expect(201);
    server.until_gone(&format!("{there}/child")).await;
    server.get(&at("owner")).await.expect(200);
    let events = server.get("/api/v1/namespaces/b/events").await.expect(200);
    let event = &events["items"][0];
    assert_eq!((&event["reason"], &event["type"]), (&json!("OwnerRefInvalidNamespace"), &json!("Warning")));
    let expected = format!(
        "ownerRef [wire.test/v1/Widget, namespace: b, name: owner, uid: {uid}] does not exist in namespace \"b\""
    );
    assert_eq!(event["message"], expected);
    assert_eq!(event["involvedObject"]["uid"], child["metadata"]["uid"]);
    assert_eq!(event["source"]["component"], "garbage-collector-controller");
    assert_eq!(events["items"].as_array().unwrap().len(), 1);
}
