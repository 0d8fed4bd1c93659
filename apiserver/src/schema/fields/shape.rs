//! Decides whether metadata has the JSON types of `ObjectMeta`; if not, the body cannot be decoded at all. The sentences
//! are those of Go's JSON decoder, because that is what tools have seen.

use serde_json::Value;

use crate::error::{ApiError, FieldError};
use crate::schema::{metadata, validate, words};

/// A field's type in Go.
#[derive(Clone, Copy)]
enum Shape {
    Text(&'static str),
    Integer,
    Flag,
    Texts,
    TextMap,
    Time,
    Raw,
    /// A list of structs.
    Structs(&'static str, &'static [(&'static str, Shape)]),
}

const TEXT: Shape = Shape::Text("string");

const OWNER: [(&str, Shape); 6] = [
    ("apiVersion", TEXT),
    ("blockOwnerDeletion", Shape::Flag),
    ("controller", Shape::Flag),
    ("kind", TEXT),
    ("name", TEXT),
    ("uid", Shape::Text("types.UID")),
];
const MANAGED: [(&str, Shape); 7] = [
    ("apiVersion", TEXT),
    ("fieldsType", TEXT),
    ("fieldsV1", Shape::Raw),
    ("manager", TEXT),
    ("operation", Shape::Text("v1.ManagedFieldsOperationType")),
    ("subresource", TEXT),
    ("time", Shape::Time),
];
const METADATA: [(&str, Shape); 15] = [
    ("annotations", Shape::TextMap),
    ("creationTimestamp", Shape::Time),
    ("deletionGracePeriodSeconds", Shape::Integer),
    ("deletionTimestamp", Shape::Time),
    ("finalizers", Shape::Texts),
    ("generateName", TEXT),
    ("generation", Shape::Integer),
    ("labels", Shape::TextMap),
    ("managedFields", Shape::Structs("ManagedFieldsEntry", &MANAGED)),
    ("name", TEXT),
    ("namespace", TEXT),
    ("ownerReferences", Shape::Structs("OwnerReference", &OWNER)),
    ("resourceVersion", TEXT),
    ("selfLink", TEXT),
    ("uid", Shape::Text("types.UID")),
];

/// Refuses metadata whose fields have the wrong JSON types. Nulls count as absent.
///
/// # Errors
/// 400 with the first such field.
pub fn check_shape(value: &Value, is_typed: bool) -> Result<(), ApiError> {
    // Metadata is a field of a struct where the whole kind is one.
    let base = if is_typed { "metadata" } else { "" };
    match value.get("metadata").and_then(|metadata| mismatch(metadata, base)) {
        Some(sentence) => Err(ApiError::bad_request(sentence)),
        None => Ok(()),
    }
}

/// What Go's decoder says of the first field of metadata that has the wrong JSON type. Fields are shown below `base`.
pub(super) fn mismatch(metadata: &Value, base: &str) -> Option<String> {
    let mut checker = Checker { path: base.to_owned(), found: None };
    match metadata {
        Value::Null => {}
        Value::Object(_) => checker.fields("ObjectMeta", &METADATA, metadata),
        other => {
            return Some(format!(
                "json: cannot unmarshal {} into Go value of type v1.ObjectMeta",
                words::go_kind(other)
            ));
        }
    }
    checker.found
}

/// The fields of metadata that have the wrong JSON type.
pub(super) fn errors(value: &Value) -> Vec<FieldError> {
    let Some(metadata) = value.get("metadata").filter(|metadata| !metadata.is_null()) else { return Vec::new() };
    let mut errors = validate::errors(metadata::schema(), metadata, None);
    errors.retain(|error| !error.message.starts_with("Invalid value: \"null\""));
    for error in &mut errors {
        let field = if error.field == "<nil>" { "metadata".to_owned() } else { format!("metadata.{}", error.field) };
        error.message = error.message.replacen(&format!(": {} in body", error.field), &format!(": {field} in body"), 1);
        error.field = field;
    }
    errors
}

struct Checker {
    /// Where we are, without keys of maps and indexes.
    path: String,
    found: Option<String>,
}

impl Checker {
    fn fields(&mut self, owner: &str, shapes: &[(&str, Shape)], value: &Value) {
        for (name, shape) in shapes {
            let Some(value) = value.get(name).filter(|value| !value.is_null()) else { continue };
            if self.found.is_some() {
                return;
            }
            let length = self.path.len();
            if !self.path.is_empty() {
                self.path.push('.');
            }
            self.path.push_str(name);
            self.field(owner, *shape, value);
            self.path.truncate(length);
        }
    }

    fn field(&mut self, owner: &str, shape: Shape, value: &Value) {
        match (shape, value) {
            (Shape::Text(_), Value::String(_))
            | (Shape::Flag, Value::Bool(_))
            | (Shape::Time, Value::String(_))
            | (Shape::Raw, _) => {}
            (Shape::Integer, Value::Number(number)) if !number.is_f64() => {}
            (Shape::Texts, Value::Array(list)) => self.texts(owner, list.iter()),
            (Shape::TextMap, Value::Object(map)) => self.texts(owner, map.values()),
            (Shape::Structs(inner, shapes), Value::Array(list)) => {
                for value in list.iter().filter(|value| !value.is_null()) {
                    match value {
                        Value::Object(_) => self.fields(inner, shapes, value),
                        other => self.wrong(owner, &format!("v1.{inner}"), other),
                    }
                }
            }
            (Shape::Time, other) => {
                let sentence = format!("json: cannot unmarshal {} into Go value of type string", words::go_kind(other));
                self.found.get_or_insert(sentence);
            }
            (Shape::Text(type_), other) => self.wrong(owner, type_, other),
            (Shape::Integer, other) => self.wrong(owner, "int64", other),
            (Shape::Flag, other) => self.wrong(owner, "bool", other),
            (Shape::Texts, other) => self.wrong(owner, "[]string", other),
            (Shape::TextMap, other) => self.wrong(owner, "map[string]string", other),
            (Shape::Structs(inner, _), other) => self.wrong(owner, &format!("[]v1.{inner}"), other),
        }
    }

    fn texts<'a>(&mut self, owner: &str, values: impl Iterator<Item = &'a Value>) {
        for value in values.filter(|value| !value.is_string() && !value.is_null()) {
            self.wrong(owner, "string", value);
        }
    }

    fn wrong(&mut self, owner: &str, type_: &str, value: &Value) {
        let sentence = words::go_mismatch(value, owner, &self.path, type_);
        self.found.get_or_insert(sentence);
    }
}
