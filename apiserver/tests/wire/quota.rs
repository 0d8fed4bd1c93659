//! ResourceQuotas: what a namespace may hold, kept to under every kind of write, by one server and by several.

use std::sync::Arc;
use std::time::Duration;

use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, WIDGETS, config_map, namespace, widget, widgets};

const QUOTAS: &str = "/api/v1/namespaces/a/resourcequotas";
const MAPS: &str = "/api/v1/namespaces/a/configmaps";
const SIZES: &str = "/apis/wire.test/v1/sizes";

fn quota(name: &str, hard: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": name}, "spec": {"hard": hard}})
}

/// Widgets that cost what their note says, or else what the Size that they name (or the server's own) says.
fn charged_widgets() -> Value {
    let mut definition = widgets();
    let charges = json!([{"names": ["cpu", "requests.cpu"], "amount": [
        {"field": "spec.cpu"},
        {"field": "spec.cpu", "of": {"resource": "sizes.wire.test", "nameField": "spec.size", "nameSetting": "size"}},
    ]}]);
    definition["metadata"]["annotations"]["thecloud.dev/charges"] = charges.to_string().into();
    let spec = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
    spec["properties"]["cpu"] = json!({"type": "string"});
    spec["properties"]["size"] = json!({"type": "string"});
    definition
}

fn sizes() -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "sizes.wire.test", "annotations": {"thecloud.dev/schema-version": "1"}},
        "spec": {
            "group": "wire.test",
            "scope": "Cluster",
            "names": {"plural": "sizes", "kind": "Size"},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object",
                "properties": {"spec": {"type": "object", "properties": {"cpu": {"type": "string"}}}},
            }}}],
        },
    })
}

fn size(name: &str, cpu: &str) -> Value {
    json!({"apiVersion": "wire.test/v1", "kind": "Size", "metadata": {"name": name}, "spec": {"cpu": cpu}})
}

fn costing(name: &str, spec: Value) -> Value {
    let mut made = widget(name, spec);
    made["spec"]["color"] = "red".into();
    made
}

async fn charged() -> Server {
    let server = Server::with(|config| {
        config.settings.insert("size".into(), "small".into());
    })
    .await;
    server.server.install_kinds(&[sizes(), charged_widgets()]).await.unwrap();
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server.post(SIZES, size("small", "500m")).await.expect(201);
    server.post(SIZES, size("large", "4")).await.expect(201);
    server
}

/// Waits until a quota says that so much is used.
async fn until_used(server: &Server, name: &str, used: Value) {
    let what = format!("at {used}");
    server
        .until(&format!("{QUOTAS}/{name}"), &what, |found| found.is_some_and(|quota| quota["status"]["used"] == used))
        .await;
}

async fn used(server: &Server, name: &str) -> Value {
    server.get(&format!("{QUOTAS}/{name}")).await.expect(200)["status"]["used"].clone()
}

#[tokio::test]
async fn no_more_objects_are_made_than_a_quota_allows() {
    let server = Server::with_widgets().await;
    // Held to from its first moment, before anybody has measured.
    server.post(QUOTAS, quota("q", json!({"count/widgets.wire.test": 2, "cpu": "1"}))).await.expect(201);
    server.post(WIDGETS, costing("w1", json!({}))).await.expect(201);
    server.post(WIDGETS, costing("w2", json!({}))).await.expect(201);
    let refused = server.post(WIDGETS, costing("w3", json!({}))).await;
    let (reason, message) = refused.refusal(403);
    assert_eq!(reason, "Forbidden");
    assert_eq!(
        message,
        "widgets.wire.test \"w3\" is forbidden: exceeded quota: q, requested: count/widgets.wire.test=1, \
         used: count/widgets.wire.test=2, limited: count/widgets.wire.test=2"
    );
    assert_eq!(refused.json()["details"], json!({"group": "wire.test", "kind": "widgets", "name": "w3"}));

    let mut generated = costing("", json!({}));
    generated["metadata"] = json!({"generateName": "w-"});
    server.post(WIDGETS, generated).await.refusal(403);
    let (_, message) = server.post(&format!("{WIDGETS}?dryRun=All"), costing("w3", json!({}))).await.refusal(403);
    assert!(message.contains("exceeded quota: q"), "{message}");
    let apply = server
        .send(
            "PATCH",
            &format!("{WIDGETS}/w3?fieldManager=m"),
            &[("content-type", "application/apply-patch+yaml")],
            costing("w3", json!({})).to_string(),
        )
        .await;
    apply.refusal(403);
    // What is there may change.
    server.merge(&format!("{WIDGETS}/w1"), json!({"spec": {"note": "x"}})).await.expect(200);

    server.delete(&format!("{WIDGETS}/w1"), json!({})).await.expect(200);
    assert_eq!(used(&server, "q").await, json!({"count/widgets.wire.test": "1", "cpu": "0"}));
    server.post(&format!("{WIDGETS}?dryRun=All"), costing("w3", json!({}))).await.expect(201);
    assert_eq!(used(&server, "q").await["count/widgets.wire.test"], "1", "a dry run takes no place");
    server.post(WIDGETS, costing("w3", json!({}))).await.expect(201);
    server.delete(WIDGETS, json!({})).await.expect(200);
    assert_eq!(used(&server, "q").await["count/widgets.wire.test"], "0");
}

