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
