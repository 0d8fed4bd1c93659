//! Making objects.

use std::collections::BTreeMap;

use serde_json::json;

use crate::harness::{Server, WIDGETS, config_map, namespace, widget};

#[tokio::test]
async fn created_object_has_an_identity_and_defaults_and_is_read_back() {
    let server = Server::with_widgets().await;
    let made = server.post(WIDGETS, widget("w1", json!({"color": "red"}))).await.expect(201);
    assert_eq!(made["spec"], json!({"color": "red", "replicas": 1}));
    let metadata = &made["metadata"];
    assert_eq!(
        (&metadata["name"], &metadata["namespace"], &metadata["generation"]),
        (&json!("w1"), &json!("a"), &json!(1))
    );
    assert_eq!(metadata["uid"].as_str().unwrap().len(), 36);
    assert!(metadata["creationTimestamp"].as_str().unwrap().ends_with('Z'));
    assert!(metadata["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap() > 0);
    assert_eq!(server.get(&format!("{WIDGETS}/w1")).await.expect(200), made);
}

#[tokio::test]
async fn taken_name_is_refused() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w1", json!({"color": "red"}))).await.expect(201);
    let refusal = server.post(WIDGETS, widget("w1", json!({"color": "red"}))).await.refusal(409);
    assert_eq!(refusal, ("AlreadyExists".into(), "widgets.wire.test \"w1\" already exists".into()));
}

#[tokio::test]
async fn generated_name_is_the_base_and_five_letters() {
    let server = Server::with_widgets().await;
    let mut asked = widget("", json!({"color": "red"}));
    asked["metadata"] = json!({"generateName": "gen-"});
    let one = server.post(WIDGETS, asked.clone()).await.expect(201);
    let two = server.post(WIDGETS, asked).await.expect(201);
    let name = |made: &serde_json::Value| made["metadata"]["name"].as_str().unwrap().to_owned();
    assert!(name(&one).starts_with("gen-") && name(&one).len() == 9, "{}", name(&one));
    assert_ne!(name(&one), name(&two));
}

#[tokio::test]
async fn objects_go_into_namespaces_that_are_there_and_match() {
    let server = Server::with_widgets().await;
    let (reason, message) = server
        .post("/apis/wire.test/v1/namespaces/absent/widgets", widget("w", json!({"color": "red"})))
        .await
        .refusal(404);
    assert_eq!((reason.as_str(), message.as_str()), ("NotFound", "namespaces \"absent\" not found"));
    let mut elsewhere = widget("w", json!({"color": "red"}));
    elsewhere["metadata"]["namespace"] = "b".into();
    let (_, message) = server.post(WIDGETS, elsewhere).await.refusal(400);
    assert_eq!(message, "the namespace of the provided object does not match the namespace sent on the request");
}

#[tokio::test]
async fn unknown_fields_fail_warn_or_vanish_as_the_client_wishes() {
    let server = Server::with_widgets().await;
    let body = widget("w", json!({"color": "red", "bogus": 1}));
    let strict = server.post(&format!("{WIDGETS}?fieldValidation=Strict"), body.clone()).await;
    assert_eq!(
        strict.refusal(400).1,
        "Widget in version \"v1\" cannot be handled as a Widget: strict decoding error: unknown field \"spec.bogus\""
    );
    let ignored = server.post(&format!("{WIDGETS}?fieldValidation=Ignore&dryRun=All"), body.clone()).await;
    assert_eq!((ignored.code, ignored.header("warning")), (201, ""));
    let warned = server.post(WIDGETS, body).await;
    assert_eq!(warned.header("warning"), "299 - \"unknown field \\\"spec.bogus\\\"\"");
    assert!(warned.expect(201)["spec"].get("bogus").is_none());
}

#[tokio::test]
async fn keys_given_twice_are_told() {
    let server = Server::with_widgets().await;
    let body = r#"{"apiVersion":"wire.test/v1","kind":"Widget","metadata":{"name":"x"},"spec":{"color":"red","color":"blue"}}"#;
    let path = format!("{WIDGETS}?fieldValidation=Strict");
    let (_, message) = server.send("POST", &path, &[], body).await.refusal(400);
    assert!(message.ends_with("strict decoding error: duplicate field \"spec.color\""), "{message}");
}

#[tokio::test]
async fn dry_run_does_all_but_store() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}?dryRun=All");
    let shown = server.post(&path, widget("w", json!({"color": "red"}))).await.expect(201);
    assert_eq!(shown["spec"]["replicas"], 1);
    assert!(shown["metadata"].get("resourceVersion").is_none());
    server.get(&format!("{WIDGETS}/w")).await.refusal(404);
    server.post(&path, widget("w", json!({"color": "pink"}))).await.refusal(422);
    server.post(&format!("{WIDGETS}?dryRun=Some"), widget("w", json!({"color": "red"}))).await.refusal(422);
}

