//! Replacing objects.

use serde_json::json;

use crate::harness::{Server, WIDGETS, namespace, widget};

async fn with_one() -> (Server, serde_json::Value, String) {
    let server = Server::with_widgets().await;
    let made = server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    (server, made, format!("{WIDGETS}/w"))
}

#[tokio::test]
async fn update_is_based_on_a_revision() {
    let (server, made, path) = with_one().await;
    let (_, message) = server.put(&path, widget("w", json!({"color": "blue"}))).await.refusal(422);
    assert_eq!(
        message,
        "widgets.wire.test \"w\" is invalid: metadata.resourceVersion: Invalid value: 0: must be specified for an update"
    );
    let mut next = made.clone();
    next["spec"]["color"] = "blue".into();
    let updated = server.put(&path, next.clone()).await.expect(200);
    assert_eq!((&updated["spec"]["color"], &updated["metadata"]["generation"]), (&json!("blue"), &json!(2)));
    let (reason, message) = server.put(&path, next).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert!(message.starts_with("Operation cannot be fulfilled on widgets.wire.test \"w\""), "{message}");
}

#[tokio::test]
async fn update_without_a_change_writes_nothing() {
    let (server, made, path) = with_one().await;
    let before = server.storage.revision();
    assert_eq!(server.put(&path, made.clone()).await.expect(200), made);
    assert_eq!(server.storage.revision(), before);
}

#[tokio::test]
async fn status_and_the_rest_have_a_door_each() {
    let (server, made, path) = with_one().await;
    let mut both = made.clone();
    both["status"] = json!({"ready": 1});
    both["spec"]["color"] = "green".into();
    let through_object = server.put(&path, both.clone()).await.expect(200);
    assert!(through_object.get("status").is_none());
    assert_eq!(through_object["spec"]["color"], "green");
    both["metadata"]["resourceVersion"] = through_object["metadata"]["resourceVersion"].clone();
    both["metadata"]["labels"] = json!({"l": "1"});
    both["spec"]["color"] = "blue".into();
    let through_status = server.put(&format!("{path}/status"), both).await.expect(200);
    assert_eq!(through_status["status"], json!({"ready": 1}));
    assert_eq!(through_status["spec"]["color"], "green");
    assert!(through_status["metadata"].get("labels").is_none());
    assert_eq!(through_status["metadata"]["generation"], 2, "a status is no new generation");
}

#[tokio::test]
async fn what_the_server_owns_cannot_be_changed() {
    let (server, made, path) = with_one().await;
    let mut forged = made.clone();
    forged["metadata"]["creationTimestamp"] = "2001-01-01T00:00:00Z".into();
    forged["metadata"]["generation"] = 99.into();
    forged["metadata"]["deletionTimestamp"] = "2001-01-01T00:00:00Z".into();
    assert_eq!(server.put(&path, forged).await.expect(200), made);
    let mut other = made.clone();
    other["metadata"]["uid"] = "00000000-0000-0000-0000-000000000000".into();
    let (reason, message) = server.put(&path, other).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert!(message.contains("Precondition failed: UID in precondition"), "{message}");
    let mut renamed = made;
    renamed["metadata"]["name"] = "v".into();
    let (_, message) = server.put(&path, renamed).await.refusal(400);
    assert_eq!(message, "the name of the object (v) does not match the name on the URL (w)");
}

#[tokio::test]
async fn built_in_kinds_may_be_replaced_whatever_is_there() {
    let server = Server::with_widgets().await;
    let path = "/api/v1/namespaces/a/configmaps";
    let map = |value: &str| crate::harness::config_map("c", [("k", value)].into());
    server.post(path, map("1")).await.expect(201);
    let updated = server.put(&format!("{path}/c"), map("2")).await.expect(200);
    assert_eq!(updated["data"]["k"], "2");
    assert!(updated["metadata"].get("generation").is_none());
    server.put(&format!("{path}/absent"), crate::harness::config_map("absent", [].into())).await.refusal(404);
}

#[tokio::test]
async fn scale_is_one_number_of_the_object() {
    let (server, _, path) = with_one().await;
    let scale = server.get(&format!("{path}/scale")).await.expect(200);
    assert_eq!((&scale["kind"], &scale["spec"]["replicas"]), (&json!("Scale"), &json!(1)));
    let patched = server.merge(&format!("{path}/scale"), json!({"spec": {"replicas": 3}})).await.expect(200);
    assert_eq!(patched["spec"]["replicas"], 3);
    let wish =
        json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": "w"}, "spec": {"replicas": 4}});
    server.put(&format!("{path}/scale"), wish).await.expect(200);
    assert_eq!(server.get(&path).await.expect(200)["spec"]["replicas"], 4);
    server.merge(&format!("{path}/scale"), json!({"spec": {"replicas": -1}})).await.refusal(422);
    assert_eq!(server.delete(&format!("{path}/scale"), json!({})).await.refusal(405).0, "MethodNotAllowed");
}

