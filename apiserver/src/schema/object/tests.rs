use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::registry::custom;

fn widgets() -> Kind {
    let definition = json!({
        "metadata": {"name": "widgets.wire.example", "uid": "u"},
        "spec": {
            "group": "wire.example",
            "names": {"plural": "widgets", "kind": "Widget"},
            "scope": "Namespaced",
            "versions": [{
                "name": "v1", "served": true, "storage": true,
                "subresources": {"scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.ready"}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {
                    "spec": {
                        "type": "object",
                        "required": ["color"],
                        "properties": {
                            "color": {"type": "string", "enum": ["red", "green", "blue"]},
                            "replicas": {"type": "integer", "format": "int32", "minimum": 0, "default": 1},
                            "note": {"type": "string", "nullable": true, "maxLength": 20},
                            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "properties": {
                                "known": {"type": "object", "properties": {"a": {"type": "string"}}},
                            }},
                            "ports": {"type": "array", "items": {"type": "object", "properties": {
                                "port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"},
                            }}},
                            "labels": {"type": "object", "additionalProperties": {"type": "string"}},
                            "template": {"type": "object", "x-kubernetes-embedded-resource": true, "properties": {
                                "spec": {"type": "object", "properties": {"x": {"type": "integer"}}},
                            }},
                        },
                        "x-kubernetes-validations": [{"rule": "self.replicas <= 100", "message": "at most 100 replicas"}],
                    },
                    "status": {"type": "object", "properties": {"ready": {"type": "integer"}}},
                }}},
            }],
        },
    });
    custom::kind(&definition).unwrap()
}

fn widget(name: &str, spec: Value) -> Value {
    json!({"apiVersion": "wire.example/v1", "kind": "Widget", "metadata": {"name": name, "namespace": "d"}, "spec": spec})
}

#[test]
fn several_errors_come_in_upstreams_order() {
    let kind = widgets();
    let errors = validate(&kind, &kind.versions[0], &widget("Z_", json!({"color": "purple", "replicas": -1})), None);
    let fields: Vec<&str> = errors.iter().map(|error| error.field.as_str()).collect();
    assert_eq!(fields, ["metadata.name", "spec.color", "spec.replicas", ".spec.replicas", "<nil>"]);
    let message = crate::error::ApiError::invalid("wire.example", "Widget", "Z_", &errors).message;
    assert!(message.ends_with(
        "spec.color: Unsupported value: \"purple\": supported values: \"red\", \"green\", \"blue\", \
         spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0, \
         .spec.replicas: Invalid value: -1: should be a non-negative integer, \
         <nil>: Invalid value: null: some validation rules were not checked because the object was invalid; \
         correct the existing errors to complete validation]"
    ));
}

#[test]
fn a_scale_that_is_no_number_is_told() {
    let kind = widgets();
    let errors = validate(&kind, &kind.versions[0], &widget("z", json!({"color": "red", "replicas": "three"})), None);
    assert!(errors.iter().any(|error| {
        error.to_string() == ".spec.replicas: Invalid value: 0: .spec.replicas accessor error: three is of the type string, expected int64"
    }));
}

#[test]
fn rules_run_where_errors_are_mild() {
    let kind = widgets();
    let errors = validate(&kind, &kind.versions[0], &widget("Z_", json!({"color": "red", "replicas": 101})), None);
    assert_eq!(errors.last().unwrap().to_string(), "spec: Invalid value: at most 100 replicas");
}

#[test]
fn unknown_fields_are_dropped_and_told_and_defaults_come() {
    let kind = widgets();
    let mut value = widget(
        "z",
        json!({
            "color": "red", "bogus": 1, "replicas": null, "note": null,
            "ports": [{"port": 1, "x": 2}],
            "free": {"any": {"thing": 1}, "known": {"a": "x", "b": 1}},
            "labels": {"a.b/c": "d", "none": null},
            "template": {"apiVersion": "v1", "kind": "T", "metadata": {"name": "t", "typo": 1}, "spec": {"x": 1, "y": 2}},
        }),
    );
    value["top"] = 1.into();
    value["metadata"]["bogus"] = 1.into();
    value["metadata"]["creationTimestamp"] = Value::Null;
    check(&kind, &kind.versions[0], &value).unwrap();
    let unknown = kind.versions[0].schema.prune(&mut value);
    complete(&kind, &kind.versions[0], &mut value);
    assert_eq!(
        unknown,
        [
            "metadata.bogus",
            "spec.bogus",
            "spec.free.known.b",
            "spec.ports[0].x",
            "spec.template.metadata.typo",
            "spec.template.spec.y",
            "top",
        ]
    );
    assert_eq!(
        value,
        widget(
            "z",
            json!({
                "color": "red", "replicas": 1, "note": null,
                "ports": [{"port": 1, "protocol": "TCP"}],
                "free": {"any": {"thing": 1}, "known": {"a": "x"}},
                "labels": {"a.b/c": "d"},
                "template": {"apiVersion": "v1", "kind": "T", "metadata": {"name": "t"}, "spec": {"x": 1}},
            })
        )
    );
    assert_eq!(validate(&kind, &kind.versions[0], &value, None), []);
}

#[test]
fn nothing_sent_panics_or_goes_unnoticed() {
    let kind = widgets();
    for mut value in
        [json!({}), json!({"metadata": null}), json!({"spec": 1}), json!({"spec": []}), json!([]), json!(null)]
    {
        let checked = check(&kind, &kind.versions[0], &value);
        complete(&kind, &kind.versions[0], &mut value);
        assert!(checked.is_err() || !validate(&kind, &kind.versions[0], &value, None).is_empty(), "{value}");
    }
}

/// Values of any shape under the names that the schema knows, and others.
fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-5_i64..200).prop_map(Value::from),
        "[a-z]{0,6}".prop_map(Value::from),
        Just(json!("red")),
        Just(json!(1.5)),
    ];
    let name = prop_oneof![
        Just("spec"),
        Just("color"),
        Just("replicas"),
        Just("note"),
        Just("free"),
        Just("known"),
        Just("ports"),
        Just("port"),
        Just("labels"),
        Just("template"),
        Just("metadata"),
        Just("bogus"),
        Just("a"),
    ];
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(name.clone().prop_map(str::to_owned), inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn pruning_and_defaulting_twice_change_nothing_more(spec in any_value()) {
        let kind = Arc::new(widgets());
        let schema = &kind.versions[0].schema;
        let mut value = widget("z", spec);
        let _ = schema.prune(&mut value);
        schema.default(&mut value);
        let once = value.clone();
        prop_assert_eq!(schema.prune(&mut value), Vec::<String>::new());
        schema.default(&mut value);
        prop_assert_eq!(value, once);
    }

    #[test]
    fn a_valid_object_stays_valid_and_an_unchanged_one_is_never_refused(spec in any_value()) {
        let kind = widgets();
        let version = &kind.versions[0];
        let mut value = widget("z", spec);
        let _ = version.schema.prune(&mut value);
        let before = validate(&kind, version, &value, None);
        let mut defaulted = value.clone();
        version.schema.default(&mut defaulted);
        if before.is_empty() {
            prop_assert_eq!(validate(&kind, version, &defaulted, None), Vec::new());
        }
        prop_assert_eq!(version.schema.validate(&defaulted, Some(&defaulted)), Vec::new());
    }
}
