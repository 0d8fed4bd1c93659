//! Decides what was edited: the merge patch (RFC 7386) that makes one object of another.

use serde_json::{Map, Value};

/// The patch; an empty object when nothing differs.
pub(super) fn merge_patch(before: &Map<String, Value>, after: &Map<String, Value>) -> Map<String, Value> {
    let removed = before.keys().filter(|key| !after.contains_key(*key)).map(|key| (key.clone(), Value::Null));
    let mut patch: Map<String, Value> = removed.collect();
    for (key, wanted) in after {
        match (before.get(key), wanted) {
            (Some(present), wanted) if present == wanted => {}
            (Some(Value::Object(present)), Value::Object(wanted)) => {
                patch.insert(key.clone(), Value::Object(merge_patch(present, wanted)));
            }
            (_, wanted) => {
                patch.insert(key.clone(), wanted.clone());
            }
        }
    }
    patch
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patch(before: Value, after: Value) -> Value {
        Value::Object(merge_patch(before.as_object().unwrap(), after.as_object().unwrap()))
    }

    #[test]
    fn only_what_was_edited_is_in_the_patch() {
        let before = json!({"a": 1, "b": {"c": 1, "d": 2}, "list": [1, 2], "gone": {"x": 1}});
        let after = json!({"a": 1, "b": {"c": 1, "d": 3}, "list": [1], "new": true});
        assert_eq!(patch(before.clone(), after), json!({"b": {"d": 3}, "list": [1], "gone": null, "new": true}));
        assert_eq!(patch(before.clone(), before), json!({}));
        assert_eq!(patch(json!({"a": 1}), json!({"a": {"b": 1}})), json!({"a": {"b": 1}}));
    }
}
