use std::collections::BTreeSet;

use crate::fixtures;
use crate::registry::builtin;

use super::*;

fn documents() -> Documents {
    Documents::new(fixtures::registry())
}

/// The kinds that are really served, with a declared one.
fn served() -> Documents {
    let kinds = builtin::kinds().into_iter().chain([fixtures::widget()]);
    Documents::new(Arc::new(Registry::new(kinds)))
}

fn parsed(document: &Published) -> Value {
    serde_json::from_slice(&document.body).unwrap()
}

fn dangling(document: &Value, defined: &Value) -> BTreeSet<String> {
    let defined = defined.as_object().unwrap();
    let mut dangling = BTreeSet::new();
    schemas::each_reference(document, &mut |name| {
        if !defined.contains_key(name) {
            dangling.insert(name.to_owned());
        }
    });
    dangling
}

fn duplicate_kinds(definitions: &Value) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let kinds = definitions.as_object().unwrap().values();
    let kinds = kinds.flat_map(|schema| schema["x-kubernetes-group-version-kind"].as_array().into_iter().flatten());
    kinds.map(Value::to_string).filter(|kind| !seen.insert(kind.clone())).collect()
}

#[test]
fn a_declared_kind_is_described_as_it_was_declared() {
    let document = parsed(&documents().v3("apis/example.com/v1").unwrap());
    insta::assert_json_snapshot!("widget_schema_v3", document["components"]["schemas"]["com.example.v1.Widget"]);
    let schemas: Vec<&String> = document["components"]["schemas"].as_object().unwrap().keys().collect();
    insta::assert_json_snapshot!("schemas_v3", schemas);
}

#[test]
fn every_path_of_a_kind_has_its_operations() {
    let document = parsed(&documents().v3("apis/example.com/v1").unwrap());
    let operations: Vec<String> = document["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().filter(|(method, _)| *method != "parameters").map(
                move |(method, operation)| {
                    format!(
                        "{method} {path} {} {}",
                        operation["x-kubernetes-action"].as_str().unwrap(),
                        operation["operationId"].as_str().unwrap()
                    )
                },
            )
        })
        .collect();
    insta::assert_json_snapshot!("operations_v3", operations);
}

#[test]
fn passwords_and_keys_of_users_have_their_operations() {
    let kind = |plural: &str, kind: &str| {
        let mut made = Arc::into_inner(fixtures::widget()).unwrap();
        (made.group, made.plural, made.kind) = ("thecloud.dev".to_owned(), plural.to_owned(), kind.to_owned());
        made.namespaced = false;
        Arc::new(made)
    };
    let documents = Documents::new(Arc::new(Registry::new([kind("users", "User"), kind("apikeys", "ApiKey")])));
    let root = "/apis/thecloud.dev/v1";
    let document = parsed(&documents.v3("apis/thecloud.dev/v1").unwrap());
    let password = &document["paths"][format!("{root}/users/{{name}}/password")];
    let body = &password["post"]["requestBody"]["content"]["application/json"]["schema"];
    assert_eq!((&body["required"], password["delete"].is_object()), (&serde_json::json!(["password"]), true));
    let key = &document["paths"][format!("{root}/apikeys/{{name}}/token")]["post"]["responses"]["201"];
    assert!(key["content"]["application/json"]["schema"]["$ref"].as_str().unwrap().ends_with(".ApiKey"), "{key}");
    for other in ["users/{name}/token", "apikeys/{name}/password"] {
        assert!(document["paths"][format!("{root}/{other}")].is_null(), "{other}");
    }
}

#[test]
fn patch_lists_field_validation_and_exactly_the_types_it_takes() {
    let documents = documents();
    for (path, object, types) in [
        (
            "apis/example.com/v1",
            "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}",
            vec!["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"],
        ),
        (
            "api/v1",
            "/api/v1/namespaces/{namespace}/configmaps/{name}",
            vec![
                "application/apply-patch+yaml",
                "application/json-patch+json",
                "application/merge-patch+json",
                "application/strategic-merge-patch+json",
            ],
        ),
    ] {
        let patch = parsed(&documents.v3(path).unwrap())["paths"][object]["patch"].clone();
        let parameters: Vec<&str> = patch["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .map(|parameter| parameter["name"].as_str().unwrap())
            .collect();
        assert!(parameters.contains(&"fieldValidation"), "{parameters:?}");
        let listed: Vec<&String> = patch["requestBody"]["content"].as_object().unwrap().keys().collect();
        assert_eq!(listed, types);
    }
}

#[test]
fn version_two_loses_what_its_clients_refuse() {
    let document = parsed(&documents().v2_json());
    insta::assert_json_snapshot!("widget_schema_v2", document["definitions"]["com.example.v1.Widget"]);
    let path = "/apis/example.com/v1/namespaces/{namespace}/widgets/{name}";
    insta::assert_json_snapshot!("patch_v2", document["paths"][path]["patch"]);
}

#[test]
fn no_reference_dangles_and_no_kind_is_there_twice() {
    for documents in [documents(), served()] {
        for path in documents.versions.keys() {
            let document = parsed(&documents.v3(path).unwrap());
            let schemas = &document["components"]["schemas"];
            assert_eq!(dangling(&document, schemas), BTreeSet::new(), "{path}");
            assert_eq!(duplicate_kinds(schemas), Vec::<String>::new(), "{path}");
        }
        let document = parsed(&documents.v2_json());
        assert_eq!(dangling(&document, &document["definitions"]), BTreeSet::new());
        assert_eq!(duplicate_kinds(&document["definitions"]), Vec::<String>::new());
        assert!(!document.to_string().contains("#/components/"));
    }
}

/// What the parser that kubectl and Argo CD share refuses: one such place costs them every kind.
fn unparsable(place: &str, schema: &Value, found: &mut Vec<String>) {
    if schema.get("$ref").is_some() {
        return;
    }
    if schema["type"] == "array" && !schema["items"].is_object() {
        found.push(format!("{place}: a list of what?"));
    }
    if !matches!(schema["type"].as_str(), None | Some("object" | "array" | "string" | "integer" | "number" | "boolean"))
        || schema["type"].is_array()
    {
        found.push(format!("{place}: type {}", schema["type"]));
    }
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        if property.as_object().is_none_or(|property| property.contains_key("nullable")) {
            found.push(format!("{place}.{name}"));
        }
        unparsable(&format!("{place}.{name}"), property, found);
    }
    for key in ["items", "additionalProperties"] {
        if let Some(schema) = schema.get(key).filter(|schema| schema.is_object()) {
            unparsable(&format!("{place}.{key}"), schema, found);
        }
    }
}

