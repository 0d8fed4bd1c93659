//! What the server does by itself.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::Clock;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, namespace, owned, widget, widgets};

const DEFINITION: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.wire.test";

async fn family() -> (Server, Value) {
    let server = Server::with_widgets().await;
    let owner = server.post(WIDGETS, widget("owner", json!({"color": "red"}))).await.expect(201);
    let child = server.post(WIDGETS, owned("child", &owner)).await.expect(201);
    server.post(WIDGETS, owned("grandchild", &child)).await.expect(201);
    (server, owner)
}

fn at(name: &str) -> String {
    format!("{WIDGETS}/{name}")
}

#[tokio::test]
async fn dependents_follow_their_owner_in_the_background() {
    let (server, _) = family().await;
    server.delete(&at("owner"), json!({"propagationPolicy": "Background"})).await.expect(200);
    server.get(&at("owner")).await.refusal(404);
    server.until_gone(&at("child")).await;
    server.until_gone(&at("grandchild")).await;
}

#[tokio::test]
async fn foreground_deletion_takes_the_dependents_first() {
    let (server, _) = family().await;
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    server.merge(&at("grandchild"), hold).await.expect(200);
    let marked = server.delete(&at("owner"), json!({"propagationPolicy": "Foreground"})).await.expect(200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
    server
        .until(&at("grandchild"), "being deleted", |found| {
            found.is_some_and(|found| found["metadata"]["deletionTimestamp"].is_string())
        })
        .await;
    server.get(&at("child")).await.expect(200);
    server.get(&at("owner")).await.expect(200);
    server.json_patch(&at("grandchild"), json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    for name in ["grandchild", "child", "owner"] {
        server.until_gone(&at(name)).await;
    }
}

#[tokio::test]
async fn orphans_stay_and_forget_their_owner() {
    let (server, _) = family().await;
    server.delete(&at("owner"), json!({"propagationPolicy": "Orphan"})).await.expect(200);
    server.until_gone(&at("owner")).await;
    let child = server.get(&at("child")).await.expect(200);
    assert!(child["metadata"].get("ownerReferences").is_none());
    server.get(&at("grandchild")).await.expect(200);
}

#[tokio::test]
async fn object_with_a_living_owner_stays_and_forgets_the_dead_one() {
    let (server, owner) = family().await;
    let second = server.post(WIDGETS, widget("second", json!({"color": "red"}))).await.expect(201);
    let mut both = owned("both", &owner);
    let reference = owned("x", &second)["metadata"]["ownerReferences"][0].clone();
    both["metadata"]["ownerReferences"].as_array_mut().unwrap().push(reference);
    server.post(WIDGETS, both).await.expect(201);
    server.delete(&at("owner"), json!({})).await.expect(200);
    server
        .until(&at("both"), "owned by one", |found| {
            found.is_some_and(|found| found["metadata"]["ownerReferences"].as_array().unwrap().len() == 1)
        })
        .await;
}

#[tokio::test]
async fn owner_of_the_same_name_and_another_uid_is_no_owner() {
    let server = Server::with_widgets().await;
    let mut owner = server.post(WIDGETS, widget("owner", json!({"color": "red"}))).await.expect(201);
    owner["metadata"]["uid"] = "11111111-1111-1111-1111-111111111111".into();
    server.post(WIDGETS, owned("child", &owner)).await.expect(201);
    server.until_gone(&at("child")).await;
    server.get(&at("owner")).await.expect(200);
}

#[tokio::test]
async fn protected_dependent_is_not_collected() {
    let (server, owner) = family().await;
    let mut safe = owned("safe", &owner);
    safe["spec"]["deletionProtection"] = true.into();
    server.post(WIDGETS, safe).await.expect(201);
    server.delete(&at("owner"), json!({})).await.expect(200);
    server.until_gone(&at("grandchild")).await;
    server.get(&at("safe")).await.expect(200);
}

#[tokio::test]
async fn namespace_is_emptied_and_goes() {
    let (server, _) = family().await;
    server.post("/api/v1/namespaces/a/configmaps", crate::harness::config_map("c", [].into())).await.expect(201);
    let marked = server.delete("/api/v1/namespaces/a", json!({})).await.expect(200);
    assert_eq!(marked["status"]["phase"], "Terminating");
    assert_eq!(marked["spec"]["finalizers"], json!(["kubernetes"]));
    server.until_gone("/api/v1/namespaces/a").await;
    let left = server.get("/apis/wire.test/v1/widgets").await.expect(200);
    assert_eq!(left["items"], json!([]));
    assert_eq!(server.get("/api/v1/configmaps").await.expect(200)["items"], json!([]));
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
}

#[tokio::test]
async fn namespace_says_what_holds_it() {
    let (server, _) = family().await;
    server.merge(&at("child"), json!({"metadata": {"finalizers": ["example.com/hold"]}})).await.expect(200);
    server.delete("/api/v1/namespaces/a", json!({})).await.expect(200);
    server
        .until("/api/v1/namespaces/a", "telling what remains", |found| {
            let conditions = found.unwrap()["status"]["conditions"].to_string();
            conditions.contains("widgets.wire.test has 1 resource instances")
                && conditions.contains("example.com/hold in 1 resource instances")
        })
        .await;
    let late = server.post(WIDGETS, widget("late", json!({"color": "red"}))).await;
    let (_, message) = late.refusal(403);
    assert_eq!(
        message,
        "widgets.wire.test \"late\" is forbidden: unable to create new content in namespace a because it is being \
         terminated"
    );
    assert_eq!(late.json()["details"]["causes"][0]["reason"], "NamespaceTerminating");
    server.json_patch(&at("child"), json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    server.until_gone("/api/v1/namespaces/a").await;
}

fn told(namespace: &Value) -> Vec<[&str; 4]> {
    let conditions = namespace["status"]["conditions"].as_array().map(Vec::as_slice).unwrap_or_default();
    conditions
        .iter()
        .map(|told| ["type", "status", "reason", "message"].map(|key| told[key].as_str().unwrap()))
        .collect()
}

#[tokio::test]
async fn namespace_tells_how_far_its_emptying_has_come() {
    let server = Server::with_widgets().await;
    let path = "/api/v1/namespaces/a";
    let hold = json!({"metadata": {"finalizers": ["example.com/hold"]}});
    server.merge(path, hold.clone()).await.expect(200);
    server.post("/api/v1/namespaces/a/configmaps", crate::harness::config_map("c", [].into())).await.expect(201);
    let map = "/api/v1/namespaces/a/configmaps/c";
    server.merge(map, hold).await.expect(200);
    server.delete(path, json!({})).await.expect(200);
    server.until(path, "told of", |found| found.is_some_and(|found| !told(found).is_empty())).await;
    let namespace = server.get(path).await.expect(200);
    let discovered =
        ["NamespaceDeletionDiscoveryFailure", "False", "ResourcesDiscovered", "All resources successfully discovered"];
    let parsed = [
        "NamespaceDeletionGroupVersionParsingFailure",
        "False",
        "ParsedGroupVersions",
        "All legacy kube types successfully parsed",
    ];
    let deleted = [
        "NamespaceDeletionContentFailure",
        "False",
        "ContentDeleted",
        "All content successfully deleted, may be waiting on finalization",
    ];
    let expected = [
        discovered,
        parsed,
        deleted,
        [
            "NamespaceContentRemaining",
            "True",
            "SomeResourcesRemain",
            "Some resources are remaining: configmaps. has 1 resource instances",
        ],
        [
            "NamespaceFinalizersRemaining",
            "True",
            "SomeFinalizersRemain",
            "Some content in the namespace has finalizers remaining: example.com/hold in 1 resource instances",
        ],
    ];
    assert_eq!(told(&namespace), expected);
    server.json_patch(map, json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    // Emptied, and still held by a finalizer of its own.
    let is_let_go = |found: Option<&Value>| {
        found.is_some_and(|found| found["spec"]["finalizers"].as_array().is_none_or(Vec::is_empty))
    };
    server.until(path, "emptied", is_let_go).await;
    let namespace = server.get(path).await.expect(200);
    let removed = ["NamespaceContentRemaining", "False", "ContentRemoved", "All content successfully removed"];
    let finished = [
        "NamespaceFinalizersRemaining",
        "False",
        "ContentHasNoFinalizers",
        "All content-preserving finalizers finished",
    ];
    assert_eq!(told(&namespace), [discovered, parsed, deleted, removed, finished]);
    server.json_patch(path, json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    server.until_gone(path).await;
}

#[tokio::test]
async fn declared_kind_is_established_once_it_is_served_and_goes_with_its_objects() {
    let server = Server::with_widgets().await;
    let definition = server.get(DEFINITION).await.expect(200);
    let conditions = definition["status"]["conditions"].to_string();
    assert!(conditions.contains("\"Established\"") && conditions.contains("\"NamesAccepted\""), "{conditions}");
    assert_eq!(definition["status"]["storedVersions"], json!(["v1"]));
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let marked = server.delete(DEFINITION, json!({})).await.expect(200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["customresourcecleanup.apiextensions.k8s.io"]));
    server.until_gone(DEFINITION).await;
    server.until(WIDGETS, "unknown", |found| found.is_none()).await;
    // Declared again, it starts empty.
    server.server.install_kinds(&[widgets()]).await.unwrap();
    assert_eq!(server.get(WIDGETS).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn definition_waits_for_objects_that_are_held() {
    let server = Server::with_widgets().await;
    let mut held = widget("held", json!({"color": "red"}));
    held["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(WIDGETS, held).await.expect(201);
    server.delete(DEFINITION, json!({})).await.expect(200);
    server
        .until(DEFINITION, "terminating", |found| {
            found.is_some_and(|found| found["status"]["conditions"].to_string().contains("InstanceDeletionInProgress"))
        })
        .await;
    let late = server.post(WIDGETS, widget("late", json!({"color": "red"}))).await;
    assert_eq!(late.refusal(405).0, "MethodNotAllowed");
    server.json_patch(&at("held"), json!([{"op": "remove", "path": "/metadata/finalizers"}])).await.expect(200);
    server.until_gone(DEFINITION).await;
}

#[tokio::test]
async fn only_a_higher_schema_version_replaces_a_definition() {
    let server = Server::with_widgets().await;
    let describe = |version: &str, text: &str| {
        let mut definition = widgets();
        definition["metadata"]["annotations"]["thecloud.dev/schema-version"] = version.into();
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"] = text.into();
        definition
    };
    let text = |definition: Value| {
        definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["description"].as_str().map(str::to_owned)
    };
    server.server.install_kinds(&[describe("2", "newer")]).await.unwrap();
    assert_eq!(text(server.get(DEFINITION).await.expect(200)).as_deref(), Some("newer"));
    let before = server.storage.revision();
    server.server.install_kinds(&[describe("2", "same")]).await.unwrap();
    server.server.install_kinds(&[describe("1", "older")]).await.unwrap();
    assert_eq!(text(server.get(DEFINITION).await.expect(200)).as_deref(), Some("newer"));
    assert_eq!(server.storage.revision(), before);
}

#[tokio::test]
async fn defaults_that_a_schema_gains_show_in_objects_that_are_there() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let mut definition = widgets();
    definition["metadata"]["annotations"]["thecloud.dev/schema-version"] = "2".into();
    let spec = &mut definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"];
    spec["size"] = json!({"type": "string", "default": "small"});
    server.server.install_kinds(&[definition]).await.unwrap();
    server
        .until(&at("w"), "given the new default", |found| found.is_some_and(|found| found["spec"]["size"] == "small"))
        .await;
    let list = server.get(WIDGETS).await.expect(200);
    assert_eq!(list["items"][0]["spec"]["size"], "small");
}

/// A clock that stands still until it is moved.
struct Hand(Mutex<Timestamp>);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

#[tokio::test(start_paused = true)]
async fn events_go_an_hour_after_they_last_happened() {
    let hand = Arc::new(Hand(Mutex::new("2026-01-01T00:00:00Z".parse().unwrap())));
    let clock = Arc::clone(&hand);
    let server = Server::with(|config| config.clock = clock).await;
    let event = |name: &str| {
        json!({
            "apiVersion": "v1", "kind": "Event", "metadata": {"name": name},
            "involvedObject": {"kind": "Namespace", "name": "default", "namespace": "default"},
            "reason": "Tested", "message": "it happened", "type": "Normal",
            "lastTimestamp": "2026-01-01T00:00:00Z",
        })
    };
    let path = "/api/v1/namespaces/default/events";
    server.post(path, event("once")).await.expect(201);
    server.post(path, event("again")).await.expect(201);
    server.merge(&format!("{path}/again"), json!({"lastTimestamp": "2026-01-01T00:30:00Z"})).await.expect(200);
    *hand.0.lock().unwrap() += SignedDuration::from_mins(61);
    tokio::time::sleep(Duration::from_secs(3700)).await;
    server.until_gone(&format!("{path}/once")).await;
    server.get(&format!("{path}/again")).await.expect(200);
}

#[tokio::test]
async fn server_that_does_nothing_writes_nothing() {
    let (server, _) = family().await;
    server.until(&at("child"), "there", |found| found.is_some()).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    let before = server.storage.revision();
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(server.storage.revision(), before);
}