#[tokio::test]
async fn namespace_is_not_let_go_through_the_front_door() {
    let server = Server::with_widgets().await;
    let mut namespace = server.get("/api/v1/namespaces/a").await.expect(200);
    namespace["spec"]["finalizers"] = json!([]);
    let updated = server.put("/api/v1/namespaces/a", namespace).await.expect(200);
    assert_eq!(updated["spec"]["finalizers"], json!(["kubernetes"]));
}

#[tokio::test]
async fn metadata_of_the_wrong_types_is_refused_before_anything_reads_it() {
    let (server, made, path) = with_one().await;
    let is_told = |message: &str, field: &str| {
        let told = message.split_once(": json: cannot unmarshal ").filter(|(before, _)| {
            before.starts_with("Widget in version \"v1\" cannot be handled as a Widget")
                || before.starts_with(" \"\" is invalid: patch: Invalid value: ")
        });
        told.is_some_and(|(_, told)| told.contains(&format!("{field} of type ")) || told.contains("OwnerReference"))
    };
    let wrong = [
        ("labels", json!({"a": 1})),
        ("labels", json!("x")),
        ("annotations", json!({"a": {}})),
        ("finalizers", json!("x")),
        ("ownerReferences", json!([{"uid": 1}])),
        ("generateName", json!(["x"])),
        ("name", json!(7)),
        ("namespace", json!({})),
        ("resourceVersion", json!(1)),
        ("uid", json!(1)),
    ];
    for (field, value) in wrong {
        let mut new = widget("new", json!({"color": "red"}));
        new["metadata"][field] = value.clone();
        let (reason, message) = server.post(WIDGETS, new).await.refusal(400);
        assert_eq!(reason, "BadRequest");
        assert!(is_told(&message, field), "{message}");
        let mut next = made.clone();
        next["metadata"][field] = value.clone();
        let (_, message) = server.put(&path, next).await.refusal(400);
        assert!(is_told(&message, field), "{message}");
        let (_, message) = server.merge(&path, json!({"metadata": {field: value}})).await.refusal(422);
        assert!(is_told(&message, field), "{message}");
    }
    assert_eq!(server.get(&path).await.expect(200), made);
}

#[tokio::test]
async fn labels_that_are_null_are_empty() {
    let (server, made, path) = with_one().await;
    let mut next = made.clone();
    next["metadata"]["labels"] = json!({"a": null});
    assert_eq!(server.put(&path, next).await.expect(200)["metadata"]["labels"], json!({"a": ""}));
    let mut new = widget("new", json!({"color": "red"}));
    new["metadata"]["labels"] = json!({"a": null});
    assert_eq!(server.post(WIDGETS, new).await.expect(201)["metadata"]["labels"], json!({"a": ""}));
}

#[tokio::test]
async fn a_namespace_that_was_let_go_is_not_held_again() {
    let server = Server::start().await;
    let made = server.post("/api/v1/namespaces", namespace("n")).await.expect(201);
    let mut wanted = made.clone();
    wanted["spec"] = json!({"finalizers": []});
    let let_go = server.put("/api/v1/namespaces/n/finalize", wanted.clone()).await.expect(200);
    assert_eq!(let_go["spec"], json!({}));
    let labelled = server.merge("/api/v1/namespaces/n", json!({"metadata": {"labels": {"a": "b"}}})).await.expect(200);
    assert_eq!(labelled["spec"], json!({}));
    assert_eq!(labelled["status"]["phase"], "Active");

    wanted["spec"] = json!({"finalizers": ["kubernetes", "mine", "example.com/mine"]});
    wanted["metadata"]["resourceVersion"] = labelled["metadata"]["resourceVersion"].clone();
    let detail = "name is neither a standard finalizer name nor is it fully qualified";
    assert_eq!(
        server.put("/api/v1/namespaces/n/finalize", wanted).await.refusal(422).1,
        format!("Namespace \"n\" is invalid: spec.finalizers[1]: Invalid value: \"mine\": {detail}")
    );
    let mut named = namespace("m");
    named["spec"] = json!({"finalizers": ["mine"]});
    assert_eq!(
        server.post("/api/v1/namespaces", named).await.refusal(422).1,
        format!("Namespace \"m\" is invalid: spec.finalizers: Invalid value: \"mine\": {detail}")
    );
    let phase = json!({"status": {"phase": "Terminating"}});
    assert_eq!(
        server.merge("/api/v1/namespaces/n/status", phase).await.refusal(422).1,
        "Namespace \"n\" is invalid: status.Phase: Invalid value: \"Terminating\": may only be 'Active' if \
         `deletionTimestamp` is empty"
    );
}
