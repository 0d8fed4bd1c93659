//! Decides whether the objects inside an object are ones: `x-kubernetes-embedded-resource` wants an `apiVersion`, a `kind`
//! and well formed metadata.

use serde_json::{Map, Value};

use super::super::fields;
use super::super::fields::names::label_1035_problems;
use super::{Node, Path, correlated, is_enough, words};
use crate::error::FieldError;

/// What is wrong with the embedded objects below a node, but for those that are as they were.
pub(super) fn errors(node: &Node, value: &Value, old: Option<&Value>) -> Vec<FieldError> {
    errors_at(node, value, old, &Path::Root)
}

/// The same of a value that stands in a document.
pub(super) fn errors_at(node: &Node, value: &Value, old: Option<&Value>, path: &Path<'_>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if node.has_embedded {
        visit(node, value, old, path, &mut errors);
    }
    errors
}

fn visit(node: &Node, value: &Value, old: Option<&Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    if old == Some(value) || is_enough(errors) {
        return;
    }
    match value {
        Value::Object(map) => {
            if node.embedded {
                resource(map, path, errors);
            }
            for (key, value) in map {
                let Some(child) = node.child(key).filter(|child| child.has_embedded) else { continue };
                let place = if node.properties.contains_key(key) { path.field(key) } else { path.key(key) };
                visit(child, value, old.and_then(|old| old.get(key)), &place, errors);
            }
        }
        Value::Array(list) => {
            let Some(items) = node.items.as_deref().filter(|items| items.has_embedded) else { return };
            for (index, value) in list.iter().enumerate() {
                visit(items, value, correlated(node, value, old), &path.index(index), errors);
            }
        }
        _ => {}
    }
}

fn resource(map: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    for name in ["apiVersion", "kind"] {
        let place = path.field(name);
        match map.get(name) {
            None => errors.push(words::required(place, "")),
            Some(Value::String(text)) if text.is_empty() => {
                errors.push(words::invalid(place, &"".into(), "must not be empty"));
            }
            Some(Value::String(text)) if name == "kind" => {
                let problems = label_1035_problems(&text.to_ascii_lowercase());
                if !problems.is_empty() {
                    let detail = format!("may have mixed case, but should otherwise match: {}", problems.join(","));
                    errors.push(words::invalid(place, &text.as_str().into(), &detail));
                }
            }
            Some(Value::String(text)) => {
                if text.matches('/').count() > 1 {
                    let detail = format!("unexpected GroupVersion string: {text}");
                    errors.push(words::invalid(place, &text.as_str().into(), &detail));
                }
            }
            Some(other) => errors.push(words::invalid(place, other, "must be a string")),
        }
    }
    if let Some(Value::Object(metadata)) = map.get("metadata") {
        fields::embedded(metadata, &path.field("metadata"), errors);
    }
}
