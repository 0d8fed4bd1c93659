//! Decides the smallest merge patch (RFC 7386) between two JSON values, so that a status that says the same is not
//! written, and a field that went is removed. Pure.

use serde_json::{Map, Value};

/// The merge patch that makes `new` of `old`; `None` when they are equal.
#[must_use]
pub fn merge_patch(old: &Value, new: &Value) -> Option<Value> {
    if old == new {
        return None;
    }
    let (Value::Object(before), Value::Object(after)) = (old, new) else {
        return Some(new.clone());
    };
    let mut patch = Map::new();
    for (name, value) in after {
        match before.get(name) {
            Some(known) => {
                if let Some(change) = merge_patch(known, value) {
                    patch.insert(name.clone(), change);
                }
            }
            None => {
                patch.insert(name.clone(), value.clone());
            }
        }
    }
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_need_no_patch() {
        assert_eq!(merge_patch(&json!({"a": [1]}), &json!({"a": [1]})), None);
    }

    #[test]
    fn what_went_is_null_and_what_stayed_is_not_there() {
        let patch = merge_patch(
            &json!({"phase": "Pending", "ip": "10.0.0.2", "ports": [1], "same": {"a": 1}}),
            &json!({"phase": "Running", "ports": [1, 2], "same": {"a": 1}}),
        );
        assert_eq!(patch, Some(json!({"phase": "Running", "ip": null, "ports": [1, 2]})));
    }
}
