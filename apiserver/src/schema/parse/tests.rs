use serde_json::json;

use super::*;

fn errors(schema: Value) -> Vec<String> {
    parse(&schema).map(|_| Vec::new()).unwrap_or_else(|errors| errors.iter().map(ToString::to_string).collect())
}

/// The errors of one field's schema, without the path to it.
fn field(schema: Value) -> Vec<String> {
    let errors = errors(json!({"type": "object", "properties": {"x": schema}}));
    errors.into_iter().map(|error| error.replace("properties[x].", "")).collect()
}

#[test]
fn a_structural_schema_is_accepted() {
    let schema = json!({
        "type": "object",
        "description": "d",
        "properties": {
            "metadata": {"type": "object", "properties": {"name": {"type": "string", "maxLength": 10}}},
            "spec": {
                "type": "object",
                "properties": {
                    "either": {"x-kubernetes-int-or-string": true, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "free": {"x-kubernetes-preserve-unknown-fields": true},
                    "map": {"type": "object", "additionalProperties": {"type": "string"}},
                    "list": {"type": "array", "items": {"type": "string"}},
                },
                "oneOf": [{"required": ["either"]}, {"properties": {"map": {"minProperties": 1}}}],
            },
        },
    });
    assert_eq!(errors(schema), [""; 0]);
}

#[test]
fn every_value_needs_a_type() {
    assert_eq!(field(json!({})), ["type: Required value: must not be empty for specified object fields"]);
    assert_eq!(
        field(json!({"type": "array", "items": {}})),
        ["items.type: Required value: must not be empty for specified array items"]
    );
    assert_eq!(errors(json!({})), ["type: Required value: must not be empty at the root"]);
    assert_eq!(errors(json!({"type": "string"})), ["type: Invalid value: \"string\": must be object at the root"]);
    assert_eq!(
        field(json!({"type": "text"})),
        [
            "type: Unsupported value: \"text\": supported values: \"array\", \"boolean\", \"integer\", \"number\", \"object\", \"string\"",
            "type: Required value: must not be empty for specified object fields"
        ]
    );
}

#[test]
fn properties_and_additional_properties_exclude_each_other() {
    let both = |more: Value| {
        field(json!({"type": "object", "properties": {"a": {"type": "string"}}, "additionalProperties": more}))
    };
    let refused = ["additionalProperties: Forbidden: additionalProperties and properties are mutual exclusive"];
    assert_eq!(both(json!({"type": "string"})), refused);
    assert_eq!(both(json!(false)), refused);
    assert_eq!(both(json!(true)), [""; 0]);
    assert_eq!(field(json!({"type": "object", "additionalProperties": false})), [""; 0]);
}

#[test]
fn junctors_hold_value_validations_of_declared_fields_only() {
    assert_eq!(
        field(json!({"type": "object", "anyOf": [{"type": "object", "description": "d"}]})),
        [
            "anyOf[0].type: Forbidden: must be empty to be structural",
            "anyOf[0].description: Forbidden: must be empty to be structural",
        ]
    );
    assert_eq!(
        field(json!({"type": "object", "not": {"properties": {"a": {"minimum": 1}}}})),
        ["properties[a]: Required value: because it is defined in not.properties[a]"]
    );
}

#[test]
fn metadata_can_only_narrow_the_name() {
    let schema = json!({"type": "object", "properties": {
        "metadata": {"type": "object", "properties": {"labels": {"type": "object"}}},
    }});
    assert_eq!(
        errors(schema),
        [
            "properties[metadata]: Forbidden: must not specify anything other than name and generateName, but metadata is implicitly specified"
        ]
    );
}

#[test]
fn unsupported_keywords_are_refused() {
    for key in ["$ref", "definitions", "dependencies", "patternProperties", "additionalItems"] {
        let errors = field(json!({"type": "object", key: {}}));
        assert_eq!(errors, [format!("{key}: Forbidden: {key} is not supported")]);
    }
    assert!(
        field(json!({"type": "array", "items": {"type": "string"}, "uniqueItems": true}))[0]
            .starts_with("uniqueItems: Forbidden")
    );
}

#[test]
fn keywords_of_the_wrong_type_and_bad_patterns_are_refused() {
    assert_eq!(
        field(json!({"type": "string", "maxLength": "x"})),
        ["maxLength: Invalid value: \"x\": must be a non-negative integer"]
    );
    let errors = field(json!({"type": "string", "pattern": "(?=a)"}));
    assert!(
        errors[0].starts_with("pattern: Invalid value: \"(?=a)\": must be a valid regular expression, but isn't: "),
        "{errors:?}"
    );
    assert!(!errors[0].contains('\n'));
}

#[test]
fn list_maps_name_required_scalar_keys() {
    let list = |keys: Value, item: Value| {
        field(json!({
            "type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": keys,
            "items": {"type": "object", "properties": {"k": item}},
        }))
    };
    assert_eq!(
        list(json!(["k"]), json!({"type": "string"})),
        [
            "items.properties[k].default: Required value: this property is in x-kubernetes-list-map-keys, so it must have a default or be a required property"
        ]
    );
    assert_eq!(list(json!(["k"]), json!({"type": "string", "default": "x"})), [""; 0]);
    assert_eq!(
        list(json!([]), json!({"type": "string"})),
        ["x-kubernetes-list-map-keys: Required value: must not be empty if x-kubernetes-list-type is map"]
    );
    assert_eq!(
        list(json!(["z"]), json!({"type": "string"})),
        ["x-kubernetes-list-map-keys: Invalid value: [\"z\"]: entries must all be names of item properties"]
    );
    assert_eq!(
        field(json!({"type": "string", "x-kubernetes-list-type": "set"})),
        ["type: Invalid value: \"string\": must be array if x-kubernetes-list-type is specified"]
    );
}

#[test]
fn defaults_must_be_valid_themselves() {
    assert_eq!(
        field(json!({"type": "integer", "minimum": 1, "default": 0})),
        ["default: Invalid value: 0: properties[x].default in body should be greater than or equal to 1"
            .replace("properties[x].", "")]
    );
    let unknown = json!({"type": "object", "properties": {"a": {"type": "string"}}, "default": {"b": 1}});
    assert!(field(unknown)[0].starts_with("default: Invalid value: {\"b\":1}: must not have unknown fields"));
}

#[test]
fn a_schema_that_nests_without_end_is_refused() {
    let mut schema = json!({"type": "string"});
    for _ in 0..200 {
        schema = json!({"type": "array", "items": schema});
    }
    assert!(field(schema).iter().any(|error| error.contains("must not nest deeper")));
}
