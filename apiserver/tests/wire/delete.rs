//! Removing objects.

use serde_json::json;

use crate::harness::{Server, WIDGETS, widget};

async fn with_one() -> (Server, serde_json::Value, String) {
    let server = Server::with_widgets().await;
    let made = server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    (server, made, format!("{WIDGETS}/w"))
}

#[tokio::test]
async fn object_that_nobody_holds_is_gone_at_once() {
    let (server, made, path) = with_one().await;
    let status = server.delete(&path, json!({"propagationPolicy": "Background"})).await.expect(200);
    assert_eq!((&status["kind"], &status["status"]), (&json!("Status"), &json!("Success")));
    assert_eq!(
        status["details"],
        json!({"name": "w", "group": "wire.test", "kind": "widgets", "uid": made["metadata"]["uid"]})
    );
    server.get(&path).await.refusal(404);
    server.delete(&path, json!({})).await.refusal(404);
}

#[tokio::test]
async fn body_of_a_deletion_may_be_missing() {
    let (server, _, path) = with_one().await;
    server.send("DELETE", &path, &[], "").await.expect(200);
}

#[tokio::test]
async fn finalizer_keeps_an_object_until_it_is_taken_off() {
    let (server, _, path) = with_one().await;
    server.merge(&path, json!({"metadata": {"finalizers": ["example.com/f"]}})).await.expect(200);
    let marked = server.delete(&path, json!({})).await.expect(200);
    assert_eq!(marked["kind"], "Widget");
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    assert_eq!(marked["metadata"]["deletionGracePeriodSeconds"], 0);
    assert_eq!(server.delete(&path, json!({})).await.expect(200), marked, "a second wish changes nothing");
    let more = json!([{"op": "add", "path": "/metadata/finalizers/-", "value": "example.com/g"}]);
    let (_, message) = server.json_patch(&path, more).await.refusal(422);
    assert!(message.contains("no new finalizers can be added if the object is being deleted"), "{message}");
    let off = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    server.json_patch(&path, off).await.expect(200);
    server.get(&path).await.refusal(404);
}

#[tokio::test]
async fn preconditions_must_hold() {
    let (server, made, path) = with_one().await;
    let other = json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    let (reason, message) = server.delete(&path, other).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert!(message.contains("does not match the UID in record"), "{message}");
    server.delete(&path, json!({"preconditions": {"resourceVersion": "1"}})).await.refusal(409);
    let exact = json!({"preconditions": {
        "uid": made["metadata"]["uid"], "resourceVersion": made["metadata"]["resourceVersion"],
    }});
    server.delete(&path, exact).await.expect(200);
}

#[tokio::test]
async fn dry_deletion_deletes_nothing() {
    let (server, _, path) = with_one().await;
    server.delete(&path, json!({"dryRun": ["All"]})).await.expect(200);
    server.delete(&format!("{path}?dryRun=All&propagationPolicy=Foreground"), json!(null)).await;
    assert!(server.get(&path).await.expect(200)["metadata"].get("deletionTimestamp").is_none());
    server.send("DELETE", &format!("{path}?propagationPolicy=Sometimes"), &[], "").await.refusal(422);
}

#[tokio::test]
async fn protected_objects_are_not_deleted_one_by_one_nor_together_nor_with_their_namespace() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("safe", json!({"color": "red", "deletionProtection": true}))).await.expect(201);
    server.post(WIDGETS, widget("other", json!({"color": "red"}))).await.expect(201);
    let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.wire.test";
    for path in [&format!("{WIDGETS}/safe"), WIDGETS, "/api/v1/namespaces/a", definition] {
        let (reason, message) = server.delete(path, json!({})).await.refusal(403);
        assert_eq!(reason, "Forbidden", "{path}");
        assert!(message.contains("deletionProtection"), "{message}");
        if path != format!("{WIDGETS}/safe") {
            assert!(message.contains("safe"), "{message}");
        }
    }
    server.get(&format!("{WIDGETS}/other")).await.expect(200);
    assert_eq!(server.get("/api/v1/namespaces/a").await.expect(200)["status"]["phase"], "Active");
    server.merge(&format!("{WIDGETS}/safe"), json!({"spec": {"deletionProtection": false}})).await.expect(200);
    server.delete(&format!("{WIDGETS}/safe"), json!({})).await.expect(200);
}

#[tokio::test]
async fn many_are_deleted_by_selector_and_shown() {
    let server = Server::with_widgets().await;
    for (name, color) in [("w1", "red"), ("w2", "blue"), ("w3", "red")] {
        server.post(WIDGETS, widget(name, json!({"color": color}))).await.expect(201);
    }
    let gone = server.delete(&format!("{WIDGETS}?fieldSelector=spec.color%3Dred"), json!({})).await.expect(200);
    assert_eq!(gone["kind"], "WidgetList");
    assert_eq!(gone["items"].as_array().unwrap().len(), 2);
    let left = server.get(WIDGETS).await.expect(200);
    assert_eq!(left["items"][0]["metadata"]["name"], "w2");
    assert_eq!(left["items"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn default_namespace_stays() {
    let server = Server::start().await;
    let (_, message) = server.delete("/api/v1/namespaces/default", json!({})).await.refusal(403);
    assert_eq!(message, "namespaces \"default\" is forbidden: this namespace may not be deleted");
    assert_eq!(server.send("DELETE", "/api/v1/namespaces", &[], "").await.code, 405);
}
