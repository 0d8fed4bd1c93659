//! Following objects.

use std::time::Duration;

use apiserver::Config;
use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, widget};

async fn post(server: &Server, name: &str, app: &str) -> Value {
    let mut made = widget(name, json!({"color": "red"}));
    made["metadata"]["labels"] = json!({"app": app});
    server.post(WIDGETS, made).await.expect(201)
}

fn pair(kind: &str, name: &str) -> (String, String) {
    (kind.into(), name.into())
}

#[tokio::test]
async fn watch_without_a_revision_begins_with_what_is_there() {
    let server = Server::with_widgets().await;
    post(&server, "w1", "one").await;
    for query in ["watch=true", "watch=true&resourceVersion=0"] {
        let mut lines = server.watch(&format!("{WIDGETS}?{query}"), &[]).await;
        assert_eq!(lines.next_brief().await, pair("ADDED", "w1"), "{query}");
        lines.expect_silence().await;
    }
}

#[tokio::test]
async fn watch_from_before_the_definition_is_too_old() {
    let server = Server::with_widgets().await;
    let mut lines = server.watch(&format!("{WIDGETS}?watch=true&resourceVersion=1"), &[]).await;
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    assert!(lines.next().await.is_none(), "the watch ends");
}

#[tokio::test]
async fn watch_from_a_revision_shows_what_came_after() {
    let server = Server::with_widgets().await;
    let first = post(&server, "w1", "one").await;
    let second = post(&server, "w2", "one").await;
    let revision = first["metadata"]["resourceVersion"].as_str().unwrap();
    let mut lines = server.watch(&format!("{WIDGETS}?watch=1&resourceVersion={revision}"), &[]).await;
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]), (&json!("ADDED"), &second));
    server.merge(&format!("{WIDGETS}/w1"), json!({"spec": {"note": "n"}})).await.expect(200);
    assert_eq!(lines.next_brief().await, pair("MODIFIED", "w1"));
    server.delete(&format!("{WIDGETS}/w2"), json!({})).await.expect(200);
    let gone = lines.next().await.unwrap();
    assert_eq!((&gone["type"], &gone["object"]["metadata"]["name"]), (&json!("DELETED"), &json!("w2")));
    assert_eq!(gone["object"]["metadata"]["resourceVersion"], server.storage.revision().to_string());
}

#[tokio::test]
async fn objects_enter_and_leave_a_selection() {
    let server = Server::with_widgets().await;
    let mut lines = server.watch(&format!("{WIDGETS}?watch=1&labelSelector=app%3Done"), &[]).await;
    post(&server, "w1", "two").await;
    let label = |app: &str| json!({"metadata": {"labels": {"app": app}}});
    let path = format!("{WIDGETS}/w1");
    server.merge(&path, label("one")).await.expect(200);
    assert_eq!(lines.next_brief().await, pair("ADDED", "w1"));
    let left = server.merge(&path, label("three")).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!(event["type"], "DELETED");
    assert_eq!(event["object"]["metadata"]["labels"]["app"], "one", "the last state that belonged");
    assert_eq!(event["object"]["metadata"]["resourceVersion"], left["metadata"]["resourceVersion"]);
    server.delete(&path, json!({})).await.expect(200);
    lines.expect_silence().await;
}

