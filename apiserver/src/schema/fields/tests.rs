use serde_json::{Value, json};

use super::*;
use crate::registry::builtin;

/// A kind of the group `example.com`, or another.
fn kind(group: &str, namespaced: bool) -> Kind {
    let builtin = builtin::kinds();
    let lease = builtin.iter().find(|kind| kind.plural == "leases").unwrap();
    Kind {
        group: group.to_owned(),
        plural: "widgets".to_owned(),
        singular: "widget".to_owned(),
        kind: "Widget".to_owned(),
        list_kind: "WidgetList".to_owned(),
        short_names: Vec::new(),
        categories: Vec::new(),
        namespaced,
        versions: Vec::new(),
        storage_version: "v1".to_owned(),
        origin: lease.origin.clone(),
        connects: Vec::new(),
        charges: Vec::new(),
        stored_as: None,
        review: None,
        behaviour: crate::registry::Behaviour::default(),
        verbs: Vec::new(),
    }
}

fn check(metadata: Value) -> Vec<String> {
    check_in("example.com", metadata)
}

fn check_in(group: &str, metadata: Value) -> Vec<String> {
    let errors = validate(&kind(group, true), &json!({"metadata": metadata}), None);
    errors.iter().map(ToString::to_string).collect()
}

#[test]
fn good_metadata_passes() {
    let metadata = json!({
        "name": "web.example.com", "namespace": "default", "generateName": "web-",
        "labels": {"app": "x", "example.com/Name_1.x": ""},
        "annotations": {"Example.com/Any": "any text\n"},
        "finalizers": ["example.com/f", "orphan"],
        "ownerReferences": [{"apiVersion": "g/v1", "kind": "K", "name": "n", "uid": "u", "controller": true}],
    });
    assert_eq!(check(metadata), [""; 0]);
}

#[test]
fn names_are_dns_subdomains() {
    let errors = check(json!({"name": "Bad_Name", "namespace": "d"}));
    assert_eq!(
        errors,
        [
            "metadata.name: Invalid value: \"Bad_Name\": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
        ]
    );
    assert_eq!(check(json!({"namespace": "d"})), ["metadata.name: Required value: name or generateName is required"]);
    for bad in ["-a", "a-", "a..b", "a/b", ".", "é"] {
        assert_eq!(check(json!({"name": bad, "namespace": "d"})).len(), 1, "{bad}");
    }
    assert_eq!(
        check(json!({"name": "a".repeat(254), "namespace": "d"})),
        [format!("metadata.name: Invalid value: \"{}\": must be no more than 253 characters", "a".repeat(254))]
    );
}

#[test]
fn names_in_our_own_group_are_dns_labels() {
    for group in ["thecloud.dev", "compute.thecloud.dev"] {
        assert!(check_in(group, json!({"name": "a.b", "namespace": "d"}))[0].contains("a lowercase RFC 1123 label"));
        assert!(check_in(group, json!({"name": "a".repeat(64), "namespace": "d"}))[0].contains("no more than 63"));
    }
    assert_eq!(check_in("notthecloud.dev", json!({"name": "a.b", "namespace": "d"})), [""; 0]);
}

#[test]
fn a_namespace_belongs_to_namespaced_kinds_only() {
    assert_eq!(check(json!({"name": "a"})), ["metadata.namespace: Required value"]);
    let errors = validate(&kind("example.com", false), &json!({"metadata": {"name": "a", "namespace": "d"}}), None);
    assert_eq!(errors[0].to_string(), "metadata.namespace: Forbidden: not allowed on this type");
}

#[test]
fn labels_are_qualified_names_with_short_values() {
    let errors = check(json!({"name": "a", "namespace": "d", "labels": {"a b": "c"}}));
    assert_eq!(
        errors,
        [
            "metadata.labels: Invalid value: \"a b\": name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
        ]
    );
    assert!(
        check(json!({"name": "a", "namespace": "d", "labels": {"a": "b c"}}))[0]
            .contains("a valid label must be an empty string or consist of")
    );
    assert!(
        check(json!({"name": "a", "namespace": "d", "labels": {"a/b/c": ""}}))[0]
            .contains("a qualified name must consist of")
    );
    assert!(
        check(json!({"name": "a", "namespace": "d", "labels": {"/b": ""}}))[0]
            .contains("prefix part must be non-empty")
    );
    assert!(
        check(json!({"name": "a", "namespace": "d", "labels": {"a": "x".repeat(64)}}))[0].contains("no more than 63")
    );
}