#[tokio::test]
async fn object_that_waits_for_a_finalizer_counts_until_it_is_gone() {
    let server = Server::with_widgets().await;
    server.post(QUOTAS, quota("q", json!({"count/widgets.wire.test": "1"}))).await.expect(201);
    let mut held = costing("w1", json!({}));
    held["metadata"]["finalizers"] = json!(["wire.test/hold"]);
    server.post(WIDGETS, held).await.expect(201);
    server.delete(&format!("{WIDGETS}/w1"), json!({})).await.expect(200);
    server.post(WIDGETS, costing("w2", json!({}))).await.refusal(403);
    server.merge(&format!("{WIDGETS}/w1"), json!({"metadata": {"finalizers": null}})).await.expect(200);
    server.post(WIDGETS, costing("w2", json!({}))).await.expect(201);
}

#[tokio::test]
async fn writers_that_come_at_once_do_not_share_the_last_place() {
    let server = Server::with_widgets().await;
    server.post(QUOTAS, quota("q", json!({"count/widgets.wire.test": "5"}))).await.expect(201);
    let asked = join_all((0..20).map(|number| {
        let server = &server;
        async move { server.post(WIDGETS, costing(&format!("w{number}"), json!({}))).await.code }
    }))
    .await;
    assert_eq!(asked.iter().filter(|code| **code == 201).count(), 5, "{asked:?}");
    assert_eq!(asked.iter().filter(|code| **code == 403).count(), 15, "{asked:?}");
    assert_eq!(used(&server, "q").await, json!({"count/widgets.wire.test": "5"}));
    let gone = join_all((0..20).map(|number| {
        let server = &server;
        async move { server.delete(&format!("{WIDGETS}/w{number}"), json!({})).await.code }
    }))
    .await;
    assert_eq!(gone.iter().filter(|code| **code == 200).count(), 5);
    assert_eq!(used(&server, "q").await, json!({"count/widgets.wire.test": "0"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_on_one_store_do_not_share_the_last_place() {
    let store = MemoryStore::shared(Uuid::from_u128(1), Duration::from_millis(20));
    let mut servers = Vec::new();
    for _ in 0..3 {
        let storage = Storage::open(Arc::new(store.another()), StorageOptions::default()).await.unwrap();
        servers.push(Server::over(storage, |_| {}).await);
    }
    servers[0].add_widgets().await;
    servers[0].post(QUOTAS, quota("q", json!({"count/configmaps": "7"}))).await.expect(201);
    let asked = join_all((0..24).map(|number| {
        let server = &servers[number % 3];
        async move { server.post(MAPS, config_map(&format!("m{number}"), [].into())).await.code }
    }))
    .await;
    assert_eq!(asked.iter().filter(|code| **code == 201).count(), 7, "{asked:?}");
    assert_eq!(asked.iter().filter(|code| **code == 403).count(), 17, "{asked:?}");
    for server in &servers {
        assert_eq!(used(server, "q").await, json!({"count/configmaps": "7"}));
    }
}

#[tokio::test]
async fn amounts_are_found_where_the_kind_says() {
    let server = charged().await;
    server.post(WIDGETS, costing("before", json!({"cpu": "250m"}))).await.expect(201);
    server.post(QUOTAS, quota("q", json!({"requests.cpu": "3"}))).await.expect(201);
    until_used(&server, "q", json!({"requests.cpu": "250m"})).await;
    server.post(WIDGETS, costing("default", json!({}))).await.expect(201);
    assert_eq!(used(&server, "q").await, json!({"requests.cpu": "750m"}));
    let (_, message) = server.post(WIDGETS, costing("named", json!({"size": "large"}))).await.refusal(403);
    assert!(
        message.ends_with(
            "exceeded quota: q, requested: requests.cpu=4, used: requests.cpu=750m, limited: requests.cpu=3"
        ),
        "{message}"
    );
    let (_, message) = server.post(WIDGETS, costing("unknown", json!({"size": "none"}))).await.refusal(403);
    assert!(message.ends_with("failed quota: q: must specify requests.cpu"), "{message}");
    let (_, message) = server.post(WIDGETS, costing("gift", json!({"cpu": "-1"}))).await.refusal(403);
    assert!(message.ends_with("quota usage is negative for resource(s): cpu"), "{message}");

    // An update pays the difference.
    let one = format!("{WIDGETS}/before");
    server.merge(&one, json!({"spec": {"cpu": "2500m"}})).await.expect(200);
    assert_eq!(used(&server, "q").await, json!({"requests.cpu": "3"}));
    let (_, message) = server.merge(&one, json!({"spec": {"cpu": "2501m"}})).await.refusal(403);
    assert!(message.contains("requested: requests.cpu=1m, used: requests.cpu=3,"), "{message}");
    server.merge(&format!("{one}?dryRun=All"), json!({"spec": {"cpu": "9"}})).await.refusal(403);
    server.merge(&one, json!({"spec": {"cpu": "1"}})).await.expect(200);
    assert_eq!(used(&server, "q").await, json!({"requests.cpu": "1500m"}));

    // What the objects refer to may change; then they cost something else.
    server.merge(&format!("{SIZES}/small"), json!({"spec": {"cpu": "5"}})).await.expect(200);
    until_used(&server, "q", json!({"requests.cpu": "6"})).await;
    // That is more than is allowed: what asks for no more goes on.
    server.merge(&format!("{one}/status"), json!({"status": {"phase": "x"}})).await.expect(200);
    server.merge(&one, json!({"spec": {"note": "x"}})).await.expect(200);
    server.merge(&one, json!({"spec": {"cpu": "999m"}})).await.expect(200);
    server.merge(&one, json!({"spec": {"cpu": "1"}})).await.refusal(403);
    server.delete(&format!("{WIDGETS}/default"), json!({})).await.expect(200);
    assert_eq!(used(&server, "q").await, json!({"requests.cpu": "999m"}));
}

#[tokio::test]
async fn kind_that_is_charged_differently_is_measured_anew() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, costing("w", json!({"replicas": 3}))).await.expect(201);
    server.post(QUOTAS, quota("q", json!({"cpu": "9"}))).await.expect(201);
    until_used(&server, "q", json!({"cpu": "0"})).await;
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.wire.test";
    let charges = json!([{"names": ["cpu"], "amount": [{"field": "spec.replicas"}]}]).to_string();
    let annotate = |charges: &str| json!({"metadata": {"annotations": {"thecloud.dev/charges": charges}}});
    server.merge(definition, annotate(&charges)).await.expect(200);
    until_used(&server, "q", json!({"cpu": "3"})).await;
    let (reason, message) = server.merge(definition, annotate("cpu")).await.refusal(422);
    assert_eq!(reason, "Invalid");
    assert!(
        message.contains("metadata.annotations[thecloud.dev/charges]: Invalid value: \"cpu\": must be"),
        "{message}"
    );
}

#[tokio::test]
async fn every_quota_of_a_namespace_counts_and_no_other() {
    let server = Server::with_widgets().await;
    server.post("/api/v1/namespaces", namespace("b")).await.expect(201);
    server.post(QUOTAS, quota("wide", json!({"configmaps": "3", "resourcequotas": "2"}))).await.expect(201);
    server.post(QUOTAS, quota("narrow", json!({"count/configmaps": "1"}))).await.expect(201);
    let (_, message) = server.post(QUOTAS, quota("third", json!({}))).await.refusal(403);
    assert!(message.ends_with("requested: resourcequotas=1, used: resourcequotas=2, limited: resourcequotas=2"));
    server.post(MAPS, config_map("m1", [].into())).await.expect(201);
    let (_, message) = server.post(MAPS, config_map("m2", [].into())).await.refusal(403);
    assert!(message.contains("exceeded quota: narrow, requested: count/configmaps=1"), "{message}");
    assert_eq!(used(&server, "wide").await["configmaps"], "1", "what is refused is counted nowhere");
    server.post("/api/v1/namespaces/b/configmaps", config_map("m2", [].into())).await.expect(201);
    // Events come by themselves.
    let events =
        json!({"apiVersion": "v1", "kind": "Event", "metadata": {"name": "e"}, "involvedObject": {"namespace": "a"}});
    server.merge(&format!("{QUOTAS}/narrow"), json!({"spec": {"hard": {"count/events": "0"}}})).await.expect(200);
    server.post("/api/v1/namespaces/a/events", events).await.expect(201);
    // A quota with scopes is about Pods.
    server.delete(&format!("{QUOTAS}/narrow"), json!({})).await.expect(200);
    let mut scoped = quota("scoped", json!({"count/configmaps": "0"}));
    scoped["spec"]["scopes"] = json!(["BestEffort"]);
    server.post(QUOTAS, scoped).await.expect(201);
    server.post(MAPS, config_map("m2", [].into())).await.expect(201);
}

#[tokio::test]
async fn what_somebody_says_is_used_is_put_right() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, costing("w", json!({}))).await.expect(201);
    server.post(QUOTAS, quota("q", json!({"count/widgets.wire.test": "1"}))).await.expect(201);
    until_used(&server, "q", json!({"count/widgets.wire.test": "1"})).await;
    let made = server.get(&format!("{QUOTAS}/q")).await.expect(200);
    assert_eq!(made["metadata"]["managedFields"][1]["manager"], "kube-apiserver");
    assert_eq!(made["metadata"]["managedFields"][1]["subresource"], "status");
    let lie = json!({"status": {"used": {"count/widgets.wire.test": "0"}}});
    tokio::time::pause();
    server.merge(&format!("{QUOTAS}/q/status"), lie).await.expect(200);
    assert_eq!(used(&server, "q").await, json!({"count/widgets.wire.test": "0"}));
    tokio::time::sleep(Duration::from_secs(31)).await;
    assert_eq!(used(&server, "q").await, json!({"count/widgets.wire.test": "1"}));
    // Other limits are in force at once.
    server.merge(&format!("{QUOTAS}/q"), json!({"spec": {"hard": {"configmaps": "0"}}})).await.expect(200);
    server.post(MAPS, config_map("m", [].into())).await.refusal(403);
}

