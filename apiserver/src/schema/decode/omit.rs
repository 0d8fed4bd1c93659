//! Decides how the fields of a built-in kind are written: empty ones are left out, times have one form. Upstream writes
//! these kinds from structs, and a struct can't tell an empty text, list or map from none.

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::protobuf::tables::{Field, Holds, Message, Shape, Tables};
use crate::clock::{micro_seconds, whole_seconds};

/// Drops what is empty from an object of a built-in kind; nothing of one that nobody knows.
pub fn omit_empty(api_version: &str, kind: &str, object: &mut Value) {
    let tables = Tables::get();
    if let (Some(message), Some(map)) = (tables.of_kind(api_version, kind), object.as_object_mut()) {
        walk(tables, message, map);
    }
}

/// Drops what is empty from the metadata of an object of any kind.
pub fn omit_empty_metadata(metadata: &mut Map<String, Value>) {
    let tables = Tables::get();
    if let Some(message) = tables.message("ObjectMeta") {
        walk(tables, message, metadata);
    }
}

fn walk(tables: &Tables, message: &Message, map: &mut Map<String, Value>) {
    map.retain(|name, value| {
        let Some(field) = message.named(name) else { return true };
        inside(tables, field, value);
        !is_omitted(field, value)
    });
}

fn inside(tables: &Tables, field: &Field, value: &mut Value) {
    let name = match field.shape {
        Shape::Message(name) => name,
        Shape::Time => return time(value, whole_seconds),
        Shape::MicroTime => return time(value, micro_seconds),
        _ => return,
    };
    let Some(message) = tables.message(name).filter(|message| !message.is_one_value) else { return };
    let values: Vec<&mut Value> = match (field.holds, value) {
        (Holds::One, value) => vec![value],
        (Holds::List, Value::Array(list)) => list.iter_mut().collect(),
        (Holds::Map, Value::Object(map)) => map.values_mut().collect(),
        _ => Vec::new(),
    };
    for map in values.into_iter().filter_map(Value::as_object_mut) {
        walk(tables, message, map);
    }
}

/// Writes a time in the one form that its type has. What is none stays, and is refused elsewhere.
fn time(value: &mut Value, form: fn(Timestamp) -> String) {
    if let Some(time) = value.as_str().and_then(|text| text.parse().ok()) {
        *value = form(time).into();
    }
}

fn is_omitted(field: &Field, value: &Value) -> bool {
    if field.keeps_zero {
        return false;
    }
    match (field.holds, &field.shape, value) {
        (Holds::List, _, Value::Array(list)) => list.is_empty(),
        (Holds::Map, _, Value::Object(map)) => map.is_empty(),
        (Holds::One, Shape::Text, Value::String(text)) => text.is_empty(),
        (Holds::One, Shape::Bool, Value::Bool(flag)) => !flag,
        (Holds::One, Shape::Int32 | Shape::Int64 | Shape::Double, Value::Number(number)) => {
            number.as_f64() == Some(0.0)
        }
        // Any other value is a pointer, a time, or JSON that may be anything, such as a default.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn empty_fields_go_unless_a_pointer_or_their_kind_keeps_them() {
        let mut object = json!({
            "metadata": {"name": "c", "labels": {}, "generateName": "", "finalizers": ["a/b"]},
            "data": {}, "binaryData": {"a": ""}, "immutable": false,
        });
        omit_empty("v1", "ConfigMap", &mut object);
        let kept = json!({
            "metadata": {"name": "c", "finalizers": ["a/b"]}, "binaryData": {"a": ""}, "immutable": false,
        });
        assert_eq!(object, kept);
        let mut event = json!({
            "count": 0, "involvedObject": {"name": "", "kind": "X"},
            "eventTime": "2026-01-02T03:04:05Z", "lastTimestamp": "2026-01-02T04:04:05.5+01:00",
        });
        omit_empty("v1", "Event", &mut event);
        let kept = json!({
            "involvedObject": {"kind": "X"},
            "eventTime": "2026-01-02T03:04:05.000000Z", "lastTimestamp": "2026-01-02T03:04:05Z",
        });
        assert_eq!(event, kept);
        let defaults = json!({"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": {
            "a": {"default": false}, "b": {"default": 0}, "c": {"default": ""}, "d": {"default": []}, "e": {"minimum": 0},
        }}}}]}});
        let mut definition = defaults.clone();
        omit_empty("apiextensions.k8s.io/v1", "CustomResourceDefinition", &mut definition);
        assert_eq!(definition, defaults);
        let mut other = json!({"data": {}});
        omit_empty("example.com/v1", "Widget", &mut other);
        assert_eq!(other, json!({"data": {}}));
    }
}
