use serde_json::{Value, json};

use super::*;
use crate::registry::convert;
use crate::schema::object;

fn find(group: &str, plural: &str) -> Arc<Kind> {
    kinds().into_iter().find(|kind| kind.group == group && kind.plural == plural).unwrap()
}

/// Makes the object whole and returns the paths of the fields that were unknown.
fn clean(kind: &Kind, value: &mut Value) -> Vec<String> {
    let version = &kind.versions[0];
    object::check(kind, version, value).unwrap();
    let unknown = version.schema.prune(value);
    object::complete(kind, version, value);
    unknown
}

fn taken(plural: &str, value: &mut Value) -> (Vec<String>, Vec<String>) {
    let kind = kinds().into_iter().find(|kind| kind.plural == plural).unwrap();
    let unknown = clean(&kind, value);
    let errors = object::validate(&kind, &kind.versions[0], value, None);
    (unknown, errors.iter().map(ToString::to_string).collect())
}

#[test]
fn every_kind_is_described_down_to_its_leaves() {
    fn walk(place: &str, schema: &Value, bare: &mut Vec<String>) {
        for (name, property) in schema["properties"].as_object().into_iter().flatten() {
            let place = format!("{place}.{name}");
            if name != "metadata" && property["description"].as_str().is_none_or(str::is_empty) {
                bare.push(place.clone());
            }
            walk(&place, property, bare);
            walk(&place, &property["items"], bare);
        }
    }
    let mut bare = Vec::new();
    for kind in kinds() {
        walk(&kind.kind, &kind.versions[0].openapi, &mut bare);
        assert!(kind.versions[0].openapi["description"].is_string(), "{}", kind.kind);
        assert!(!kind.versions[0].openapi.to_string().contains("$ref"), "{}", kind.kind);
        assert!(!kind.versions[0].openapi.to_string().contains("thecloud"), "{}", kind.kind);
    }
    assert_eq!(bare, [""; 0]);
}

#[test]
fn a_secrets_texts_become_data() {
    let mut secret =
        json!({"metadata": {"name": "s", "namespace": "d"}, "stringData": {"a": "hi"}, "data": {"b": "aGk="}});
    assert_eq!(taken("secrets", &mut secret), (vec![], vec![]));
    assert_eq!(secret["data"], json!({"a": "aGk=", "b": "aGk="}));
    assert_eq!(secret["type"], "Opaque");
    assert_eq!(secret.get("stringData"), None);
    let once = secret.clone();
    prepare(&find("", "secrets"), &mut secret);
    assert_eq!(secret, once);
}

#[test]
fn a_secret_holds_base64_under_good_keys() {
    let mut secret =
        json!({"metadata": {"name": "s", "namespace": "d"}, "data": {"a": "aGk=", "b c": "aGk="}, "bogus": 1});
    let (unknown, errors) = taken("secrets", &mut secret);
    assert_eq!(unknown, ["bogus"]);
    assert!(errors[0].starts_with("data[b c]: Invalid value: \"b c\": a valid config key must consist of"));
    let mut tls =
        json!({"metadata": {"name": "s", "namespace": "d"}, "type": "kubernetes.io/tls", "data": {"tls.crt": ""}});
    assert_eq!(taken("secrets", &mut tls).1, ["data[tls.key]: Required value"]);
    let kind = find("", "secrets");
    let garbage = json!({"metadata": {"name": "s", "namespace": "d"}, "data": {"a": "!"}});
    let error = object::check(&kind, &kind.versions[0], &garbage).unwrap_err();
    assert_eq!(error.message, "illegal base64 data at input byte 0");
}

#[test]
fn an_immutable_secret_stays() {
    let kind = find("", "secrets");
    let version = &kind.versions[0];
    let old = json!({"metadata": {"name": "s", "namespace": "d"}, "type": "Opaque", "immutable": true, "data": {"a": "aGk="}});
    let mut new = old.clone();
    assert_eq!(object::validate(&kind, version, &new, Some(&old)), []);
    new["data"]["a"] = "".into();
    new["type"] = "x".into();
    let errors: Vec<String> =
        object::validate(&kind, version, &new, Some(&old)).iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "type: Invalid value: \"x\": field is immutable",
            "data: Forbidden: field is immutable when `immutable` is set",
        ]
    );
}

#[test]
fn a_config_maps_texts_and_bytes_have_different_keys() {
    let mut map = json!({"metadata": {"name": "s", "namespace": "d"}, "data": {"a": "x"}, "binaryData": {"a": "aGk="}});
    assert_eq!(
        taken("configmaps", &mut map).1,
        ["data[a]: Invalid value: \"a\": duplicate of key present in binaryData"]
    );
}

