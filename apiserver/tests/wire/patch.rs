//! Changing objects by patches.

use serde_json::json;

use crate::harness::{Server, WIDGETS, widget};

async fn with_one() -> (Server, String) {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    (server, format!("{WIDGETS}/w"))
}

#[tokio::test]
async fn merge_patch_sets_and_removes() {
    let (server, path) = with_one().await;
    let patched =
        server.merge(&path, json!({"metadata": {"labels": {"l": "1"}}, "spec": {"note": "n"}})).await.expect(200);
    assert_eq!((&patched["spec"]["note"], &patched["metadata"]["labels"]["l"]), (&json!("n"), &json!("1")));
    let patched =
        server.merge(&path, json!({"metadata": {"labels": {"l": null}}, "spec": {"note": null}})).await.expect(200);
    assert!(patched["metadata"].get("labels").is_none());
    assert!(patched["spec"].get("note").is_none());
    assert_eq!(patched["metadata"]["generation"], 3);
}

#[tokio::test]
async fn json_patch_tests_absent_fields_as_null() {
    let (server, path) = with_one().await;
    let patch = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["example.com/f"]},
    ]);
    let patched = server.json_patch(&path, patch).await.expect(200);
    assert_eq!(patched["metadata"]["finalizers"], json!(["example.com/f"]));
    server.json_patch(&path, json!([{"op": "test", "path": "/spec/color", "value": "blue"}])).await.refusal(422);
    server.json_patch(&path, json!({"op": "x"})).await.refusal(400);
}

#[tokio::test]
async fn patch_that_names_an_old_revision_is_refused() {
    let (server, path) = with_one().await;
    let patch = json!({"metadata": {"resourceVersion": "1"}, "spec": {"replicas": 9}});
    assert_eq!(server.merge(&path, patch).await.refusal(409).0, "Conflict");
}

#[tokio::test]
async fn patches_that_race_are_all_applied() {
    let (server, path) = with_one().await;
    let patches = (0..12).map(|number| {
        let patch = json!({"metadata": {"annotations": {format!("n{number}"): "x"}}});
        let (server, path) = (&server, &path);
        async move { server.merge(path, patch).await.code }
    });
    assert_eq!(futures::future::join_all(patches).await, vec![200; 12]);
    let annotations = server.get(&path).await.expect(200)["metadata"]["annotations"].clone();
    assert_eq!(annotations.as_object().unwrap().len(), 12);
}

#[tokio::test]
async fn status_patch_changes_the_status_alone() {
    let (server, path) = with_one().await;
    let patch = json!({"status": {"phase": "Up"}, "spec": {"color": "blue"}});
    let patched = server.merge(&format!("{path}/status"), patch).await.expect(200);
    assert_eq!((&patched["status"]["phase"], &patched["spec"]["color"]), (&json!("Up"), &json!("red")));
    assert_eq!(patched["metadata"]["generation"], 1);
}

#[tokio::test]
async fn patch_types_that_are_not_taken_are_refused_with_those_that_are() {
    let (server, path) = with_one().await;
    for content_type in ["application/strategic-merge-patch+json", "application/json"] {
        let (reason, message) = server.send("PATCH", &path, &[("content-type", content_type)], "{}").await.refusal(415);
        assert_eq!(reason, "UnsupportedMediaType");
        assert!(
            message.contains("application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn built_in_kinds_take_strategic_merges() {
    let (server, _) = with_one().await;
    let path = "/api/v1/namespaces/a/configmaps";
    server.post(path, crate::harness::config_map("c", [("k", "1"), ("l", "2")].into())).await.expect(201);
    let headers = [("content-type", "application/strategic-merge-patch+json")];
    let patch = json!({"data": {"k": "3", "l": null}}).to_string();
    let patched = server.send("PATCH", &format!("{path}/c"), &headers, patch).await.expect(200);
    assert_eq!(patched["data"], json!({"k": "3"}));
}

#[tokio::test]
async fn patch_to_something_invalid_changes_nothing() {
    let (server, path) = with_one().await;
    server.merge(&path, json!({"spec": {"color": "pink"}})).await.refusal(422);
    server.merge(&path, json!({"kind": "Gadget"})).await.refusal(422);
    server.merge(&path, json!({"metadata": {"uid": "another"}})).await.refusal(422);
    server.merge(&path, json!({"metadata": {"name": "other"}})).await.refusal(400);
    let strict = server.merge(&format!("{path}?fieldValidation=Strict"), json!({"spec": {"bogus": 1}})).await;
    let (_, message) = strict.refusal(422);
    assert!(message.ends_with("strict decoding error: unknown field \"spec.bogus\""), "{message}");
    assert_eq!(server.get(&path).await.expect(200)["spec"], json!({"color": "red", "replicas": 1}));
    server.merge(&format!("{WIDGETS}/none"), json!({})).await.refusal(404);
}

#[tokio::test]
async fn dry_patch_shows_and_stores_nothing() {
    let (server, path) = with_one().await;
    let before = server.storage.revision();
    let shown = server.merge(&format!("{path}?dryRun=All"), json!({"spec": {"color": "blue"}})).await.expect(200);
    assert_eq!(shown["spec"]["color"], "blue");
    assert_eq!(server.storage.revision(), before);
}

#[tokio::test]
async fn patch_can_not_build_what_no_body_may_hold() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    let nested = |levels: usize| (0..levels).fold(json!(1), |inner, _| json!([inner]));
    let patch = json!([
        {"op": "add", "path": "/spec/x", "value": nested(60)},
        {"op": "add", "path": format!("/spec/x{}", "/0".repeat(60)), "value": nested(60)},
    ]);
    let (_, message) = server.json_patch(&format!("{WIDGETS}/w"), patch).await.refusal(400);
    assert!(message.ends_with("cannot be handled as a Widget: the object nests deeper than 100 levels"), "{message}");
}
