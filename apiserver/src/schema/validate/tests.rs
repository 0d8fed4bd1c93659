use serde_json::json;

use super::super::parse::parse;
use super::*;

fn schema(spec: Value) -> Node {
    parse(&json!({"type": "object", "properties": {"spec": spec}})).unwrap()
}

fn check(spec: Value, value: Value) -> Vec<String> {
    let value = json!({"spec": value});
    errors(&schema(spec), &value, None).iter().map(ToString::to_string).collect()
}

#[test]
fn errors_read_as_the_recorded_server_words_them() {
    let spec = json!({
        "type": "object",
        "required": ["color"],
        "properties": {
            "color": {"type": "string", "enum": ["red", "green", "blue"]},
            "replicas": {"type": "integer", "minimum": 0},
            "note": {"type": "string", "nullable": true, "maxLength": 20},
            "tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
            "ports": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["port"],
                "items": {"type": "object", "required": ["port"], "properties": {"port": {"type": "integer"}, "name": {"type": "string"}}}},
        },
    });
    let cases = [
        (
            json!({"color": "purple"}),
            r#"spec.color: Unsupported value: "purple": supported values: "red", "green", "blue""#,
        ),
        (json!({}), "spec.color: Required value"),
        (
            json!({"color": "red", "replicas": "three"}),
            r#"spec.replicas: Invalid value: "string": spec.replicas in body must be of type integer: "string""#,
        ),
        (
            json!({"color": "red", "replicas": -1}),
            "spec.replicas: Invalid value: -1: spec.replicas in body should be greater than or equal to 0",
        ),
        (json!({"color": "red", "note": "x".repeat(21)}), "spec.note: Too long: may not be more than 20 bytes"),
        (
            json!({"color": "red", "ports": [{"port": 1}, {"port": 1, "name": "x"}]}),
            r#"spec.ports[1]: Duplicate value: {"port":1}"#,
        ),
        (json!({"color": "red", "tags": ["a", "a"]}), r#"spec.tags[1]: Duplicate value: "a""#),
        (
            json!({"color": null}),
            r#"spec.color: Invalid value: "null": spec.color in body must be of type string: "null""#,
        ),
    ];
    for (value, expected) in cases {
        assert!(
            check(spec.clone(), value.clone()).contains(&expected.to_owned()),
            "{value}: {:?}",
            check(spec.clone(), value.clone())
        );
    }
    assert_eq!(check(spec, json!({"color": "red", "note": null, "replicas": 1.0})), [""; 0]);
}

#[test]
fn limits_are_told_as_upstream_tells_them() {
    let cases = [
        (
            json!({"type": "number", "maximum": 5, "exclusiveMaximum": true}),
            json!(5),
            "5: spec in body should be less than 5",
        ),
        (json!({"type": "number", "maximum": 5}), json!(5.5), "5.5: spec in body should be less than or equal to 5"),
        (
            json!({"type": "number", "minimum": 5, "exclusiveMinimum": true}),
            json!(5),
            "5: spec in body should be greater than 5",
        ),
        (json!({"type": "integer", "multipleOf": 3}), json!(4), "4: spec in body should be a multiple of 3"),
        (json!({"type": "string", "minLength": 2}), json!("ä"), "\"ä\": spec in body should be at least 2 chars long"),
        (json!({"type": "string", "pattern": "^a+$"}), json!("b"), "\"b\": spec in body should match '^a+$'"),
        (json!({"type": "string", "format": "ipv4"}), json!("b"), "\"b\": spec in body must be of type ipv4: \"b\""),
        (
            json!({"type": "array", "items": {"type": "string"}, "minItems": 1}),
            json!([]),
            "0: spec in body should have at least 1 items",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}, "minProperties": 1}),
            json!({}),
            "0: spec in body should have at least 1 properties",
        ),
    ];
    for (schema, value, expected) in cases {
        assert_eq!(check(schema, value), [format!("spec: Invalid value: {expected}")]);
    }
    assert_eq!(
        check(json!({"type": "array", "items": {"type": "string"}, "maxItems": 1}), json!(["a", "b"])),
        ["spec: Too many: 2: must have at most 1 item"]
    );
}

#[test]
fn lengths_count_characters() {
    assert_eq!(check(json!({"type": "string", "maxLength": 2}), json!("äö")), [""; 0]);
}

#[test]
fn an_int_or_string_is_either() {
    let schema = json!({"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]});
    assert_eq!(check(schema.clone(), json!(5)), [""; 0]);
    assert_eq!(check(schema.clone(), json!("50%")), [""; 0]);
    assert!(check(schema, json!(true))[0].contains("must be of type integer,string: \"boolean\""));
}

#[test]
fn junctors_are_told_with_what_is_lacking() {
    let schema = |junctor: &str, alternatives: Value| json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}, junctor: alternatives});
    let either = json!([{"required": ["a"]}, {"required": ["b"]}]);
    assert_eq!(
        check(schema("oneOf", either.clone()), json!({})),
        [
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found none valid"#,
            "spec.a: Required value",
        ]
    );
    assert_eq!(
        check(schema("oneOf", either.clone()), json!({"a": 1, "b": 1})),
        [
            r#"<nil>: Invalid value: "": "spec" must validate one and only one schema (oneOf). Found 2 valid alternatives"#
        ]
    );
    assert_eq!(check(schema("oneOf", either.clone()), json!({"a": 1})), [""; 0]);
    assert_eq!(
        check(schema("anyOf", either.clone()), json!({})),
        [r#"<nil>: Invalid value: "": "spec" must validate at least one schema (anyOf)"#, "spec.a: Required value"]
    );
    assert_eq!(
        check(schema("allOf", either), json!({"a": 1})),
        [r#"<nil>: Invalid value: "": "spec" must validate all the schemas (allOf)"#, "spec.b: Required value"]
    );
    assert_eq!(
        check(schema("not", json!({"required": ["a"]})), json!({"a": 1})),
        [r#"<nil>: Invalid value: "": "spec" must not validate the schema (not)"#]
    );
}

#[test]
fn an_embedded_object_says_what_it_is() {
    let schema =
        json!({"type": "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true});
    assert_eq!(check(schema.clone(), json!({"apiVersion": "v1", "kind": "Pod"})), [""; 0]);
    assert_eq!(check(schema, json!({"apiVersion": "v1"})), ["spec.kind: Required value"]);
}

#[test]
fn what_was_wrong_before_and_is_unchanged_is_tolerated() {
    let node = schema(json!({
        "type": "object",
        "properties": {
            "a": {"type": "integer", "minimum": 5},
            "b": {"type": "integer", "minimum": 5},
            "list": {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["k"], "items": {
                "type": "object", "required": ["k"], "properties": {"k": {"type": "string"}, "v": {"type": "integer", "minimum": 5}},
            }},
        },
    }));
    let old = json!({"spec": {"a": 1, "b": 1, "list": [{"k": "x", "v": 1}, {"k": "y", "v": 1}]}});
    let new = json!({"spec": {"a": 1, "b": 2, "list": [{"k": "y", "v": 1}, {"k": "x", "v": 2}]}});
    let found: Vec<String> = errors(&node, &new, Some(&old)).into_iter().map(|error| error.field).collect();
    assert_eq!(found, ["spec.b", "spec.list[1].v"]);
    assert_eq!(errors(&node, &new, None).len(), 4);
}
