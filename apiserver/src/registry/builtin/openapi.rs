//! Decides how the schemas of built-in kinds are made: from the k8s-openapi crate's types, with their descriptions,
//! brought into structural form.

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

/// The schema of a kind, inlined and structural.
pub(super) fn schema<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
        settings.transforms = Vec::new();
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    make_structural(&mut schema);
    if let Some(root) = schema.as_object_mut() {
        root.remove("definitions");
        if let Some(required) = root.get_mut("required").and_then(Value::as_array_mut) {
            required.retain(|name| name != "metadata");
        }
        if let Some(properties) = root.get_mut("properties").and_then(Value::as_object_mut) {
            for name in ["apiVersion", "kind"] {
                properties.remove(name);
            }
            // Metadata is the API's own, and every kind's is the same.
            properties.insert("metadata".to_owned(), json!({"type": "object"}));
        }
    }
    schema
}

/// What upstream says of the time at which an object was made.
pub(super) const CREATED: &str = "CreationTimestamp is a timestamp representing the server time when this object was \
    created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set \
    this value. It is represented in RFC3339 form and is in UTC.\n\nPopulated by the system. Read-only. Null for lists. \
    More info: https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md#metadata";

/// What a schema says of one of its fields.
pub(super) fn description(schema: &Value, properties: &[&str]) -> String {
    let place = properties.iter().try_fold(schema, |schema, name| schema["properties"].get(name));
    place.and_then(|place| place["description"].as_str()).unwrap_or_default().to_owned()
}

/// What the documents show: without our own mark.
pub(super) fn published(mut schema: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(map) => {
                map.remove(super::definition::JSON_SCHEMA);
                map.values_mut().for_each(walk);
            }
            Value::Array(list) => list.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut schema);
    schema
}

fn make_structural(value: &mut Value) {
    let Value::Object(map) = value else { return };
    for key in ["$schema", "title"] {
        map.remove(key);
    }
    // What refers to itself cannot be written out; what may be of several types has no structure.
    if map.contains_key("$ref") || map.contains_key("oneOf") {
        let description = map.remove("description");
        *map = Map::from_iter([("x-kubernetes-preserve-unknown-fields".to_owned(), true.into())]);
        map.extend(description.map(|text| ("description".to_owned(), text)));
        return;
    }
    for key in ["items", "additionalProperties"] {
        if let Some(child) = map.get_mut(key) {
            make_structural(child);
        }
    }
    if let Some(Value::Object(properties)) = map.get_mut("properties") {
        properties.values_mut().for_each(make_structural);
    }
    let has_type = map.contains_key("type") || map.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true));
    if !has_type {
        map.insert("x-kubernetes-preserve-unknown-fields".to_owned(), true.into());
    }
}

/// The schema where `required` only documents: the kind itself finds out what is missing, in words of its own.
pub(super) fn without_required(mut schema: Value) -> Value {
    fn walk(value: &mut Value) {
        match value {
            Value::Object(map) => {
                if map.get("required").is_some_and(Value::is_array) {
                    map.remove("required");
                }
                map.values_mut().for_each(walk);
            }
            Value::Array(list) => list.iter_mut().for_each(walk),
            _ => {}
        }
    }
    walk(&mut schema);
    schema
}

/// Makes a list one value: whoever sets an item owns all of it.
pub(super) fn set_atomic_list(schema: &mut Value, properties: &[&str]) {
    set(schema, properties, "x-kubernetes-list-type", "atomic".into());
}

/// Makes a map one value: whoever sets a field owns all of it.
pub(super) fn set_atomic_map(schema: &mut Value, properties: &[&str]) {
    set(schema, properties, "x-kubernetes-map-type", "atomic".into());
}

/// Sets a keyword at a place in a schema, given as the names of properties.
pub(super) fn set(schema: &mut Value, properties: &[&str], key: &str, value: Value) {
    let place = properties.iter().try_fold(schema, |schema, name| match *name {
        "[]" => schema.get_mut("items"),
        name => schema.get_mut("properties")?.get_mut(name),
    });
    if let Some(place) = place {
        place[key] = value;
    }
}
