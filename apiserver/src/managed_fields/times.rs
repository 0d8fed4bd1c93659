//! Decides when the times in the entries stay as they were: a write that changes nothing else changes nothing.

use serde_json::Value;

/// Whether two lists of entries differ in nothing but their times.
pub(crate) fn differ_in_times_only(one: &Value, other: &Value) -> bool {
    let (Some(one), Some(other)) = (one.as_array(), other.as_array()) else { return false };
    one.len() == other.len() && one.iter().zip(other).all(|(one, other)| untimed(one) == untimed(other))
}

fn untimed(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Some(fields) = entry.as_object_mut() {
        fields.remove("time");
    }
    entry
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_alone_are_told_from_other_changes() {
        let entry = |time: &str, fields: Value| json!([{"manager": "me", "time": time, "fieldsV1": fields}]);
        let one = entry("1", json!({"f:a": {}}));
        assert!(differ_in_times_only(&one, &entry("2", json!({"f:a": {}}))));
        assert!(!differ_in_times_only(&one, &entry("2", json!({"f:b": {}}))));
        assert!(!differ_in_times_only(&one, &json!([])));
        assert!(!differ_in_times_only(&one, &Value::Null));
    }
}
