//! Server-side apply, and whom the fields belong to.

use serde_json::{Value, json};

use crate::harness::{Reply, Server, WIDGETS, widget, widgets};

const APPLY: &str = "application/apply-patch+yaml";

async fn apply(server: &Server, path: &str, query: &str, config: &Value) -> Reply {
    server.send("PATCH", &format!("{path}?{query}"), &[("content-type", APPLY)], config.to_string()).await
}

fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
    entries
        .iter()
        .map(|entry| [text(entry, "manager"), text(entry, "operation"), text(entry, "subresource")].join(" "))
        .map(|who| who.trim_end().to_owned())
        .collect()
}

/// The same in the order of the alphabet: entries of one second are ordered otherwise than those of two.
fn sorted_managers(object: &Value) -> Vec<String> {
    let mut managers = managers(object);
    managers.sort();
    managers
}

#[tokio::test]
async fn what_is_not_there_is_made_and_applying_it_again_changes_nothing() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    let config = widget("w", json!({"color": "red", "replicas": 2}));
    let made = apply(&server, &path, "fieldManager=me", &config).await.expect(201);
    assert_eq!(managers(&made), ["me Apply"]);
    let again = apply(&server, &path, "fieldManager=me", &config).await.expect(200);
    assert_eq!(again, made);
    let yaml = "apiVersion: wire.test/v1\nkind: Widget\nmetadata: {name: w}\nspec: {color: blue}\n";
    let changed = server.send("PATCH", &format!("{path}?fieldManager=me"), &[("content-type", APPLY)], yaml).await;
    let changed = changed.expect(200);
    assert_eq!(changed["spec"]["color"], "blue");
    assert_ne!(changed["spec"]["replicas"], 2, "what is no longer said goes");
    assert_eq!(changed["metadata"]["generation"], 2);
}

#[tokio::test]
async fn a_conflict_is_refused_unless_it_is_forced() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    server.post(&format!("{WIDGETS}?fieldManager=me"), widget("w", json!({"color": "red"}))).await.expect(201);
    let config = widget("w", json!({"color": "blue"}));
    let (reason, message) = apply(&server, &path, "fieldManager=you", &config).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert_eq!(message, "Apply failed with 1 conflict: conflict with \"me\" using wire.test/v1: .spec.color");
    let forced = apply(&server, &path, "fieldManager=you&force=true", &config).await.expect(200);
    assert_eq!(forced["spec"]["color"], "blue");
    assert_eq!(managers(&forced), ["you Apply", "me Update"]);
}

#[tokio::test]
async fn an_apply_says_who_it_is_and_nothing_else_forces() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    let config = widget("w", json!({"color": "red"}));
    let (_, message) = apply(&server, &path, "", &config).await.refusal(422);
    assert!(message.ends_with("fieldManager: Required value: is required for apply patch"), "{message}");
    apply(&server, &path, "fieldManager=me", &config).await.expect(201);
    let merge = [("content-type", "application/merge-patch+json")];
    let (_, message) = server.send("PATCH", &format!("{path}?force=true"), &merge, "{}").await.refusal(422);
    assert!(message.ends_with("force: Forbidden: may not be specified for non-apply patch"), "{message}");
    let other = widget("other", json!({}));
    apply(&server, &path, "fieldManager=me", &other).await.refusal(400);
    let mut gone = widget("gone", json!({"color": "red"}));
    gone["metadata"]["uid"] = "of-another".into();
    apply(&server, &format!("{WIDGETS}/gone"), "fieldManager=me", &gone).await.refusal(409);
}

#[tokio::test]
async fn what_does_not_fit_a_built_in_kind_is_refused_with_its_place() {
    let server = Server::start().await;
    let path = "/api/v1/namespaces/default/configmaps/c";
    let config = |field: &str, value: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, field: value});
    for (config, problem) in [
        (config("bogus", json!(1)), ".bogus: field not declared in schema"),
        (config("data", json!(["x"])), ".data: expected map, got &{[x]}"),
    ] {
        let refused = apply(&server, path, "fieldManager=m", &config).await.expect(500);
        let message = format!("failed to create typed patch object (/c; /v1, Kind=ConfigMap): {problem}");
        assert_eq!((&refused["message"], refused.get("reason")), (&json!(message), None));
    }
}

#[tokio::test]
async fn status_and_scale_are_applied_through_their_own_doors() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    apply(&server, &path, "fieldManager=me", &widget("w", json!({"color": "red"}))).await.expect(201);
    let status = json!({"apiVersion": "wire.test/v1", "kind": "Widget", "status": {"phase": "Up"}});
    let object = apply(&server, &format!("{path}/status"), "fieldManager=ctl", &status).await.expect(200);
    assert_eq!((&object["status"]["phase"], &object["spec"]["color"]), (&json!("Up"), &json!("red")));
    assert_eq!(sorted_managers(&object), ["ctl Apply status", "me Apply"]);
    let scale = json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": 7}});
    let scale = apply(&server, &format!("{path}/scale"), "fieldManager=hpa", &scale).await.expect(200);
    assert_eq!(scale["spec"]["replicas"], 7);
    let object = server.get(&path).await.expect(200);
    assert_eq!(object["spec"]["replicas"], 7);
    assert_eq!(sorted_managers(&object), ["ctl Apply status", "hpa Apply scale", "me Apply"]);
}

