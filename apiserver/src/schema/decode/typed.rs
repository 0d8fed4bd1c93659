//! Decides whether the JSON of a built-in kind has the types of its fields, and words what has not as Go's decoder does,
//! because that is what tools have seen. Upstream knows these kinds as structs: what does not fit cannot be decoded,
//! before anything is validated.

use jiff::Timestamp;
use serde_json::Value;

use super::protobuf::tables::{Field, Holds, Message, Shape, Tables};
use crate::quota::{self, Quantity};
use crate::schema::words;

/// Whether upstream has such a kind, as far as anybody here knows.
#[must_use]
pub fn is_known(api_version: &str, kind: &str) -> bool {
    // Kinds that are not served here, but that everybody has manifests of.
    const ELSEWHERE: [(&str, &str); 8] = [
        ("v1", "Pod"),
        ("v1", "Service"),
        ("v1", "Node"),
        ("v1", "PersistentVolumeClaim"),
        ("apps/v1", "Deployment"),
        ("apps/v1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("batch/v1", "Job"),
    ];
    Tables::get().of_kind(api_version, kind).is_some() || ELSEWHERE.contains(&(api_version, kind))
}

/// What Go's decoder says of the first value that does not fit; `None` where all do, and for kinds that nobody knows.
/// Metadata is left to the check that all kinds share.
#[must_use]
pub fn mismatch(api_version: &str, kind: &str, value: &Value) -> Option<String> {
    let tables = Tables::get();
    let mut checker = Checker { tables, path: String::new() };
    checker.fields(kind, tables.of_kind(api_version, kind)?, value)
}

struct Checker {
    tables: &'static Tables,
    /// Where we are, without keys of maps and indexes.
    path: String,
}

impl Checker {
    fn fields(&mut self, owner: &str, message: &Message, value: &Value) -> Option<String> {
        for (name, value) in value.as_object()? {
            let Some(field) = message.named(name) else { continue };
            if field.shape == Shape::Message("ObjectMeta") {
                continue;
            }
            let length = self.path.len();
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(name);
            let found = self.field(owner, field, value);
            self.path.truncate(length);
            if found.is_some() {
                return found;
            }
        }
        None
    }

    fn field(&mut self, owner: &str, field: &Field, value: &Value) -> Option<String> {
        match (field.holds, value) {
            (_, Value::Null) => None,
            (Holds::One, value) => self.value(owner, field, value),
            (Holds::List, Value::Array(list)) => list.iter().find_map(|value| self.value(owner, field, value)),
            (Holds::Map, Value::Object(map)) => map.values().find_map(|value| self.value(owner, field, value)),
            (Holds::List, other) => Some(self.wrong(owner, &format!("[]{}", self.go_type(field)), other)),
            (Holds::Map, other) => Some(self.wrong(owner, &format!("map[string]{}", self.go_type(field)), other)),
        }
    }

    fn value(&mut self, owner: &str, field: &Field, value: &Value) -> Option<String> {
        let shape = field.shape;
        match (shape, value) {
            (_, Value::Null)
            | (Shape::Json, _)
            | (Shape::Text, Value::String(_))
            | (Shape::Bool, Value::Bool(_))
            | (Shape::Double, Value::Number(_)) => None,
            (Shape::Bytes, Value::String(text)) => {
                let place = illegal_base64(text.as_bytes())?;
                Some(format!("illegal base64 data at input byte {place}"))
            }
            (Shape::Int32, Value::Number(number)) if number.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => None,
            (Shape::Int64, Value::Number(number)) if number.as_i64().is_some() => None,
            (Shape::Time | Shape::MicroTime, Value::String(text)) => {
                let layout =
                    if shape == Shape::Time { "2006-01-02T15:04:05Z07:00" } else { "2006-01-02T15:04:05.000000Z07:00" };
                let quoted = words::quoted(text);
                let is_time = text.parse::<Timestamp>().is_ok();
                (!is_time).then(|| format!("parsing time {quoted} as \"{layout}\": cannot parse {quoted} as \"2006\""))
            }
            (Shape::Time | Shape::MicroTime, other) => {
                Some(format!("json: cannot unmarshal {} into Go value of type string", words::go_kind(other)))
            }
            (Shape::Message(name), value) => {
                let message = self.tables.message(name)?;
                match value {
                    _ if name == "Quantity" => Quantity::of(value).is_none().then(|| quota::MALFORMED.to_owned()),
                    // What is one value in JSON is read by a function of its own.
                    _ if message.is_one_value => None,
                    Value::Object(_) => self.fields(message.go_name, message, value),
                    other => Some(self.wrong(owner, &self.go_type(field), other)),
                }
            }
            (_, other) => Some(self.wrong(owner, &self.go_type(field), other)),
        }
    }

    fn go_type(&self, field: &Field) -> String {
        match field.shape {
            Shape::Text if field.go_type.is_some() => field.go_type.unwrap_or_default().to_owned(),
            Shape::Text => "string".to_owned(),
            Shape::Bytes => "[]uint8".to_owned(),
            Shape::Bool => "bool".to_owned(),
            Shape::Int32 => "int32".to_owned(),
            Shape::Int64 => "int64".to_owned(),
            Shape::Double => "float64".to_owned(),
            Shape::Json => "v1.JSON".to_owned(),
            Shape::Time => "v1.Time".to_owned(),
            Shape::MicroTime => "v1.MicroTime".to_owned(),
            Shape::Message(name) => format!("v1.{}", self.tables.message(name).map_or(name, |message| message.go_name)),
        }
    }

    fn wrong(&self, owner: &str, type_: &str, value: &Value) -> String {
        words::go_mismatch(value, owner, &self.path, type_)
    }
}

/// Where Go's decoder gives up on base64, if it does.
fn illegal_base64(text: &[u8]) -> Option<usize> {
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    let is_break = |byte: u8| matches!(byte, b'\r' | b'\n');
    let mut digits = 0;
    let mut at = 0;
    while let Some(&byte) = text.get(at) {
        at += 1;
        if is_break(byte) {
            continue;
        }
        if is_digit(byte) {
            digits += 1;
            continue;
        }
        // Padding ends the text, and only after two or three digits of a group.
        let place = digits % 4;
        if byte != b'=' || place < 2 {
            return Some(at - 1);
        }
        let skipped = |at: usize| at + text[at..].iter().take_while(|byte| is_break(**byte)).count();
        if place == 2 {
            at = skipped(at);
            match text.get(at) {
                None => return Some(text.len()),
                Some(b'=') => at += 1,
                Some(_) => return Some(at - 1),
            }
        }
        at = skipped(at);
        return (at < text.len()).then_some(at);
    }
    let place = digits % 4;
    (place != 0).then(|| text.len() - place)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_other_types_are_named_as_go_names_them() {
        let field = |value, field, type_| {
            format!("json: cannot unmarshal {value} into Go struct field {field} of type {type_}")
        };
        for (version, kind, value, expected) in [
            ("v1", "ConfigMap", json!({"data": {"a": 1}}), field("number", "ConfigMap.data", "string")),
            ("v1", "ConfigMap", json!({"data": {"a": true}}), field("bool", "ConfigMap.data", "string")),
            ("v1", "ConfigMap", json!({"data": []}), field("array", "ConfigMap.data", "map[string]string")),
            ("v1", "Secret", json!({"immutable": "yes"}), field("string", "Secret.immutable", "bool")),
            ("v1", "Secret", json!({"type": 1}), field("number", "Secret.type", "v1.SecretType")),
            (
                "v1",
                "Namespace",
                json!({"spec": {"finalizers": "x"}}),
                field("string", "NamespaceSpec.spec.finalizers", "[]v1.FinalizerName"),
            ),
            (
                "meta.k8s.io/v1",
                "DeleteOptions",
                json!({"propagationPolicy": 1}),
                field("number", "DeleteOptions.propagationPolicy", "v1.DeletionPropagation"),
            ),
            (
                "apiextensions.k8s.io/v1",
                "CustomResourceDefinition",
                json!({"spec": {"names": []}}),
                field("array", "CustomResourceDefinitionSpec.spec.names", "v1.CustomResourceDefinitionNames"),
            ),
            ("v1", "Namespace", json!({"spec": "x"}), field("string", "Namespace.spec", "v1.NamespaceSpec")),
            (
                "coordination.k8s.io/v1",
                "Lease",
                json!({"spec": {"leaseDurationSeconds": 1.5}}),
                field("number 1.5", "LeaseSpec.spec.leaseDurationSeconds", "int32"),
            ),
        ] {
            assert_eq!(mismatch(version, kind, &value).unwrap(), expected);
        }
        let good = json!({"metadata": {"name": 1}, "data": {"a": "b"}, "immutable": null, "unknown": 1});
        assert_eq!(mismatch("v1", "ConfigMap", &good), None);
        assert_eq!(mismatch("v1", "Unknown", &good), None);
    }

    #[test]
    fn base64_is_judged_where_go_stops_reading() {
        for text in ["", "aGk=", "aGkK", "aA==", "aG\nkK", "aGk=\n"] {
            assert_eq!(illegal_base64(text.as_bytes()), None, "{text}");
        }
        for (text, place) in [("!", 0), ("aGk", 0), ("aGkKa", 4), ("aG!k", 2), ("aGk=x", 4), ("aA=x", 2), ("aA=", 3)] {
            assert_eq!(illegal_base64(text.as_bytes()), Some(place), "{text}");
        }
        let secret = json!({"data": {"a": "not base64"}});
        assert_eq!(mismatch("v1", "Secret", &secret).unwrap(), "illegal base64 data at input byte 3");
    }
}