#[tokio::test]
async fn quota_reads_as_upstream_shows_it() {
    let server = Server::with_widgets().await;
    let hard = json!({"requests.cpu": 0.5, "limits.memory": "1024Mi", "pods": "4"});
    let made = server.post(QUOTAS, quota("q", hard)).await.expect(201);
    assert_eq!(made["spec"]["hard"], json!({"requests.cpu": "500m", "limits.memory": "1Gi", "pods": "4"}));
    until_used(&server, "q", json!({"requests.cpu": "0", "limits.memory": "0", "pods": "0"})).await;
    let accept = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = server.send("GET", QUOTAS, &accept, "").await.expect(200);
    let names: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["Name", "Request", "Limit", "Age"]);
    let cells = &table["rows"][0]["cells"];
    assert_eq!(cells[1], "pods: 0/4, requests.cpu: 0/500m");
    assert_eq!(cells[2], "limits.memory: 0/1Gi");

    let (_, message) = server.post(QUOTAS, quota("bad", json!({"cpu": "1 GB"}))).await.refusal(400);
    assert_eq!(
        message,
        "ResourceQuota in version \"v1\" cannot be handled as a ResourceQuota: quantities must match the regular \
         expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    );
    let (_, message) = server.post(QUOTAS, quota("bad", json!({"instances": "1"}))).await.refusal(422);
    assert_eq!(
        message,
        "ResourceQuota \"bad\" is invalid: [spec.hard[instances]: Invalid value: \"instances\": must be a standard \
         resource type or fully qualified, spec.hard[instances]: Invalid value: \"instances\": must be a standard \
         resource for quota]"
    );
}

#[tokio::test]
async fn namespace_with_a_quota_empties_itself() {
    let server = Server::with_widgets().await;
    server.post(QUOTAS, quota("q", json!({"count/widgets.wire.test": "3", "resourcequotas": "1"}))).await.expect(201);
    for name in ["w1", "w2", "w3"] {
        server.post(WIDGETS, costing(name, json!({}))).await.expect(201);
    }
    server.delete("/api/v1/namespaces/a", json!({})).await.expect(200);
    server.until_gone("/api/v1/namespaces/a").await;
}
