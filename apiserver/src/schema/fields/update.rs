//! Decides which parts of metadata an update may change.

use serde_json::{Map, Value};

use super::{Path, words};
use crate::error::FieldError;

const FIXED: [&str; 5] = ["name", "namespace", "uid", "creationTimestamp", "deletionTimestamp"];

pub(super) fn validate(
    new: &Map<String, Value>,
    old: &Map<String, Value>,
    place: &Path<'_>,
    errors: &mut Vec<FieldError>,
) {
    for key in FIXED {
        // What is left out is filled in from the stored object.
        if let Some(value) = set(new, key)
            && set(old, key) != Some(value)
        {
            errors.push(words::invalid(place.field(key), value, "field is immutable"));
        }
    }
    finalizers(new, old, place, errors);
}

fn set<'a>(metadata: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    metadata.get(key).filter(|value| !value.is_null() && value.as_str() != Some(""))
}

/// While an object is being deleted its finalizers can only go.
fn finalizers(new: &Map<String, Value>, old: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    if set(old, "deletionTimestamp").is_none() {
        return;
    }
    let list = |metadata: &Map<String, Value>| {
        metadata.get("finalizers").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let before = list(old);
    let added: Vec<String> = list(new)
        .iter()
        .filter(|finalizer| !before.contains(finalizer))
        .filter_map(Value::as_str)
        .map(words::quoted)
        .collect();
    if !added.is_empty() {
        let detail = format!(
            "no new finalizers can be added if the object is being deleted, found new finalizers []string{{{}}}",
            added.join(", ")
        );
        errors.push(words::forbidden(place.field("finalizers"), &detail));
    }
}
