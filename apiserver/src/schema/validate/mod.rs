//! Decides whether a value fits its schema, in the words of upstream's validator. In: a [`Node`], the new value and,
//! on an update, the stored one. Out: field errors, sorted by place. CEL rules are not its business.
//!
//! An update may keep what was wrong before (ratcheting): a part that is unchanged is not held against the author.

mod junctors;
mod lists;
mod scalars;

use serde_json::Value;

use super::node::{Checks, ListType, Node, Type};
use super::path::Path;
use super::words;
use crate::error::FieldError;

/// Everything in `new` that does not fit.
pub(crate) fn errors(node: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut validator = Validator { errors: Vec::new() };
    validator.value(node, new, None, &Path::Root);
    validator.lists(node, new, None, &Path::Root);
    // Nearly all updates are valid as they stand; only then is it worth comparing with what was stored.
    if !validator.errors.is_empty() && old.is_some() {
        validator.errors.clear();
        validator.value(node, new, old, &Path::Root);
        validator.lists(node, new, old, &Path::Root);
    }
    validator.errors
}

struct Validator {
    errors: Vec<FieldError>,
}

impl Validator {
    fn value(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        if old == Some(new) {
            return;
        }
        self.kind(node, new, path);
        let checks = node.checks.as_deref();
        if new.is_null() {
            if let Some(checks) = checks {
                self.one_of_values(checks, new, path);
            }
            return;
        }
        if let Some(checks) = checks {
            self.junctors(checks, new, path);
            match new {
                Value::String(text) => self.text(checks, text, path),
                Value::Number(number) => self.number(checks, number, path),
                Value::Array(list) => self.list_size(checks, list, path),
                _ => {}
            }
            self.format(checks, new, path);
            self.one_of_values(checks, new, path);
            if let Value::Object(map) = new {
                self.map_size(checks, map, path);
                self.required(checks, map, path);
            }
        }
        match new {
            Value::Object(map) => {
                for (key, value) in map {
                    if let Some(child) = node.child(key) {
                        self.value(child, value, old.and_then(|old| old.get(key)), &path.field(key));
                    }
                }
            }
            Value::Array(list) => {
                if let Some(items) = node.items.as_deref() {
                    for (index, value) in list.iter().enumerate() {
                        self.value(items, value, correlated(node, value, old), &path.index(index));
                    }
                }
            }
            _ => {}
        }
        if node.embedded {
            self.embedded(new, path);
        }
    }

    fn kind(&mut self, node: &Node, new: &Value, path: &Path<'_>) {
        let actual = actual_type(new);
        let fits = match (node.kind, new) {
            (None, _) if !node.int_or_string => true,
            (_, Value::Null) => node.nullable,
            (None, Value::String(_)) | (Some(Type::Number), Value::Number(_)) => true,
            (None | Some(Type::Integer), Value::Number(number)) => {
                !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
            }
            (Some(kind), _) => kind.name() == actual,
            (None, _) => false,
        };
        if !fits {
            let wanted = node.type_names();
            let detail = format!("{} in body must be of type {wanted}: {}", path.in_message(), words::quoted(actual));
            self.errors.push(words::type_invalid(path, actual, &detail));
        }
    }

    /// An embedded object says what it is.
    fn embedded(&mut self, new: &Value, path: &Path<'_>) {
        if !new.is_object() {
            return;
        }
        for name in ["apiVersion", "kind"] {
            match new.get(name) {
                Some(Value::String(text)) if !text.is_empty() => {}
                Some(Value::String(_)) | None => {
                    self.errors.push(words::required(path.field(name), "must not be empty"))
                }
                Some(other) => self.errors.push(words::invalid(path.field(name), other, "must be a string")),
            }
        }
    }
}

/// The stored element that a list element continues: by its keys. Elements of other lists continue nothing.
pub(crate) fn correlated<'a>(node: &Node, element: &Value, old: Option<&'a Value>) -> Option<&'a Value> {
    let ListType::Map(keys) = &node.list else { return None };
    let same = |candidate: &&Value| keys.iter().all(|key| candidate.get(key) == element.get(key));
    old?.as_array()?.iter().find(same)
}

fn actual_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests;
