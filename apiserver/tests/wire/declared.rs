//! What a schema makes of the objects that it declares: kept, dropped, filled in, refused, shown.

use apiserver_store::{Change, Expect, Key, ResourceId, Write};
use serde_json::{Value, json};

use crate::harness::{Server, namespace};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const THINGS: &str = "/apis/declared.test/v1/namespaces/a/things";
const APPLY: [(&str, &str); 1] = [("content-type", "application/apply-patch+yaml")];

fn version(name: &str, spec: &Value) -> Value {
    json!({
        "name": name, "served": true, "storage": name == "v1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": {
            "type": "object", "x-kubernetes-preserve-unknown-fields": true,
        }}}},
    })
}

fn things(versions: &[Value]) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.declared.test"},
        "spec": {
            "group": "declared.test", "scope": "Namespaced", "names": {"plural": "things", "kind": "Thing"},
            "versions": versions,
        },
    })
}

fn thing(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "declared.test/v1", "kind": "Thing", "metadata": {"name": name}, "spec": spec})
}

async fn serving(versions: &[Value]) -> Server {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server.post(DEFINITIONS, things(versions)).await.expect(201);
    server.until(THINGS, "served", |found| found.is_some()).await;
    server
}

/// Replaces the schema of the spec, and waits until it counts.
async fn change(server: &Server, spec: &Value) {
    let path = format!("{DEFINITIONS}/things.declared.test");
    let patch = json!([{
        "op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema/properties/spec", "value": spec,
    }]);
    server.json_patch(&path, patch).await.expect(200);
}

#[tokio::test]
async fn unknown_fields_stay_where_they_are_preserved_and_go_again_in_what_is_declared_below() {
    let server = serving(&[version(
        "v1",
        &json!({"type": "object", "properties": {
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                "known": {"type": "object", "properties": {"a": {"type": "string"}}},
                "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
            }},
            "closed": {"type": "object", "properties": {"a": {"type": "string"}}},
            "any": {"type": "object", "additionalProperties": true},
            "whole": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
                "spec": {"type": "object", "properties": {"a": {"type": "string"}}},
            }},
        }}),
    )])
    .await;
    let metadata = json!({"name": "x", "labels": {"l": "v"}, "nonsense": 1});
    let spec = json!({
        "free": {"x": {"y": 1}, "known": {"a": "k", "gone": 1}, "list": [{"a": "k", "gone": 1}]},
        "closed": {"a": "k", "gone": 1},
        "any": {"number": 1, "map": {"gone": 1}, "list": [{"gone": 1}]},
        "whole": {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "gone": 1, "spec": {"a": "k", "gone": 1}},
    });
    let made = server.post(THINGS, thing("t", spec.clone())).await;
    let kept = json!({
        "free": {"x": {"y": 1}, "known": {"a": "k"}, "list": [{"a": "k"}]},
        "closed": {"a": "k"},
        "any": {"number": 1, "map": {}, "list": [{}]},
        "whole": {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"l": "v"}}, "spec": {"a": "k"},
        },
    });
    assert_eq!(made.expect(201)["spec"], kept);
    let strict = server.post(&format!("{THINGS}?fieldValidation=Strict"), thing("s", spec)).await;
    let (_, message) = strict.refusal(400);
    for path in
        ["spec.any.list[0].gone", "spec.any.map.gone", "spec.closed.gone", "spec.free.known.gone", "spec.whole.gone"]
    {
        assert!(message.contains(&format!("unknown field \"{path}\"")), "{path}: {message}");
    }
}

#[tokio::test]
async fn an_embedded_object_has_a_kind_and_good_metadata() {
    let whole =
        json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    let server = serving(&[version("v1", &json!({"type": "object", "properties": {"whole": whole}}))]).await;
    let told = async |whole: Value| server.post(THINGS, thing("t", json!({"whole": whole}))).await.refusal(422).1;
    let message = told(json!({"kind": "Pod"})).await;
    assert!(message.contains("spec.whole.apiVersion: Required value"), "{message}");
    let message = told(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a/b"}})).await;
    assert!(message.contains("spec.whole.metadata.name: Invalid value: \"a/b\""), "{message}");
}

#[tokio::test]
async fn a_new_default_shows_in_what_is_read_listed_watched_and_patched() {
    let server = serving(&[version("v1", &json!({"type": "object", "properties": {"a": {"type": "string"}}}))]).await;
    server.post(THINGS, thing("t", json!({"a": "x"}))).await.expect(201);
    let spec = json!({"type": "object", "properties": {
        "a": {"type": "string"}, "size": {"type": "string", "default": "small"},
        "deep": {"type": "object", "default": {}, "properties": {"n": {"type": "integer", "default": 3}}},
    }});
    change(&server, &spec).await;
    let path = format!("{THINGS}/t");
    let expected = json!({"a": "x", "size": "small", "deep": {"n": 3}});
    server.until(&path, "filled in", |found| found.is_some_and(|found| found["spec"] == expected)).await;
    assert_eq!(server.get(THINGS).await.expect(200)["items"][0]["spec"], expected);
    let mut lines = server.watch(&format!("{THINGS}?watch=1"), &[]).await;
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["spec"]), (&json!("ADDED"), &expected));
    server.merge(&path, json!({"metadata": {"labels": {"l": "v"}}})).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["spec"]), (&json!("MODIFIED"), &expected));
    // A null where none may be means the default.
    let nulled = server.merge(&path, json!({"spec": {"size": null}})).await.expect(200);
    assert_eq!(nulled["spec"]["size"], "small");
    server.delete(&path, json!({})).await.expect(200);
    let event = lines.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["spec"]), (&json!("DELETED"), &expected));
}