#[test]
fn annotations_are_limited_in_total() {
    let half = "x".repeat(MAX_ANNOTATIONS / 2);
    let errors = check(json!({"name": "a", "namespace": "d", "annotations": {"a": half, "b": half}}));
    assert_eq!(errors, ["metadata.annotations: Too long: may not be more than 262144 bytes"]);
}

#[test]
fn owner_references_are_complete_and_one_is_in_charge() {
    let owner = json!({"apiVersion": "g/v1", "kind": "K", "name": "n", "uid": "u", "controller": true});
    let errors = check(json!({"name": "a", "namespace": "d", "ownerReferences": [{"apiVersion": "", "name": "n"}]}));
    assert_eq!(
        errors,
        [
            "metadata.ownerReferences.apiVersion: Invalid value: \"\": version must not be empty",
            "metadata.ownerReferences.kind: Invalid value: \"\": must not be empty",
            "metadata.ownerReferences.uid: Invalid value: \"\": must not be empty",
        ]
    );
    let odd = json!([
        {"apiVersion": "a/b/c", "kind": "K", "name": "n", "uid": "u"},
        {"apiVersion": "/v1", "kind": "Event", "name": "n", "uid": "u"},
    ]);
    let errors_of_odd = check(json!({"name": "a", "namespace": "d", "ownerReferences": odd}));
    assert_eq!(
        errors_of_odd[0],
        "metadata.ownerReferences.apiVersion: Invalid value: \"a/b/c\": version must not be empty"
    );
    assert!(errors_of_odd[1].ends_with("/v1, Kind=Event is disallowed from being an owner"), "{errors_of_odd:?}");
    let errors = check(json!({"name": "a", "namespace": "d", "ownerReferences": [owner, owner]}));
    assert!(errors[0].contains("Only one reference can have Controller set to true"));
}

#[test]
fn metadata_of_the_wrong_shape_is_undecodable() {
    let sentence = |metadata: Value| check_shape(&json!({"metadata": metadata}), false).unwrap_err().message;
    let field =
        |value, field, type_| format!("json: cannot unmarshal {value} into Go struct field {field} of type {type_}");
    for (metadata, expected) in [
        (json!({"labels": {"a": 1}}), field("number", "ObjectMeta.labels", "string")),
        (json!({"labels": []}), field("array", "ObjectMeta.labels", "map[string]string")),
        (json!({"name": true}), field("bool", "ObjectMeta.name", "string")),
        (json!({"generation": 1.5}), field("number 1.5", "ObjectMeta.generation", "int64")),
        (json!({"finalizers": "x"}), field("string", "ObjectMeta.finalizers", "[]string")),
        (
            json!({"ownerReferences": [{"controller": "yes"}]}),
            field("string", "OwnerReference.ownerReferences.controller", "bool"),
        ),
        (json!({"creationTimestamp": 1}), "json: cannot unmarshal number into Go value of type string".into()),
        (json!("x"), "json: cannot unmarshal string into Go value of type v1.ObjectMeta".into()),
    ] {
        assert_eq!(sentence(metadata), expected);
    }
    assert!(check_shape(&json!({"metadata": "x"}), true).is_err());
    assert!(check_shape(&json!({"metadata": {"creationTimestamp": null, "labels": null}}), true).is_ok());
    assert!(
        check(json!({"name": "a", "namespace": "d", "labels": {"a": 1}}))[0]
            .starts_with("metadata.labels.a: Invalid value")
    );
}

#[test]
fn what_identifies_an_object_stays() {
    let old = json!({"metadata": {"name": "a", "namespace": "d", "uid": "1"}});
    let update = |new: Value| validate(&kind("example.com", true), &new, Some(&old));
    assert_eq!(update(json!({"metadata": {"name": "a", "namespace": "d"}})), []);
    let errors = update(json!({"metadata": {"name": "a", "namespace": "d", "uid": "2"}}));
    assert_eq!(errors[0].to_string(), "metadata.uid: Invalid value: \"2\": field is immutable");
}

#[test]
fn finalizers_only_go_while_an_object_is_deleted() {
    let old =
        json!({"metadata": {"name": "a", "namespace": "d", "deletionTimestamp": "t", "finalizers": ["example.com/f"]}});
    let update = |finalizers: Value| {
        let mut new = old.clone();
        new["metadata"]["finalizers"] = finalizers;
        validate(&kind("example.com", true), &new, Some(&old))
    };
    assert_eq!(update(json!([])), []);
    assert_eq!(
        update(json!(["example.com/f", "example.com/g"]))[0].to_string(),
        "metadata.finalizers: Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers []string{\"example.com/g\"}"
    );
}
