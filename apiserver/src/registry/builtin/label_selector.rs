//! Decides what a `LabelSelector` inside an object may be.

use serde_json::Value;

use crate::error::FieldError;
use crate::schema::fields::names::{label_value_problems, qualified_name_problems};
use crate::schema::words;

/// What is wrong with a selector at a place.
pub(super) fn validate(selector: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let labels = selector.get("matchLabels").and_then(Value::as_object);
    for (key, value) in labels.into_iter().flatten() {
        let place = format!("{place}.matchLabels");
        for detail in qualified_name_problems(key) {
            errors.push(words::invalid(&place, &key.as_str().into(), &detail));
        }
        for detail in label_value_problems(value.as_str().unwrap_or_default()) {
            errors.push(words::invalid(&place, value, &detail));
        }
    }
    for (index, requirement) in list(selector, "matchExpressions").iter().enumerate() {
        validate_requirement(requirement, &format!("{place}.matchExpressions[{index}]"), errors);
    }
}

fn validate_requirement(requirement: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let values = list(requirement, "values");
    let text = |field: &str| requirement[field].as_str().unwrap_or_default();
    let place_of_values = format!("{place}.values");
    match text("operator") {
        "In" | "NotIn" if values.is_empty() => {
            let detail = "must be specified when `operator` is 'In' or 'NotIn'";
            errors.push(words::required(&place_of_values, detail));
        }
        "Exists" | "DoesNotExist" if !values.is_empty() => {
            let detail = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            errors.push(words::forbidden(&place_of_values, detail));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            errors.push(words::invalid(format!("{place}.operator"), &other.into(), "not a valid selector operator"));
        }
    }
    let key = text("key");
    for detail in qualified_name_problems(key) {
        errors.push(words::invalid(format!("{place}.key"), &key.into(), &detail));
    }
    for (index, value) in values.iter().enumerate() {
        for detail in label_value_problems(value.as_str().unwrap_or_default()) {
            errors.push(words::invalid(format!("{place_of_values}[{index}]"), value, &detail));
        }
    }
}

/// The items of a list; none where there is none.
fn list<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}