#[test]
fn a_new_namespace_is_active_and_a_dying_one_is_left_alone() {
    let mut namespace = json!({"metadata": {"name": "a"}});
    assert_eq!(taken("namespaces", &mut namespace), (vec![], vec![]));
    assert_eq!(
        namespace,
        json!({
            "metadata": {"name": "a", "labels": {"kubernetes.io/metadata.name": "a"}},
            "spec": {"finalizers": ["kubernetes"]},
            "status": {"phase": "Active"},
        })
    );
    let mut own = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["example.com/f"]}});
    assert_eq!(taken("namespaces", &mut own), (vec![], vec![]));
    assert_eq!(own["spec"], json!({"finalizers": ["example.com/f", "kubernetes"]}), "it still stays until it is empty");
    let mut dying =
        json!({"metadata": {"name": "a", "deletionTimestamp": "t"}, "spec": {}, "status": {"phase": "Terminating"}});
    prepare(&find("", "namespaces"), &mut dying);
    assert_eq!(dying["spec"], json!({}));
    let mut dotted = json!({"metadata": {"name": "a.b"}});
    assert!(taken("namespaces", &mut dotted).1[0].contains("RFC 1123 label"));
}

#[test]
fn an_event_is_one_object_with_two_faces() {
    let (core, new) = (find("", "events"), find("events.k8s.io", "events"));
    assert_eq!(core.resource(), new.resource());
    let event = json!({
        "apiVersion": "events.k8s.io/v1", "kind": "Event", "metadata": {"name": "e", "namespace": "d"},
        "eventTime": "2026-01-02T03:04:05.000006Z", "reportingController": "c", "reportingInstance": "i", "action": "Start",
        "reason": "Started", "type": "Normal", "note": "It runs.", "regarding": {"kind": "Instance", "name": "web", "namespace": "d"},
        "series": {"count": 3, "lastObservedTime": "2026-01-02T03:05:05.000000Z"},
    });
    let mut cleaned = event.clone();
    assert_eq!(clean(&new, &mut cleaned), [""; 0]);
    assert_eq!(object::validate(&new, &new.versions[0], &cleaned, None), []);
    let mut stored = convert::to_storage(&new, cleaned);
    assert_eq!(stored["apiVersion"], "v1");
    assert_eq!(stored["involvedObject"]["name"], "web");
    assert_eq!(stored["message"], "It runs.");
    assert_eq!(stored["reportingComponent"], "c");
    assert_eq!(clean(&core, &mut stored), [""; 0]);
    let mut shown = event;
    shown["deprecatedSource"] = json!({});
    shown["deprecatedFirstTimestamp"] = Value::Null;
    shown["deprecatedLastTimestamp"] = Value::Null;
    assert_eq!(convert::from_storage(&new, &new.versions[0], stored, true), shown);
}

#[test]
fn an_events_columns_read_as_kubectl_shows_them() {
    let kind = find("", "events");
    let event = json!({
        "lastTimestamp": "2026-01-02T03:04:05Z", "type": "Normal", "reason": "Started", "message": "It runs.",
        "involvedObject": {"kind": "Instance", "name": "web"},
    });
    let cell = |name: &str| {
        let column = kind.versions[0].columns.iter().find(|column| column.name == name).unwrap();
        Computed::of(column).unwrap().cell(&event)
    };
    assert_eq!(cell("Last Seen"), "2026-01-02T03:04:05Z");
    assert_eq!(cell("Object"), "instance/web");
    let shown: Vec<&str> = kind.versions[0]
        .columns
        .iter()
        .filter(|column| column.priority == 0)
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(shown, ["Last Seen", "Type", "Reason", "Object", "Message"]);
}

#[test]
fn a_lease_takes_what_elections_write() {
    let mut lease = json!({
        "metadata": {"name": "l", "namespace": "d"},
        "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15, "acquireTime": "2026-01-02T03:04:05.000006Z", "renewTime": null, "leaseTransitions": 0},
    });
    assert_eq!(taken("leases", &mut lease), (vec![], vec![]));
    assert_eq!(lease["spec"].get("renewTime"), None);
}

#[test]
fn a_typo_in_a_definitions_schema_is_found() {
    let mut definition = json!({
        "metadata": {"name": "widgets.wire.example"},
        "spec": {
            "group": "wire.example", "scope": "Namespaced", "names": {"plural": "widgets", "kind": "Widget", "short": []},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": {
                "type": "object", "x-preserve-unknown-fields": true, "properties": {
                    "descriptoin": {"type": "string", "descriptoin": "x", "x-kubernetes-validations": [{"rule": "true", "massage": "m"}]},
                    "list": {"type": "array", "items": {"type": "string", "maxLenght": 3}},
                },
            }}}],
        },
    });
    let (unknown, errors) = taken("customresourcedefinitions", &mut definition);
    let base = "spec.versions[0].schema.openAPIV3Schema";
    assert_eq!(
        unknown,
        [
            "spec.names.short".to_owned(),
            format!("{base}.properties.descriptoin.descriptoin"),
            format!("{base}.properties.descriptoin.x-kubernetes-validations[0].massage"),
            format!("{base}.properties.list.items.maxLenght"),
            format!("{base}.x-preserve-unknown-fields"),
        ]
    );
    assert_eq!(errors, [""; 0]);
    assert_eq!(
        definition["spec"]["names"],
        json!({"kind": "Widget", "listKind": "WidgetList", "plural": "widgets", "singular": "widget"})
    );
    assert_eq!(definition["spec"]["conversion"], json!({"strategy": "None"}));
}