#[tokio::test]
async fn streaming_list_ends_with_a_bookmark_and_goes_on() {
    let server = Server::with_widgets().await;
    let path =
        format!("{WIDGETS}?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true");
    let mut empty = server.watch(&path, &[]).await;
    assert_eq!(empty.next().await.unwrap()["type"], "BOOKMARK", "even where there is nothing");
    post(&server, "w1", "one").await;
    let mut lines = server.watch(&path, &[]).await;
    assert_eq!(lines.next_brief().await, pair("ADDED", "w1"));
    let bookmark = lines.next().await.unwrap();
    assert_eq!(bookmark["type"], "BOOKMARK");
    assert_eq!(
        bookmark["object"],
        json!({
            "apiVersion": "wire.test/v1", "kind": "Widget",
            "metadata": {
                "annotations": {"k8s.io/initial-events-end": "true"},
                "resourceVersion": server.storage.revision().to_string(),
            },
        })
    );
    post(&server, "w2", "one").await;
    assert_eq!(lines.next_brief().await, pair("ADDED", "w2"));
    server.get(&format!("{WIDGETS}?watch=1&sendInitialEvents=true")).await.refusal(422);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_every_minute_and_before_the_end_and_tell_the_latest_revision() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=90");
    let began = tokio::time::Instant::now();
    let mut lines = server.watch(&path, &[]).await;
    let first = lines.next().await.unwrap();
    assert_eq!(first["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    server.post("/api/v1/namespaces", crate::harness::namespace("elsewhere")).await.expect(201);
    let bookmark = tokio::time::timeout(Duration::from_secs(3600), lines.next_patiently()).await.unwrap().unwrap();
    assert_eq!((&bookmark["type"], began.elapsed().as_secs()), (&json!("BOOKMARK"), 60));
    assert_eq!(bookmark["object"]["metadata"]["resourceVersion"], server.storage.revision().to_string());
    let last = lines.next_patiently().await.unwrap();
    assert_eq!((&last["type"], began.elapsed().as_secs()), (&json!("BOOKMARK"), 88));
    assert!(lines.next_patiently().await.is_none());
    assert_eq!(began.elapsed().as_secs(), 90);
}

#[tokio::test(start_paused = true)]
async fn watch_from_a_forgotten_revision_is_told_inside_the_stream() {
    let server = Server::with(|config: &mut Config| config.limits.request_timeout = Duration::from_secs(3600)).await;
    server.add_widgets().await;
    post(&server, "w1", "one").await;
    for number in 0..150 {
        let patch = json!({"spec": {"note": number.to_string()}});
        server.merge(&format!("{WIDGETS}/w1"), patch).await.expect(200);
    }
    tokio::time::sleep(Duration::from_secs(300)).await;
    server.merge(&format!("{WIDGETS}/w1"), json!({"spec": {"note": "x"}})).await.expect(200);
    let mut lines = server.watch(&format!("{WIDGETS}?watch=1&resourceVersion=1"), &[]).await;
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["code"]), (&json!("ERROR"), &json!(410)));
    let message = event["object"]["message"].as_str().unwrap();
    assert!(message.starts_with("too old resource version: 1 ("), "{message}");
    assert!(lines.next().await.is_none());
}

#[tokio::test]
async fn tables_and_metadata_are_watched_too() {
    let server = Server::with_widgets().await;
    post(&server, "w1", "one").await;
    post(&server, "w2", "one").await;
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let mut lines = server.watch(&format!("{WIDGETS}?watch=1"), &table).await;
    let (first, second) = (lines.next().await.unwrap(), lines.next().await.unwrap());
    assert_eq!(first["object"]["columnDefinitions"][0]["name"], "Name");
    assert_eq!(second["object"]["columnDefinitions"], Value::Null);
    assert_eq!(second["object"]["rows"][0]["cells"][0], "w2");
    let partial = [("accept", "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io")];
    let mut lines = server.watch(&format!("{WIDGETS}?watch=1"), &partial).await;
    let event = lines.next().await.unwrap();
    assert_eq!(event["object"]["kind"], "PartialObjectMetadata");
    assert!(event["object"].get("spec").is_none());
}

#[tokio::test]
async fn watch_ends_with_the_server_and_with_its_kind() {
    let server = Server::with_widgets().await;
    let mut widgets = server.watch(&format!("{WIDGETS}?watch=1"), &[]).await;
    let mut maps = server.watch("/api/v1/configmaps?watch=1", &[]).await;
    server
        .delete("/apis/apiextensions.k8s.io/v1/customresourcedefinitions/widgets.wire.test", json!({}))
        .await
        .expect(200);
    assert!(widgets.next().await.is_none());
    maps.expect_silence().await;
    server.shutdown.cancel();
    assert!(maps.next().await.is_none());
}

#[tokio::test]
async fn one_name_can_be_watched() {
    let server = Server::with_widgets().await;
    post(&server, "w1", "one").await;
    let mut lines = server.watch(&format!("{WIDGETS}?watch=1&fieldSelector=metadata.name%3Dw2"), &[]).await;
    post(&server, "w2", "one").await;
    assert_eq!(lines.next_brief().await, pair("ADDED", "w2"));
}