#[test]
fn what_parsers_of_version_two_refuse_is_not_there() {
    let mut found = Vec::new();
    for documents in [documents(), served()] {
        for (name, schema) in parsed(&documents.v2_json())["definitions"].as_object().unwrap() {
            unparsable(name, schema, &mut found);
        }
    }
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn open_and_embedded_values_are_published_so_that_clients_take_them() {
    let declared = json!({
        "type": "object",
        "properties": {
            "list": {"type": "array", "x-kubernetes-preserve-unknown-fields": true, "items": {"type": "object"}},
            "maybe": {"type": "object", "nullable": true, "required": ["a"], "properties": {"a": {"type": "string"}}},
            "either": {"x-kubernetes-int-or-string": true, "anyOf": [{"minimum": 3}]},
            "inside": {"type": "object", "x-kubernetes-embedded-resource": true, "required": ["spec"], "properties": {
                "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
            }},
            "any": {"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true},
        },
    });
    let three = declared::published(&declared);
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    assert_eq!(three["properties"]["either"]["allOf"], json!([{"anyOf": either}]));
    let inside = &three["properties"]["inside"];
    assert_eq!(inside["required"], json!(["spec", "kind", "apiVersion"]));
    assert!(inside["properties"]["metadata"]["allOf"][0]["$ref"].is_string());
    let two = v2::schema(&three);
    let mut found = Vec::new();
    unparsable("", &two, &mut found);
    assert_eq!(found, Vec::<String>::new());
    let two = &two["properties"];
    assert_eq!(two["list"], json!({"x-kubernetes-preserve-unknown-fields": true}));
    assert_eq!(two["maybe"], json!({}));
    assert_eq!(two["any"]["properties"], Value::Null);
    assert_eq!(two["any"]["type"], Value::Null);
    let reference = "#/definitions/io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
    assert_eq!(two["inside"]["properties"]["metadata"]["$ref"], reference);
    // A kind that takes anything names none of its fields.
    let mut kind = fixtures::widget();
    let open = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    Arc::get_mut(&mut kind).unwrap().versions[0].openapi = Arc::new(open);
    let document = parsed(&Documents::new(Arc::new(Registry::new([kind]))).v2_json());
    let keys: Vec<&String> = document["definitions"]["com.example.v1.Widget"].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["type", "x-kubernetes-group-version-kind"]);
}

#[test]
fn operation_ids_are_unique() {
    let document = parsed(&served().v2_json());
    let mut seen = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            if method != "parameters" {
                let id = operation["operationId"].as_str().unwrap().to_owned();
                assert!(seen.insert(id.clone()), "{id} of {method} {path} is there twice");
            }
        }
    }
    assert!(seen.len() > 20);
}

#[test]
fn the_index_leads_to_documents_by_the_hash_of_their_bytes() {
    let documents = documents();
    let index = parsed(&documents.index());
    let paths = index["paths"].as_object().unwrap();
    assert_eq!(paths.keys().collect::<Vec<_>>(), ["api/v1", "apis/apiextensions.k8s.io/v1", "apis/example.com/v1"]);
    for (path, entry) in paths {
        let document = documents.v3(path).unwrap();
        assert_eq!(document.hash, hex(&Sha256::digest(&document.body)));
        assert_eq!(documents.v3_hash(path).unwrap(), document.hash);
        assert_eq!(entry["serverRelativeURL"], format!("/openapi/v3/{path}?hash={}", document.hash));
    }
    assert_eq!(documents.v3("apis/none.example/v1"), None);
    assert_eq!(documents.v3_hash("apis/none.example/v1"), None);
}

#[test]
fn the_hash_follows_the_schema() {
    let before = documents().v3_hash("apis/example.com/v1").unwrap();
    let mut widget = fixtures::widget();
    Arc::get_mut(&mut widget).unwrap().versions[0].openapi = Arc::new(json!({"type": "object"}));
    let after = Documents::new(Arc::new(Registry::new([widget]))).v3_hash("apis/example.com/v1").unwrap();
    assert_ne!(before, after);
}

#[test]
fn shared_schemas_tell_clients_how_to_merge() {
    let document = parsed(&documents().v3("api/v1").unwrap());
    let meta = &document["components"]["schemas"][schemas::OBJECT_META]["properties"];
    assert_eq!(meta["ownerReferences"]["x-kubernetes-list-map-keys"], json!(["uid"]));
    assert_eq!(meta["finalizers"]["x-kubernetes-list-type"], "set");
    assert!(meta["name"]["description"].as_str().unwrap().starts_with("Name must be unique"));
}
