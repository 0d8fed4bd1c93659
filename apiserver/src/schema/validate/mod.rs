//! Decides whether a value fits its schema, in the words of upstream's validator. In: a [`Node`], the new value and,
//! on an update, the stored one. Out: field errors, sorted by place. CEL rules are not its business.
//!
//! An update may keep what was wrong before (ratcheting): a part that is unchanged is not held against the author.

mod embedded;
mod junctors;
mod lists;
mod scalars;

use serde_json::Value;

use super::formats::Format;
use super::node::{Checks, ListType, Node, Type};
use super::path::Path;
use super::words;
use crate::error::FieldError;

use self::scalars::Range;

/// Everything in `new` that does not fit.
pub(crate) fn errors(node: &Node, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut validator = Validator::default();
    validator.value(node, new, None, &Path::Root);
    validator.lists(node, new, None, &Path::Root);
    let embedded = embedded::errors(node, new, old);
    // Nearly all updates are valid as they stand; only then is it worth comparing with what was stored.
    if !validator.errors.is_empty() && old.is_some() {
        validator = Validator::default();
        validator.value(node, new, old, &Path::Root);
        validator.lists(node, new, old, &Path::Root);
    }
    validator.errors.extend(embedded);
    validator.errors
}

/// Everything in a value that does not fit, where it stands in a document.
pub(crate) fn errors_at(node: &Node, value: &Value, path: &Path<'_>) -> Vec<FieldError> {
    let mut validator = Validator::default();
    validator.value(node, value, None, path);
    validator.lists(node, value, None, path);
    validator.errors.extend(embedded::errors_at(node, value, None, path));
    validator.errors
}

/// So many errors are told, and so many bytes of them: each repeats a path and a value.
const MAX_ERRORS: usize = 256;
const MAX_ERROR_BYTES: usize = 256 << 10;

/// Whether enough is wrong with an object to stop looking.
pub(crate) fn is_enough(errors: &[FieldError]) -> bool {
    let size = |error: &FieldError| error.field.len() + error.message.len();
    errors.len() >= MAX_ERRORS || errors.iter().map(size).sum::<usize>() >= MAX_ERROR_BYTES
}

#[derive(Default)]
struct Validator {
    errors: Vec<FieldError>,
    /// How many of the errors were counted, and what they came to.
    counted: usize,
    bytes: usize,
}

impl Validator {
    /// Whether enough is wrong to stop looking.
    fn has_enough(&mut self) -> bool {
        let new = self.errors[self.counted..].iter().map(|error| error.field.len() + error.message.len());
        self.bytes += new.sum::<usize>();
        self.counted = self.errors.len();
        self.counted >= MAX_ERRORS || self.bytes >= MAX_ERROR_BYTES
    }

    /// Adds what is wrong with a value. The number is upstream's "match count": of several alternatives that all fail,
    /// the errors of the first with the highest one are told.
    fn value(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) -> usize {
        if self.has_enough() || old == Some(new) {
            return 0;
        }
        let checks = node.checks.as_deref();
        let format = checks.and_then(|checks| checks.format);
        let fits = usize::from(self.kind(node, format, new, path));
        if new.is_null() {
            if let Some(checks) = checks {
                self.one_of_values(checks, new, path);
            }
            return fits;
        }
        if let Value::Number(number) = new {
            self.in_range(Range::of(node.kind, format), number, "Checked", path);
        }
        let is_typed = node.kind.is_some() || node.int_or_string || format.is_some();
        // One for the alternatives, one for each group of checks that looks at such a value, one for the value itself.
        let mut matches = if is_typed { fits + 1 } else { 0 } + 4;
        if let Some(checks) = checks {
            matches += self.junctors(checks, new, path);
            match new {
                Value::String(text) => self.text(checks, text, path),
                Value::Number(number) => self.number(node.kind, checks, number, path),
                Value::Array(list) => self.list_size(checks, list, path),
                _ => {}
            }
            self.one_of_values(checks, new, path);
            if let Value::Object(map) = new {
                self.map_size(checks, map, path);
                self.required(checks, map, path);
            }
        }
        matches + self.below(node, new, old, path)
    }

    /// What holds other values, and how much of that fits.
    fn below(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) -> usize {
        match new {
            Value::Object(map) => {
                let children = map.iter().filter_map(|(key, value)| Some((key, value, node.child(key)?)));
                let matches = children
                    .map(|(key, value, child)| {
                        self.value(child, value, old.and_then(|old| old.get(key)), &path.field(key))
                    })
                    .sum::<usize>();
                matches + 1
            }
            Value::Array(list) => {
                let items = node.items.as_deref().into_iter();
                let elements = items.flat_map(|items| list.iter().enumerate().map(move |element| (items, element)));
                let matches = elements
                    .map(|(items, (index, value))| {
                        self.value(items, value, correlated(node, value, old), &path.index(index))
                    })
                    .sum::<usize>();
                matches + 2
            }
            Value::String(_) => 1 + usize::from(node.checks.as_deref().is_some_and(|checks| checks.format.is_some())),
            Value::Number(_) => 2,
            Value::Bool(_) | Value::Null => 0,
        }
    }

    /// Whether the value is of its type.
    fn kind(&mut self, node: &Node, format: Option<Format>, new: &Value, path: &Path<'_>) -> bool {
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
            // Where a format is declared, upstream names that, and what it calls the format of the value.
            let (wanted, actual) = match (format, new) {
                (_, Value::Null | Value::String(_) | Value::Array(_)) | (None, _) => (node.type_names(), actual),
                (Some(format), Value::Number(number)) if number.is_f64() => (format.name(), "float64"),
                (Some(format), Value::Number(_)) => (format.name(), "int64"),
                (Some(format), Value::Bool(_) | Value::Object(_)) => (format.name(), ""),
            };
            let detail = format!("{} in body must be of type {wanted}: {}", path.in_message(), words::quoted(actual));
            self.errors.push(words::type_invalid(path, actual, &detail));
        }
        fits
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
