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
    let foreground = format!("{path}?dryRun=All&propagationPolicy=Foreground");
    let marked = server.send("DELETE", &foreground, &[], "").await.expect(200);
    assert_eq!(marked["metadata"]["finalizers"], json!(["foregroundDeletion"]));
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

#[tokio::test]
async fn a_deletion_is_meant_in_one_way_only() {
    let (server, _, path) = with_one().await;
    let both = json!({"orphanDependents": true, "propagationPolicy": "Orphan"});
    let (reason, message) = server.delete(&path, both).await.refusal(422);
    assert_eq!(reason, "Invalid");
    assert_eq!(
        message,
        "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Invalid value: \"Orphan\": orphanDependents and \
         deletionPropagation cannot be both set"
    );
    server.delete(&path, json!({"kind": "Widget", "apiVersion": "wire.test/v1"})).await.refusal(400);
    server.get(&path).await.expect(200);
    // A time to go in is nothing to objects that need none, also a senseless one.
    server.delete(&path, json!({"gracePeriodSeconds": -5})).await.expect(200);
}

#[tokio::test]
async fn of_many_only_a_page_goes_and_none_against_a_precondition() {
    let server = Server::with_widgets().await;
    let mut first = json!(null);
    for name in ["w1", "w2", "w3"] {
        let made = server.post(WIDGETS, widget(name, json!({"color": "red"}))).await.expect(201);
        first = if first.is_null() { made } else { first };
    }
    let count = async || server.get(WIDGETS).await.expect(200)["items"].as_array().unwrap().len();
    let other = json!({"preconditions": {"uid": "00000000-0000-0000-0000-000000000000"}});
    assert_eq!(server.delete(WIDGETS, other).await.refusal(409).0, "Conflict");
    assert_eq!(count().await, 3);
    let page = server.delete(&format!("{WIDGETS}?limit=2"), json!({})).await.expect(200);
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert!(page["metadata"]["continue"].as_str().is_some_and(|token| !token.is_empty()));
    assert_eq!(count().await, 1);
    server.get(&format!("{WIDGETS}/w1")).await.refusal(404);
}

#[tokio::test]
async fn a_namespace_is_let_go_by_its_finalize_endpoint_alone() {
    let (server, _, path) = with_one().await;
    server.merge(&path, json!({"metadata": {"finalizers": ["example.com/f"]}})).await.expect(200);
    let space = "/api/v1/namespaces/a";
    server.delete(space, json!({})).await.expect(200);
    let mut namespace = server.get(space).await.expect(200);
    namespace["spec"]["finalizers"] = json!([]);
    namespace["metadata"].as_object_mut().unwrap().remove("resourceVersion");
    let kept = server.put(space, namespace.clone()).await.expect(200);
    assert_eq!(kept["spec"]["finalizers"], json!(["kubernetes"]), "an ordinary update lets nothing go");
    let mut other = namespace.clone();
    other["metadata"]["name"] = "b".into();
    server.put(&format!("{space}/finalize"), other).await.refusal(400);
    server.put(&format!("{space}/finalize"), namespace).await.expect(200);
    server.get(space).await.refusal(404);
    // What was held in it is swept once it is let go.
    server.json_patch(&path, json!([{"op": "remove", "path": "/metadata/finalizers"}])).await;
    server.until_gone(&path).await;
}

#[tokio::test]
async fn options_of_the_wrong_type_delete_nothing() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let one = format!("{WIDGETS}/w");
    for (options, message) in [
        (
            json!({"dryRun": "All"}),
            "json: cannot unmarshal string into Go struct field DeleteOptions.dryRun of type []string",
        ),
        (
            json!({"gracePeriodSeconds": "x"}),
            "json: cannot unmarshal string into Go struct field DeleteOptions.gracePeriodSeconds of type int64",
        ),
        (
            json!({"preconditions": "x"}),
            "json: cannot unmarshal string into Go struct field DeleteOptions.preconditions of type v1.Preconditions",
        ),
        (
            json!({"orphanDependents": "no"}),
            "json: cannot unmarshal string into Go struct field DeleteOptions.orphanDependents of type bool",
        ),
        (
            json!({"kind": "Widget", "apiVersion": "wire.test/v1"}),
            "no kind \"Widget\" is registered for version \"wire.test/v1\" in scheme \
             \"pkg/apis/meta/internalversion/scheme/register.go:27\"",
        ),
    ] {
        for path in [one.as_str(), WIDGETS] {
            let (reason, said) = server.delete(path, options.clone()).await.refusal(400);
            assert_eq!(reason, "BadRequest");
            assert_eq!(said, message, "{path} {options}");
        }
    }
    let broken = server.send("DELETE", &one, &[("content-type", "application/json")], "{nope").await;
    assert_eq!(
        broken.refusal(400).1,
        "couldn't get version/kind; json parse error: invalid character 'n' looking for beginning of object key string"
    );
    // Upstream takes it for options that say nothing, and forgets those in the query.
    let nothing = format!("{one}?dryRun=All");
    server.send("DELETE", &nothing, &[("content-type", "application/json")], "null").await.refusal(400);
    server.get(&one).await.expect(200);
}
