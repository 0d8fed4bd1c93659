//! Kinds that clients declare, from the definition to the objects, without a restart.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Server, namespace};

const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const GADGETS: &str = "/apis/dynamic.test/v1/namespaces/a/gadgets";

fn definition(plural: &str, kind: &str, spec: Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.dynamic.test")},
        "spec": {
            "group": "dynamic.test", "scope": "Namespaced", "names": {"plural": plural, "kind": kind},
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
                "subresources": {"status": {}},
            }],
        },
    })
}

fn gadget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "dynamic.test/v1", "kind": "Gadget", "metadata": {"name": name}, "spec": spec})
}

fn condition<'a>(definition: &'a Value, of_type: &str) -> &'a Value {
    let conditions = definition["status"]["conditions"].as_array().map_or(&[][..], Vec::as_slice);
    conditions.iter().find(|condition| condition["type"] == of_type).unwrap_or(&Value::Null)
}

/// A server that serves gadgets with this schema of their spec.
async fn serving(spec: Value) -> Server {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server.post(DEFINITIONS, definition("gadgets", "Gadget", spec)).await.expect(201);
    server.until(GADGETS, "served", |found| found.is_some()).await;
    server
}

#[tokio::test]
async fn whoever_made_a_definition_finds_its_kind_served_at_once() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    for number in 0..20 {
        let plural = format!("gadgets{number}");
        let made = definition(&plural, &format!("Gadget{number}"), json!({"type": "object"}));
        let made = server.post(DEFINITIONS, made).await.expect(201);
        assert_eq!(made["status"]["conditions"], Value::Null, "the answer is what was made: {made}");
        let found = server.get(&format!("{DEFINITIONS}/{plural}.dynamic.test")).await.expect(200);
        assert_eq!(condition(&found, "Established")["status"], "True", "{found}");
        let _ = server.get(&format!("/apis/dynamic.test/v1/namespaces/a/{plural}")).await.expect(200);
    }
    // Names that are taken are told as soon.
    let _ = server.post(DEFINITIONS, definition("others", "Gadget0", json!({"type": "object"}))).await.expect(201);
    let found = server.get(&format!("{DEFINITIONS}/others.dynamic.test")).await.expect(200);
    assert_eq!(condition(&found, "NamesAccepted")["status"], "False", "{found}");
}

#[tokio::test]
async fn a_definition_is_served_within_a_second() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let begin = Instant::now();
    server.post(DEFINITIONS, definition("gadgets", "Gadget", json!({"type": "object"}))).await.expect(201);
    server.until(GADGETS, "served", |found| found.is_some()).await;
    assert!(begin.elapsed() < Duration::from_secs(1), "{:?}", begin.elapsed());
    let path = format!("{DEFINITIONS}/gadgets.dynamic.test");
    let established =
        |found: Option<&Value>| found.is_some_and(|found| condition(found, "Established")["status"] == "True");
    server.until(&path, "established", established).await;
    let found = server.get(&path).await.expect(200);
    assert_eq!(condition(&found, "NamesAccepted")["reason"], "NoConflicts");
    assert_eq!(condition(&found, "Established")["reason"], "InitialNamesAccepted");
    assert_eq!(found["status"]["acceptedNames"]["listKind"], "GadgetList");
    assert_eq!(found["status"]["storedVersions"], json!(["v1"]));
}

#[tokio::test]
async fn a_name_that_is_taken_is_free_once_its_owner_is_gone() {
    let server = serving(json!({"type": "object"})).await;
    server.post(DEFINITIONS, definition("gizmos", "Gadget", json!({"type": "object"}))).await.expect(201);
    let path = format!("{DEFINITIONS}/gizmos.dynamic.test");
    let refused = |found: Option<&Value>| {
        found.is_some_and(|found| condition(found, "NamesAccepted")["reason"] == "ListKindConflict")
    };
    server.until(&path, "refused", refused).await;
    let found = server.get(&path).await.expect(200);
    assert_eq!(condition(&found, "NamesAccepted")["message"], "\"GadgetList\" is already in use");
    assert_eq!(condition(&found, "Established")["status"], "False");
    assert_eq!(found["status"]["acceptedNames"], json!({"plural": "gizmos", "kind": ""}));
    assert_eq!(server.get("/apis/dynamic.test/v1/gizmos").await.code, 404);
    server.delete(&format!("{DEFINITIONS}/gadgets.dynamic.test"), json!({})).await.expect(200);
    server.until("/apis/dynamic.test/v1/gizmos", "served", |found| found.is_some()).await;
    assert_eq!(server.get(GADGETS).await.code, 404);
}

