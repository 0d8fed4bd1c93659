//! Decides how the schema of a declared kind is published: what the `x-kubernetes-` words mean is also said in plain
//! OpenAPI, for clients that don't know them.

use serde_json::{Map, Value, json};

use super::schemas::{OBJECT_META, described_reference, text};

const API_VERSION: &str = "apiVersion defines the versioned schema of this representation of an object. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#resources";
const KIND: &str = "kind is a string value representing the type of this object. In CamelCase. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#types-kinds";
pub(super) const METADATA: &str = "Standard object's metadata. More info: \
    https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// A schema as it was declared, with what its extensions mean written out.
pub(super) fn published(schema: &Value) -> Value {
    let Some(fields) = schema.as_object() else { return schema.clone() };
    let mut shown = Map::new();
    for (key, value) in fields {
        let value = match key.as_str() {
            // Where the schema comes from says nothing about it.
            "$schema" | "id" => continue,
            "items" | "additionalProperties" => published(value),
            "properties" => {
                value.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), published(value))).collect()
            }
            _ => value.clone(),
        };
        shown.insert(key.clone(), value);
    }
    if is_set(fields, "x-kubernetes-int-or-string") {
        say_either(&mut shown);
    }
    if is_set(fields, "x-kubernetes-embedded-resource") {
        add_resource(&mut shown);
    }
    Value::Object(shown)
}

/// Whether an extension is switched on.
pub(super) fn is_set(schema: &Map<String, Value>, extension: &str) -> bool {
    schema.get(extension) == Some(&Value::Bool(true))
}

/// Says that a value is an integer or a string, unless the author did.
fn say_either(schema: &mut Map<String, Value>) {
    let either = json!([{"type": "integer"}, {"type": "string"}]);
    let says_either = |value: &Value| value.get("anyOf") == Some(&either);
    let said = schema.get("anyOf") == Some(&either)
        || schema.get("allOf").and_then(Value::as_array).is_some_and(|all| all.first().is_some_and(says_either));
    if said {
        return;
    }
    if !schema.contains_key("anyOf") {
        schema.insert("anyOf".into(), either);
    } else if let Value::Array(all) = schema.entry("allOf").or_insert_with(|| Value::Array(Vec::new())) {
        all.insert(0, json!({"anyOf": either}));
    }
}

/// Describes what every object has.
fn add_resource(schema: &mut Map<String, Value>) {
    if let Value::Object(properties) = schema.entry("properties").or_insert_with(|| Value::Object(Map::new())) {
        properties.insert("apiVersion".into(), text(API_VERSION));
        properties.insert("kind".into(), text(KIND));
        properties.insert("metadata".into(), described_reference(METADATA, OBJECT_META));
    }
    if let Value::Array(required) = schema.entry("required").or_insert_with(|| Value::Array(Vec::new())) {
        for name in ["kind", "apiVersion"] {
            if !required.iter().any(|known| known == name) {
                required.push(name.into());
            }
        }
    }
}
