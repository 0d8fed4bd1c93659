//! Decides how a field error reads, to the letter of `k8s.io/apimachinery/pkg/util/validation/field`, because people
//! and tools search for these sentences.

use std::fmt::{Display, Write};

use serde_json::{Number, Value};

use crate::error::{FieldError, FieldErrorKind};

/// What stands where rules could not be evaluated.
pub(crate) const UNCHECKED: &str = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";

fn error(field: impl Display, kind: FieldErrorKind, head: String, detail: &str) -> FieldError {
    let message = if detail.is_empty() { head } else { format!("{head}: {detail}") };
    FieldError { field: field.to_string(), kind, message }
}

/// A missing value.
pub(crate) fn required(field: impl Display, detail: &str) -> FieldError {
    error(field, FieldErrorKind::Required, "Required value".to_owned(), detail)
}

/// A malformed value, with the value.
pub(crate) fn invalid(field: impl Display, value: &Value, detail: &str) -> FieldError {
    error(field, FieldErrorKind::Invalid, format!("Invalid value: {}", shown(value)), detail)
}

/// A malformed value that has been put into words already.
pub(crate) fn invalid_shown(field: impl Display, value: &str, detail: &str) -> FieldError {
    error(field, FieldErrorKind::Invalid, format!("Invalid value: {value}"), detail)
}

/// A malformed value, without the value.
pub(crate) fn invalid_omitted(field: impl Display, detail: &str) -> FieldError {
    error(field, FieldErrorKind::Invalid, "Invalid value".to_owned(), detail)
}

/// A value of the wrong JSON type.
pub(crate) fn type_invalid(field: impl Display, actual: &str, detail: &str) -> FieldError {
    error(field, FieldErrorKind::TypeInvalid, format!("Invalid value: {}", quoted(actual)), detail)
}

/// A value that is not one of a closed set.
pub(crate) fn not_supported<S: AsRef<str>>(field: impl Display, value: &Value, supported: &[S]) -> FieldError {
    let supported: Vec<String> = supported.iter().map(|s| quoted(s.as_ref())).collect();
    let detail = format!("supported values: {}", supported.join(", "));
    error(field, FieldErrorKind::NotSupported, format!("Unsupported value: {}", shown(value)), &detail)
}

/// A value that is there twice.
pub(crate) fn duplicate(field: impl Display, value: &Value) -> FieldError {
    error(field, FieldErrorKind::Duplicate, format!("Duplicate value: {}", shown(value)), "")
}

/// A value that may not be set.
pub(crate) fn forbidden(field: impl Display, detail: &str) -> FieldError {
    error(field, FieldErrorKind::Forbidden, "Forbidden".to_owned(), detail)
}

/// A string that is too long.
pub(crate) fn too_long(field: impl Display, max: u64) -> FieldError {
    let unit = if max == 1 { "byte" } else { "bytes" };
    error(field, FieldErrorKind::TooLong, "Too long".to_owned(), &format!("may not be more than {max} {unit}"))
}

/// A list or map with too many entries.
pub(crate) fn too_many(field: impl Display, actual: usize, max: u64) -> FieldError {
    let unit = if max == 1 { "item" } else { "items" };
    let detail = format!("must have at most {max} {unit}");
    error(field, FieldErrorKind::TooMany, format!("Too many: {actual}"), &detail)
}

/// A value as upstream shows it in an error: strings quoted as Go does, the rest as JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Number(number) => go_number(number),
        // Go's JSON is fit for HTML.
        other => other.to_string().replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
    }
}

/// Go's `%v` of a number.
pub(crate) fn go_number(number: &Number) -> String {
    if number.is_f64() { go_float(number.as_f64().unwrap_or(f64::NAN)) } else { number.to_string() }
}

/// Go's `%v` of a float64: the shortest digits, with an exponent below 1e-4 and from 1e21.
pub(crate) fn go_float(float: f64) -> String {
    let magnitude = float.abs();
    if magnitude != 0.0 && !(1e-4..1e21).contains(&magnitude) {
        let text = format!("{float:e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |rest| ('-', rest));
        return format!("{digits}e{sign}{exponent:0>2}");
    }
    float.to_string()
}

/// Go's `%q`.
pub(crate) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{7}' => out.push_str("\\a"),
            '\u{8}' => out.push_str("\\b"),
            '\u{b}' => out.push_str("\\v"),
            '\u{c}' => out.push_str("\\f"),
            c if c.is_control() => {
                let code = c as u32;
                let written = if code < 0x80 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{code:04x}") };
                written.expect("writing to a string cannot fail");
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// Go's `%v` of what stands in a JSON document.
pub(crate) fn go_value(value: &Value) -> String {
    let joined = |parts: Vec<String>| parts.join(" ");
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => go_number(number),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!("[{}]", joined(items.iter().map(go_value).collect())),
        Value::Object(map) => {
            format!("map[{}]", joined(map.iter().map(|(key, value)| format!("{key}:{}", go_value(value))).collect()))
        }
    }
}

/// Go's `%T` of what stands in a JSON document.
pub(crate) fn go_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "<nil>",
        Value::Bool(_) => "bool",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
    }
}

/// The sentence of Go's JSON decoder for a value that does not fit its field.
pub(crate) fn go_mismatch(value: &Value, owner: &str, path: &str, type_: &str) -> String {
    format!("json: cannot unmarshal {} into Go struct field {owner}.{path} of type {type_}", go_kind(value))
}

/// What Go's JSON decoder calls a value.
pub(crate) fn go_kind(value: &Value) -> String {
    match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        // A number that has no room is shown.
        Value::Number(number) if number.is_f64() => format!("number {}", go_number(number)),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_are_shown_as_go_shows_them() {
        assert_eq!(shown(&json!("a\"b\u{1}")), r#""a\"b\x01""#);
        assert_eq!(shown(&json!(-1)), "-1");
        assert_eq!(shown(&json!(1.5)), "1.5");
        assert_eq!(shown(&json!(1e21)), "1e+21");
        assert_eq!(shown(&json!(0.00001)), "1e-05");
        assert_eq!(shown(&json!(3.0)), "3");
        assert_eq!(shown(&json!({"port": 1})), r#"{"port":1}"#);
        assert_eq!(shown(&json!(null)), "null");
    }

    #[test]
    fn errors_read_as_upstream_words_them() {
        let error = not_supported("spec.color", &json!("purple"), &["red", "green"]);
        assert_eq!(error.to_string(), r#"spec.color: Unsupported value: "purple": supported values: "red", "green""#);
        assert_eq!(too_long("a", 20).to_string(), "a: Too long: may not be more than 20 bytes");
        assert_eq!(too_many("a", 3, 1).to_string(), "a: Too many: 3: must have at most 1 item");
        assert_eq!(required("a", "").to_string(), "a: Required value");
    }
}