#[tokio::test]
async fn invalid_objects_are_refused_with_the_field_and_the_reason() {
    let server = Server::with_widgets().await;
    let reply = server.post(WIDGETS, widget("w", json!({"color": "purple"}))).await;
    let (reason, message) = reply.refusal(422);
    assert_eq!(reason, "Invalid");
    assert!(
        message.contains("spec.color: Unsupported value: \"purple\": supported values: \"red\", \"green\", \"blue\""),
        "{message}"
    );
    assert_eq!(reply.json()["details"]["kind"], "Widget");
    let (_, message) = server.post(WIDGETS, widget("Bad_Name", json!({"color": "red"}))).await.refusal(422);
    assert!(message.contains("metadata.name"), "{message}");
}

#[tokio::test]
async fn bodies_come_as_json_yaml_or_without_a_word() {
    let server = Server::with_widgets().await;
    let yaml = "apiVersion: wire.test/v1\nkind: Widget\nmetadata: {name: yaml}\nspec: {color: green}\n";
    let reply = server.send("POST", WIDGETS, &[("content-type", "application/yaml")], yaml).await;
    assert_eq!(reply.expect(201)["spec"]["color"], "green");
    let json = widget("j", json!({"color": "red"})).to_string();
    server.send("POST", WIDGETS, &[], json).await.expect(201);
    let csv = server.send("POST", WIDGETS, &[("content-type", "text/csv")], "x").await;
    assert_eq!(csv.refusal(415).0, "UnsupportedMediaType");
    let (_, message) = server.send("POST", WIDGETS, &[], "{nope").await.refusal(400);
    assert!(message.starts_with("the object provided is unrecognized (must be of type Widget)"), "{message}");
    let (_, message) = server.send("POST", WIDGETS, &[], "{}").await.refusal(400);
    assert!(message.contains("Object 'Kind' is missing in '{}'"), "{message}");
}

#[tokio::test]
async fn bodies_and_objects_have_a_size() {
    let server = Server::with_widgets().await;
    let path = "/api/v1/namespaces/a/configmaps";
    let huge = "x".repeat(4 << 20);
    let reply = server.post(path, config_map("huge", BTreeMap::from([("k", huge.as_str())]))).await;
    assert_eq!(reply.refusal(413).0, "RequestEntityTooLarge");
    let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
    let body = format!(r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"deep"}},"data":{deep}}}"#);
    assert_eq!(server.send("POST", path, &[], body).await.refusal(400).0, "BadRequest");
}

#[tokio::test]
async fn yaml_that_multiplies_itself_is_refused() {
    let server = Server::with_widgets().await;
    let mut bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..10 {
        bomb += &format!("a{level}: &a{level} [{}]\n", vec![format!("*a{}", level - 1); 9].join(","));
    }
    let reply = server.send("POST", WIDGETS, &[("content-type", "application/yaml")], bomb).await;
    assert_eq!(reply.refusal(400).0, "BadRequest");
}

#[tokio::test]
async fn cluster_objects_have_no_namespace() {
    let server = Server::start().await;
    let made = server.post("/api/v1/namespaces", namespace("b")).await.expect(201);
    assert!(made["metadata"].get("namespace").is_none());
    assert_eq!(made["spec"]["finalizers"], json!(["kubernetes"]));
    assert_eq!(made["status"]["phase"], "Active");
    assert_eq!(made["metadata"]["labels"]["kubernetes.io/metadata.name"], "b");
    assert_eq!(server.get("/api/v1/namespaces/default/namespaces/b").await.code, 404);
}

#[tokio::test]
async fn an_event_is_named_after_whatever_it_is_about() {
    let server = Server::start().await;
    let event = |metadata| json!({"apiVersion": "v1", "kind": "Event", "metadata": metadata, "involvedObject": {}});
    let path = "/api/v1/namespaces/default/events";
    let name = "system:discovery.17a";
    server.post(path, event(json!({"name": name}))).await.expect(201);
    server.post(path, event(json!({"generateName": "Web_1."}))).await.expect(201);
    server.post(path, event(json!({"name": "a/b"}))).await.refusal(422);
    let new = json!({"apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "x:y"}});
    server.post("/apis/events.k8s.io/v1/namespaces/default/events", new).await.refusal(422);
}

#[tokio::test]
async fn a_body_of_null_is_one_without_anything() {
    let server = Server::with_widgets().await;
    let json = [("content-type", "application/json")];
    let (_, message) = server.send("POST", "/api/v1/namespaces/a/configmaps", &json, "null").await.refusal(422);
    assert_eq!(message, "ConfigMap \"\" is invalid: metadata.name: Required value: name or generateName is required");
    let (_, message) = server.send("POST", WIDGETS, &json, "null").await.refusal(400);
    assert!(message.contains("Object 'Kind' is missing in 'null'"), "{message}");
}