#[tokio::test]
async fn what_was_wrong_before_a_schema_became_narrower_is_tolerated_where_it_stays() {
    let list = |limit: &Value| {
        json!({"type": "object", "properties": {
            "n": limit, "m": limit,
            "ports": {
                "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
                "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "n": limit}},
            },
        }})
    };
    let server = serving(&[version("v1", &list(&json!({"type": "integer"})))]).await;
    let spec = json!({"n": 1, "m": 1, "ports": [{"k": "a", "n": 1}, {"k": "b", "n": 1}]});
    server.post(THINGS, thing("t", spec.clone())).await.expect(201);
    change(&server, &list(&json!({"type": "integer", "minimum": 5}))).await;
    let path = format!("{THINGS}/t");
    // When the new schema counts, nothing new may be wrong.
    loop {
        if server.post(THINGS, thing("probe", spec.clone())).await.code == 422 {
            break;
        }
        server.delete(&format!("{THINGS}/probe"), json!({})).await;
    }
    server.merge(&path, json!({"metadata": {"labels": {"l": "v"}}})).await.expect(200);
    // The items have changed places, and one of them its value.
    let moved = json!({"spec": {"m": 2, "ports": [{"k": "b", "n": 1}, {"k": "a", "n": 2}]}});
    let (_, message) = server.merge(&path, moved).await.refusal(422);
    assert!(message.contains("spec.m: ") && message.contains("spec.ports[1].n: "), "{message}");
    assert!(!message.contains("spec.n: ") && !message.contains("spec.ports[0]"), "{message}");
}

#[tokio::test]
async fn every_version_is_listed_watched_and_applied_in_its_own_form() {
    let new = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    let old =
        json!({"type": "object", "properties": {"a": {"type": "string"}, "c": {"type": "string", "default": "c"}}});
    let server = serving(&[version("v1", &new), version("v1beta1", &old)]).await;
    let before = "/apis/declared.test/v1beta1/namespaces/a/things";
    let mut lines = server.watch(&format!("{before}?watch=1"), &[]).await;
    server
        .send(
            "PATCH",
            &format!("{THINGS}/t?fieldManager=new"),
            &APPLY,
            thing("t", json!({"a": "x", "b": "y"})).to_string(),
        )
        .await
        .expect(201);
    let event = lines.next().await.unwrap();
    assert_eq!(event["object"]["apiVersion"], "declared.test/v1beta1");
    assert_eq!(event["object"]["spec"], json!({"a": "x"}));
    let list = server.get(before).await.expect(200);
    assert_eq!(
        (&list["apiVersion"], &list["items"][0]["apiVersion"]),
        (&json!("declared.test/v1beta1"), &json!("declared.test/v1beta1"))
    );
    assert_eq!(list["items"][0]["spec"], json!({"a": "x"}));

    let mut config = thing("t", json!({"a": "z"}));
    config["apiVersion"] = "declared.test/v1beta1".into();
    let apply = async |query: &str| {
        server.send("PATCH", &format!("{before}/t?fieldManager=old{query}"), &APPLY, config.to_string()).await
    };
    let (_, message) = apply("").await.refusal(409);
    assert_eq!(message, "Apply failed with 1 conflict: conflict with \"new\": .spec.a");
    let forced = apply("&force=true").await.expect(200);
    assert_eq!(forced["spec"]["a"], "z");
    assert_eq!(forced["apiVersion"], "declared.test/v1beta1");
    let versions: Vec<&Value> =
        forced["metadata"]["managedFields"].as_array().unwrap().iter().map(|entry| &entry["apiVersion"]).collect();
    assert_eq!(versions, ["declared.test/v1", "declared.test/v1beta1"]);
    let kept = server.get(&format!("{THINGS}/t")).await.expect(200);
    assert_eq!(kept["spec"]["a"], "z");
}

