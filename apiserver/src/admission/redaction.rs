//! Decides what a refusal of a Secret may say: where it is wrong and how, never what it holds. Upstream's words quote
//! values, and what a client is told ends up in logs of others.

use serde_json::Value;

use crate::error::ApiError;
use crate::schema::{decode, words};

/// What stands where a value was.
const HIDDEN: &str = "<hidden>";
/// A shorter value is hidden only where it is quoted: it may be a part of any word.
const SHORT: usize = 6;

/// The refusal without the values of `body`, an object or a patch, and of the object that is `stored`.
pub(crate) fn of_secret(error: ApiError, body: &[u8], stored: Option<&Value>) -> ApiError {
    let read = decode::any_json(body).or_else(|_| decode::yaml(body)).or_else(|_| decode::protobuf(body));
    let Ok(read) = read else { return unreadable(error) };
    let mut values = Vec::new();
    collect(&read.value, &mut values);
    if let Some(stored) = stored {
        collect(stored, &mut values);
    }
    // What is part of another goes after it.
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values.dedup();
    let hide = |text: &str| values.iter().fold(text.to_owned(), |text, value| without(text, value));
    let message = hide(&error.message);
    let mut details = error.details;
    if let Some(Value::Array(causes)) = details.get_mut("causes") {
        for cause in causes {
            if let Some(Value::String(message)) = cause.get_mut("message") {
                *message = hide(message);
            }
        }
    }
    ApiError { message, details, ..error }
}

/// A body that is nothing is quoted, at least its beginning.
fn unreadable(error: ApiError) -> ApiError {
    let message = "the object provided is unrecognized (must be of type Secret); what it holds is not repeated here";
    ApiError { message: message.to_owned(), ..error }
}

fn without(text: String, value: &str) -> String {
    let json = Value::from(value).to_string();
    let mut text = [words::quoted(value), words::shown(&Value::from(value)), json.clone()]
        .iter()
        .fold(text, |text, quoted| text.replace(quoted.as_str(), &format!("\"{HIDDEN}\"")));
    if value.len() >= SHORT {
        let inner = |quoted: &str| quoted[1..quoted.len() - 1].to_owned();
        for form in [value.to_owned(), inner(&words::quoted(value)), inner(&json)] {
            text = text.replace(&form, HIDDEN);
        }
    }
    text
}

/// Every value but those that say what the object is: all of a patch's operations, and annotations, which may hold the
/// whole object once more.
fn collect(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match (name.as_str(), value) {
                    ("kind" | "apiVersion" | "type" | "op" | "path" | "from", Value::String(_)) => {}
                    ("metadata", Value::Object(metadata)) => {
                        metadata.get("annotations").into_iter().for_each(|value| leaves(value, values));
                    }
                    (_, value) => leaves(value, values),
                }
            }
        }
        Value::Array(operations) => operations.iter().for_each(|operation| collect(operation, values)),
        _ => {}
    }
}

fn leaves(value: &Value, values: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields.values().for_each(|value| leaves(value, values)),
        Value::Array(list) => list.iter().for_each(|value| leaves(value, values)),
        Value::String(text) if !text.is_empty() => values.push(text.clone()),
        Value::Number(number) => values.push(number.to_string()),
        Value::String(_) | Value::Bool(_) | Value::Null => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(message: &str, body: &Value) -> String {
        of_secret(ApiError::bad_request(message), body.to_string().as_bytes(), None).message
    }

    #[test]
    fn values_are_hidden_and_fields_are_not() {
        let body = json!({"kind": "Secret", "metadata": {"name": "long-name", "annotations": {"a": "noted-word"}},
            "data": {"key": "correct-horse"}, "stringData": {"pin": 123_456, "s": "x", "text": "two\nlines"}});
        let message = "Secret \"long-name\": data.key: Invalid value: \"correct-horse\" {\"s\":\"x\"} at key";
        assert_eq!(
            told(message, &body),
            "Secret \"long-name\": data.key: Invalid value: \"<hidden>\" {\"s\":\"<hidden>\"} at key"
        );
        assert_eq!(
            told("123456 noted-word two\nlines \"two\\nlines\"", &body),
            ["<hidden> <hidden> <hidden> \"<hidden>\""].concat()
        );
    }

    #[test]
    fn values_of_patches_and_of_what_was_there_are_hidden() {
        let patch = json!([{"op": "test", "path": "/data/key", "value": "correct-horse"}]);
        let error = ApiError::bad_request("testing /data/key: correct-horse battery-staple");
        let stored = json!({"data": {"key": "battery-staple"}});
        let error = of_secret(error, patch.to_string().as_bytes(), Some(&stored));
        assert_eq!(error.message, "testing /data/key: <hidden> <hidden>");
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        let error = of_secret(ApiError::bad_request("{correct-horse"), b"{correct-horse: [", None);
        assert!(!error.message.contains("horse"), "{error}");
    }
}