#[tokio::test]
async fn owners_follow_every_way_of_writing_and_are_named_after_the_client() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    let agent = [("user-agent", "curl/8.0 (x)"), ("content-type", "application/json")];
    let body = widget("w", json!({"color": "red"})).to_string();
    let made = server.send("POST", WIDGETS, &agent, body).await.expect(201);
    assert_eq!(managers(&made), ["curl Update"]);
    server.merge(&format!("{path}?fieldManager=bob"), json!({"spec": {"note": "n"}})).await.expect(200);
    server.merge(&format!("{path}/status?fieldManager=ctl"), json!({"status": {"phase": "Up"}})).await.expect(200);
    let object = server.get(&path).await.expect(200);
    assert_eq!(sorted_managers(&object), ["bob Update", "ctl Update status", "curl Update"]);
    // An update that changes nothing writes nothing, whoever sends it.
    let same = server.merge(&format!("{path}?fieldManager=eve"), json!({"spec": {"note": "n"}})).await.expect(200);
    assert_eq!(same, object);
}

#[tokio::test]
async fn a_dry_run_of_an_apply_shows_and_keeps_nothing() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    let config = widget("w", json!({"color": "red"}));
    let shown = apply(&server, &path, "fieldManager=me&dryRun=All", &config).await.expect(201);
    assert_eq!(managers(&shown), ["me Apply"]);
    server.get(&path).await.refusal(404);
    apply(&server, &path, "fieldManager=me", &config).await.expect(201);
    let changed = widget("w", json!({"color": "blue"}));
    let shown = apply(&server, &path, "fieldManager=me&dryRun=All", &changed).await.expect(200);
    assert_eq!(shown["spec"]["color"], "blue");
    assert_eq!(server.get(&path).await.expect(200)["spec"]["color"], "red");
}

#[tokio::test]
async fn applies_that_race_all_land() {
    let server = Server::with_widgets().await;
    let path = format!("{WIDGETS}/w");
    let applies = (0..12).map(|number| {
        let (server, path) = (&server, &path);
        let mut config = widget("w", json!({"color": "red"}));
        config["metadata"]["annotations"] = json!({format!("n{number}"): "x"});
        async move { apply(server, path, &format!("fieldManager=m{number}"), &config).await.code }
    });
    let codes = futures::future::join_all(applies).await;
    assert!(codes.iter().all(|code| matches!(code, 200 | 201)), "{codes:?}");
    let object = server.get(&path).await.expect(200);
    assert_eq!(object["metadata"]["annotations"].as_object().unwrap().len(), 12);
    assert_eq!(managers(&object).len(), 12);
}

#[tokio::test]
async fn what_is_not_there_is_made_where_the_path_says_whatever_it_was_based_on() {
    let server = Server::with_widgets().await;
    let path = "/api/v1/namespaces/a/configmaps/c";
    let config = |metadata: Value| json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata});
    let refused = apply(&server, path, "fieldManager=me", &config(json!({"namespace": "b"}))).await.refusal(400).1;
    assert_eq!(refused, "the namespace of the provided object does not match the namespace sent on the request");
    let based = config(json!({"name": "c", "resourceVersion": "1"}));
    apply(&server, path, "fieldManager=me", &based).await.expect(201);
    assert_eq!(apply(&server, path, "fieldManager=me", &based).await.refusal(409).0, "Conflict");
}

#[tokio::test]
async fn what_is_applied_as_empty_stays_when_the_defaults_in_it_are_given_up() {
    let server = Server::with_widgets().await;
    let mut definition = widgets();
    definition["metadata"]["annotations"]["thecloud.dev/schema-version"] = "2".into();
    let spec = json!({"type": "object", "properties": {
        "internal": {"type": "boolean", "default": false},
        "color": {"type": "string"},
        "ports": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
            "items": {"type": "object", "required": ["port"], "properties": {
                "port": {"type": "integer"},
                "tls": {"type": "object", "properties": {"mode": {"type": "string", "default": "strict"}}},
            }},
        },
    }});
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"] = spec;
    definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["required"] = json!(["spec"]);
    server.server.install_kinds(&[definition]).await.unwrap();

    let path = format!("{WIDGETS}/w");
    let config = widget("w", json!({"ports": [{"port": 80, "tls": {}}, {"port": 443}]}));
    let made = server.post(&format!("{WIDGETS}?fieldManager=me"), config.clone()).await.expect(201);
    assert_eq!(made["spec"]["ports"][0]["tls"]["mode"], "strict");
    // As clients do who hand over from updates to applies: what the update wrote, defaults and all, was applied.
    let owned = [json!({"op": "replace", "path": "/metadata/managedFields/0/operation", "value": "Apply"})];
    let json_patch = [("content-type", "application/json-patch+json")];
    server.send("PATCH", &path, &json_patch, json!(owned).to_string()).await.expect(200);
    let applied = apply(&server, &path, "fieldManager=me", &config).await.expect(200);
    assert_eq!(applied["spec"], made["spec"]);
    assert_eq!(applied["metadata"]["generation"], 1);
    let emptied = apply(&server, &path, "fieldManager=me", &widget("w", json!({}))).await.expect(200);
    assert_eq!(emptied["spec"], json!({"internal": false}));
}