#[tokio::test]
async fn a_storage_version_that_changes_is_noted_with_the_change_and_watches_of_what_goes_end() {
    let spec = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let server = serving(&[version("v1", &spec), version("v1beta1", &spec)]).await;
    let path = format!("{DEFINITIONS}/things.declared.test");
    let moved = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    let moved = server.json_patch(&path, moved).await.expect(200);
    assert_eq!(moved["status"]["storedVersions"], json!(["v1", "v1beta1"]));
    let mut lines = server.watch("/apis/declared.test/v1beta1/things?watch=1", &[]).await;
    server.post(THINGS, thing("t", json!({"a": "x"}))).await.expect(201);
    assert_eq!(lines.next_brief().await.0, "ADDED");
    server.delete(&path, json!({})).await.expect(200);
    assert_eq!(lines.next_brief().await.0, "DELETED");
    assert_eq!(lines.next().await, None, "the watch ends with its kind");
}

#[tokio::test]
async fn columns_show_what_their_path_finds_in_the_form_of_their_type() {
    let mut declared = version("v1", &json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    let column = |name: &str, type_: &str, path: &str| json!({"name": name, "type": type_, "jsonPath": path});
    declared["additionalPrinterColumns"] = json!([
        column("Text", "string", ".spec.text"),
        column("Number", "integer", ".spec.number"),
        column("Float", "number", ".spec.float"),
        column("Flag", "boolean", ".spec.flag"),
        column("Wrong", "integer", ".spec.text"),
        column("Ready", "string", r#".status.conditions[?(@.type=="Ready")].status"#),
        column("Last", "string", ".spec.list[-1:].name"),
        column("All", "string", ".spec.list[*].name"),
        column("Dotted", "string", r".metadata.annotations.example\.com/x"),
        column("None", "string", ".spec.nothing"),
        column("Age", "date", ".metadata.creationTimestamp"),
        column("Broken", "string", ".spec.list[?(@.x"),
        column("Behind", "string", ".spec.text"),
    ]);
    let server = serving(&[declared]).await;
    let mut made = thing(
        "t",
        json!({
            "text": "x", "number": 5, "float": 1.5, "flag": true, "list": [{"name": "a"}, {"name": "b"}],
        }),
    );
    made["metadata"]["annotations"] = json!({"example.com/x": "y"});
    made["status"] = json!({"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]});
    server.post(THINGS, made).await.expect(201);
    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io,application/json")];
    let shown = server.send("GET", THINGS, &table, "").await.expect(200);
    let names: Vec<&str> =
        shown["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    let expected =
        ["Name", "Text", "Number", "Float", "Flag", "Wrong", "Ready", "Last", "All", "Dotted", "None", "Age"];
    assert_eq!(names, expected, "the table ends before the column that can't be read");
    let mut cells = shown["rows"][0]["cells"].as_array().unwrap().clone();
    let age = cells.pop().unwrap();
    assert!(age.as_str().unwrap().ends_with('s'), "{age}");
    assert_eq!(json!(cells), json!(["t", "x", 5, 1.5, true, null, "True", "b", "a", "y", null]));
}

#[tokio::test]
async fn a_definition_that_would_not_be_taken_now_is_served_and_says_so() {
    let server = serving(&[version("v1", &json!({"type": "object", "properties": {"a": {"type": "string"}}}))]).await;
    server.post(THINGS, thing("t", json!({"a": "x"}))).await.expect(201);
    // As a server would leave it that asked less.
    let key =
        Key::new(ResourceId::new("apiextensions.k8s.io", "customresourcedefinitions"), "", "things.declared.test");
    loop {
        let stored = server.storage.get(&key).unwrap();
        let mut definition = stored.value();
        let properties = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        definition.pointer_mut(properties).unwrap()["free"] = json!({"description": "of no type"});
        let change = Change::Put { uid: stored.uid, body: definition.to_string().into_bytes() };
        let write = Write { key: key.clone(), expect: Expect::Revision(stored.revision), change };
        if server.storage.write(write).await.is_ok() {
            break;
        }
    }
    let condition = |found: Option<&Value>| {
        let conditions = found.and_then(|found| found["status"]["conditions"].as_array().cloned()).unwrap_or_default();
        conditions.into_iter().find(|condition| condition["type"] == "NonStructuralSchema")
    };
    let path = format!("{DEFINITIONS}/things.declared.test");
    server.until(&path, "called wrong", |found| condition(found).is_some()).await;
    let told = condition(Some(&server.get(&path).await.expect(200))).unwrap();
    assert_eq!((&told["status"], &told["reason"]), (&json!("True"), &json!("Violations")));
    let message = told["message"].as_str().unwrap();
    assert!(
        message.ends_with("properties[free].type: Required value: must not be empty for specified object fields"),
        "{message}"
    );
    assert_eq!(server.get(&format!("{THINGS}/t")).await.expect(200)["spec"]["a"], "x");
    change(&server, &json!({"type": "object", "properties": {"a": {"type": "string"}}})).await;
    server.until(&path, "good again", |found| condition(found).is_none()).await;
}