#[tokio::test]
async fn a_served_kind_that_wants_a_name_of_another_stays_served_as_it_was() {
    let server = serving(json!({"type": "object"})).await;
    server.post(DEFINITIONS, definition("gizmos", "Gizmo", json!({"type": "object"}))).await.expect(201);
    server.until("/apis/dynamic.test/v1/gizmos", "served", |found| found.is_some()).await;
    let path = format!("{DEFINITIONS}/gizmos.dynamic.test");
    let wish = json!({"spec": {"names": {"shortNames": ["gadgets", "gz"], "categories": ["all"]}}});
    server.merge(&path, wish).await.expect(200);
    let refused = |found: Option<&Value>| {
        found.is_some_and(|found| condition(found, "NamesAccepted")["reason"] == "ShortNamesConflict")
    };
    server.until(&path, "refused", refused).await;
    let found = server.get(&path).await.expect(200);
    assert_eq!(condition(&found, "NamesAccepted")["message"], "\"gadgets\" is already in use");
    assert_eq!(condition(&found, "Established")["status"], "True");
    assert_eq!(found["status"]["acceptedNames"].get("shortNames"), None);
    assert_eq!(found["status"]["acceptedNames"]["categories"], json!(["all"]));
    let listed = server.get("/apis/dynamic.test/v1").await.expect(200);
    let gizmos = listed["resources"].as_array().unwrap().iter().find(|row| row["name"] == "gizmos").unwrap();
    assert_eq!((gizmos.get("shortNames"), &gizmos["categories"]), (None, &json!(["all"])));
    server.delete(&format!("{DEFINITIONS}/gadgets.dynamic.test"), json!({})).await.expect(200);
    let named = |found: Option<&Value>| {
        found.is_some_and(|found| found["status"]["acceptedNames"]["shortNames"] == json!(["gadgets", "gz"]))
    };
    server.until(&path, "given its names", named).await;
}

#[tokio::test]
async fn formats_that_nobody_enforces_are_told_once() {
    let server = Server::start().await;
    let spec = json!({"type": "object", "properties": {
        "a": {"type": "string", "format": "bogus"},
        "b": {"type": "array", "items": {"type": "integer", "format": "int16"}},
        "c": {"type": "string", "format": "date-time"},
        "d": {"type": "string", "format": "password"},
        "e": {"type": "string", "format": "int32"},
    }});
    let made = server.post(DEFINITIONS, definition("gadgets", "Gadget", spec)).await;
    made.expect(201);
    let said = |reply: &crate::harness::Reply| -> Vec<String> {
        reply.headers.get_all("warning").iter().map(|value| value.to_str().unwrap().to_owned()).collect()
    };
    let warning = |format: &str| format!("299 - \"unrecognized format \\\"{format}\\\"\"");
    assert_eq!(said(&made), ["bogus", "int16", "int32"].map(warning));
    let path = format!("{DEFINITIONS}/gadgets.dynamic.test");
    let schema = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
    let one_more = json!([{"op": "add", "path": format!("{schema}/f"), "value": {"type": "string", "format": "new"}}]);
    assert_eq!(said(&server.json_patch(&path, one_more).await), [warning("new")], "what was there is known");
}

#[tokio::test]
async fn every_served_version_shows_the_same_objects() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let mut made = definition("gadgets", "Gadget", json!({"type": "object", "properties": {"a": {"type": "string"}}}));
    let old = json!({"name": "v1beta1", "served": true, "storage": false, "deprecated": true, "schema": {"openAPIV3Schema": {
        "type": "object", "properties": {"spec": {"type": "object", "properties": {
            "a": {"type": "string"}, "b": {"type": "integer", "default": 7},
        }}},
    }}});
    made["spec"]["versions"].as_array_mut().unwrap().push(old);
    server.post(DEFINITIONS, made).await.expect(201);
    server.until(GADGETS, "served", |found| found.is_some()).await;
    server.post(GADGETS, gadget("g", json!({"a": "x", "b": 1}))).await.expect(201);
    let old = server.get("/apis/dynamic.test/v1beta1/namespaces/a/gadgets/g").await;
    let shown = old.expect(200);
    assert_eq!((&shown["apiVersion"], &shown["spec"]), (&json!("dynamic.test/v1beta1"), &json!({"a": "x"})));
    assert_eq!(
        old.header("warning"),
        "299 - \"dynamic.test/v1beta1 Gadget is deprecated; use dynamic.test/v1 Gadget\""
    );
    let path = format!("{DEFINITIONS}/gadgets.dynamic.test");
    let moved = json!([
        {"op": "replace", "path": "/spec/versions/0/storage", "value": false},
        {"op": "replace", "path": "/spec/versions/1/storage", "value": true},
    ]);
    server.json_patch(&path, moved).await.expect(200);
    let both = |found: Option<&Value>| {
        found.is_some_and(|found| found["status"]["storedVersions"] == json!(["v1", "v1beta1"]))
    };
    server.until(&path, "stored in both", both).await;
    let (_, message) =
        server.json_patch(&path, json!([{"op": "remove", "path": "/spec/versions/0"}])).await.refusal(422);
    assert!(message.contains("status.storedVersions[0]: Invalid value: \"v1\""), "{message}");
}

