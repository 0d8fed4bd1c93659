//! Decides how a request body becomes a JSON value: JSON, YAML or protobuf, within limits, with every key that was given
//! twice noticed (serde keeps the last one silently). The object's meaning is not its business.

mod json;
mod omit;
mod protobuf;
mod typed;
mod value;
mod yaml;

use std::fmt::Write;

use serde_json::Value;

use crate::error::ApiError;

pub use self::json::{any_json, json, merge_patch, places};
pub use self::omit::{omit_empty, omit_empty_metadata};
pub use self::protobuf::protobuf;
pub use self::typed::{is_known, mismatch};
pub use self::yaml::yaml;

/// The largest body that is decoded.
pub const MAX_BODY: usize = 3 * 1024 * 1024;

/// How deep a value may nest. Everything that walks objects recurses, so deeper ones must never get in.
pub const MAX_DEPTH: usize = 100;

/// A decoded body.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded {
    /// The object; of a key given twice, the last value.
    pub value: Value,
    /// The paths of keys given more than once, as `spec.color`, in the order of the body.
    pub duplicates: Vec<String>,
}

/// Puts an error of [`json`], [`yaml`] or [`protobuf`] into the words for a request body that should have held an object of `kind`.
#[must_use]
pub fn unrecognized(kind: &str, body: &[u8], error: &ApiError) -> ApiError {
    ApiError::bad_request(format!(
        "the object provided is unrecognized (must be of type {kind}): {} ({})",
        error.message,
        summary(body)
    ))
}

/// Whether a value nests deeper than [`MAX_DEPTH`]: patches can build what no body may hold.
#[must_use]
pub fn is_too_deep(value: &Value) -> bool {
    fn deeper(value: &Value, left: usize) -> bool {
        match value {
            Value::Array(_) | Value::Object(_) if left == 0 => true,
            Value::Array(list) => list.iter().any(|value| deeper(value, left - 1)),
            Value::Object(map) => map.values().any(|value| deeper(value, left - 1)),
            _ => false,
        }
    }
    deeper(value, MAX_DEPTH)
}

/// The beginning of a body, as upstream quotes it: JSON as it is, the rest in hexadecimal.
fn summary(body: &[u8]) -> String {
    const SHOWN: usize = 30;
    let more = if body.len() > SHOWN { " ..." } else { "" };
    let shown = &body[..body.len().min(SHOWN)];
    match body.first() {
        None => "<empty>".to_owned(),
        Some(b'{') => format!("{}{more}", String::from_utf8_lossy(shown)),
        Some(_) => {
            let mut text = String::new();
            for byte in shown {
                write!(text, "{byte:02x}").expect("writing to a string cannot fail");
            }
            text + more
        }
    }
}

/// An object was wanted.
fn require_object(decoded: Decoded) -> Result<Decoded, ApiError> {
    let actual = match &decoded.value {
        Value::Object(_) => return Ok(decoded),
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
    };
    Err(ApiError::bad_request(format!(
        "json: cannot unmarshal {actual} into Go value of type map[string]interface {{}}"
    )))
}

#[cfg(test)]
mod tests;
