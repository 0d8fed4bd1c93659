//! Decides what `apply` changes. In: what was applied last, what is to be applied, what there is. Out: a JSON merge patch
//! (RFC 7386), empty when there is nothing to do. Plain functions; the server is not asked.
//!
//! A field in the YAML is set. A field that was in the YAML and no longer is, is removed. A field that never was in the YAML
//! (a default, somebody else's) stays as it is. Lists are replaced as a whole, unless nothing in them changed.

use serde_json::{Map, Value};

mod last_applied;

pub(crate) use last_applied::{LAST_APPLIED, prepared, recorded};

/// The merge patch that turns `current` into what `modified` asks for; `original` is what was applied before.
///
/// Guarantees: patching and asking again yields an empty patch; what neither `original` nor `modified` mentions is untouched.
pub(crate) fn three_way(original: Option<&Value>, modified: &Value, current: &Value) -> Value {
    Value::Object(object(original.and_then(Value::as_object), as_map(modified), as_map(current)))
}

fn object(
    original: Option<&Map<String, Value>>,
    modified: &Map<String, Value>,
    current: &Map<String, Value>,
) -> Map<String, Value> {
    let mut patch = Map::new();
    for (key, wanted) in modified {
        if wanted.is_null() {
            // A null in the YAML means the same as leaving the field out, and in a patch it means removing.
            if current.get(key).is_some_and(|value| !value.is_null()) {
                patch.insert(key.clone(), Value::Null);
            }
            continue;
        }
        let before = original.and_then(|original| original.get(key));
        match (wanted, current.get(key)) {
            (Value::Object(wanted), Some(Value::Object(present))) => {
                let below = object(before.and_then(Value::as_object), wanted, present);
                if !below.is_empty() {
                    patch.insert(key.clone(), Value::Object(below));
                }
            }
            (wanted, Some(present)) if settled(before, wanted, present) => {}
            (wanted, _) => {
                patch.insert(key.clone(), without_nulls(wanted));
            }
        }
    }
    for key in original.into_iter().flat_map(Map::keys) {
        if !modified.contains_key(key) && current.get(key).is_some_and(|value| !value.is_null()) {
            patch.insert(key.clone(), Value::Null);
        }
    }
    patch
}

/// Whether a value is already as wanted. Elements of a list may hold more than was asked for, such as defaults.
fn settled(original: Option<&Value>, wanted: &Value, present: &Value) -> bool {
    match (wanted, present) {
        (Value::Object(wanted), Value::Object(present)) => {
            object(original.and_then(Value::as_object), wanted, present).is_empty()
        }
        (Value::Array(wanted), Value::Array(present)) => {
            let before = original.and_then(Value::as_array);
            let shrunk = before.is_some_and(|before| before.len() != wanted.len());
            !shrunk
                && wanted.len() == present.len()
                && wanted.iter().zip(present).enumerate().all(|(index, (wanted, present))| {
                    settled(before.and_then(|before| before.get(index)), wanted, present)
                })
        }
        (Value::Number(wanted), Value::Number(present)) => wanted == present || wanted.as_f64() == present.as_f64(),
        (wanted, present) => wanted == present,
    }
}

/// In a new object a null would be sent on as a null, or lost; it means that the field is not set.
pub(crate) fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// Applies a merge patch, as a server would.
pub(crate) fn patched(target: &Value, patch: &Value) -> Value {
    let Value::Object(patch) = patch else { return patch.clone() };
    let mut result = target.as_object().cloned().unwrap_or_default();
    for (key, value) in patch {
        if value.is_null() {
            result.remove(key);
        } else {
            let below = patched(result.get(key).unwrap_or(&Value::Null), value);
            result.insert(key.clone(), below);
        }
    }
    Value::Object(result)
}

fn as_map(value: &Value) -> &Map<String, Value> {
    static EMPTY: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    value.as_object().unwrap_or(&EMPTY)
}

#[cfg(test)]
mod tests;