#[tokio::test]
async fn rules_compare_with_what_was() {
    let server = serving(json!({
        "type": "object",
        "properties": {
            "size": {"type": "integer", "x-kubernetes-validations": [{
                "rule": "self >= oldSelf", "messageExpression": "'from ' + string(oldSelf) + ' to ' + string(self)",
                "reason": "FieldValueForbidden",
            }]},
            "tag": {"type": "string", "x-kubernetes-validations": [{
                "rule": "!oldSelf.hasValue() || self == oldSelf.value()", "optionalOldSelf": true, "message": "tags stay",
            }]},
            "low": {"type": "integer"}, "high": {"type": "integer"},
        },
        "x-kubernetes-validations": [{
            "rule": "!has(self.low) || !has(self.high) || self.low <= self.high", "fieldPath": ".high",
            "message": "must not be below low",
        }],
    }))
    .await;
    server.post(GADGETS, gadget("g", json!({"size": 3, "tag": "x"}))).await.expect(201);
    let path = format!("{GADGETS}/g");
    let told = async |spec: Value| server.merge(&path, json!({"spec": spec})).await.refusal(422).1;
    assert_eq!(
        told(json!({"size": 2})).await,
        "Gadget.dynamic.test \"g\" is invalid: spec.size: Forbidden: from 3 to 2"
    );
    assert_eq!(
        told(json!({"tag": "y"})).await,
        "Gadget.dynamic.test \"g\" is invalid: spec.tag: Invalid value: \"y\": tags stay"
    );
    let message = told(json!({"low": 2, "high": 1})).await;
    assert!(message.contains("spec.high: Invalid value: "), "{message}");
    assert!(message.ends_with(": must not be below low"), "{message}");
    server.merge(&path, json!({"spec": {"size": 4}})).await.expect(200);
}

#[tokio::test]
async fn a_rule_that_says_nothing_true_or_false_is_refused_with_its_definition() {
    let server = Server::start().await;
    let refused = async |rule: Value| {
        let spec =
            json!({"type": "object", "properties": {"a": {"type": "integer"}}, "x-kubernetes-validations": [rule]});
        server.post(DEFINITIONS, definition("gadgets", "Gadget", spec)).await.refusal(422).1
    };
    for (rule, word) in [
        (json!({"rule": "self.b > 1"}), "undefined field 'b'"),
        (json!({"rule": "self.a +"}), "Syntax error"),
        (json!({"rule": "self.a + 1"}), "must evaluate to a bool"),
        (json!({"rule": "  "}), "rule"),
        (json!({"rule": "self.a > 1", "fieldPath": ".b"}), "fieldPath"),
        (json!({"rule": "self.a > 1", "messageExpression": "1"}), "messageExpression"),
        (json!({"rule": "self.a > 1", "reason": "Frob"}), "reason"),
    ] {
        let message = refused(rule.clone()).await;
        assert!(message.contains(word) && message.contains("x-kubernetes-validations[0]"), "{rule}: {message}");
    }
    assert_eq!(server.get(DEFINITIONS).await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_hostile_rule_costs_its_objects_and_nobody_else() {
    let rule = "self.all(a, self.all(b, self.all(c, self.all(d, a + b + c + d != 'x'))))";
    let server = serving(json!({"type": "object", "properties": {"list": {
        "type": "array", "items": {"type": "string"}, "x-kubernetes-validations": [{"rule": rule}],
    }}}))
    .await;
    let list: Vec<String> = (0..20_000).map(|number| number.to_string()).collect();
    let begin = Instant::now();
    let (reason, message) = server.post(GADGETS, gadget("g", json!({"list": list}))).await.refusal(422);
    assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
    assert_eq!(reason, "Invalid");
    assert!(message.contains("spec.list: Invalid value: "), "{message}");
    server.post(GADGETS, gadget("h", json!({"list": ["a"]}))).await.expect(201);
}

#[tokio::test]
async fn nullable_free_and_listed_fields_are_what_their_schema_says() {
    let server = serving(json!({"type": "object", "properties": {
        "nothing": {"type": "string", "nullable": true},
        "something": {"type": "string", "default": "d"},
        "port": {"x-kubernetes-int-or-string": true},
        "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
        "set": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
        "map": {
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"],
            "items": {"type": "object", "required": ["k"], "properties": {"k": {"type": "string"}}},
        },
    }}))
    .await;
    let spec = json!({"nothing": null, "something": null, "port": "http", "free": {"a": {"b": 1}}, "gone": 1});
    let made = server.post(GADGETS, gadget("g", spec)).await.expect(201);
    assert_eq!(made["spec"], json!({"nothing": null, "something": "d", "port": "http", "free": {"a": {"b": 1}}}));
    let bad = json!({"port": true, "set": ["a", "a"], "map": [{"k": "a"}, {"k": "a"}]});
    let (_, message) = server.post(GADGETS, gadget("h", bad)).await.refusal(422);
    for told in [
        "spec.port: Invalid value: \"boolean\": spec.port in body must be of type integer,string: \"boolean\"",
        "spec.set[1]: Duplicate value: \"a\"",
        "spec.map[1]: Duplicate value: {\"k\":\"a\"}",
    ] {
        assert!(message.contains(told), "{told}: {message}");
    }
}
