//! Decides whether metadata has the JSON types of `ObjectMeta`; if not, the body cannot be decoded at all.

use serde_json::Value;

use crate::error::{ApiError, FieldError};
use crate::schema::{metadata, validate};

/// Refuses metadata whose fields have the wrong JSON types. Nulls count as absent.
///
/// # Errors
/// 400 with the first such field.
pub fn check_shape(value: &Value) -> Result<(), ApiError> {
    let Some(error) = errors(value).into_iter().next() else { return Ok(()) };
    let what = error.message.split(" in body ").nth(1).unwrap_or(&error.message);
    Err(ApiError::bad_request(format!("json: cannot unmarshal {}: {what}", error.field)))
}

/// The fields of metadata that have the wrong JSON type.
pub(super) fn errors(value: &Value) -> Vec<FieldError> {
    let Some(metadata) = value.get("metadata").filter(|metadata| !metadata.is_null()) else { return Vec::new() };
    let mut errors = validate::errors(metadata::schema(), metadata, None);
    errors.retain(|error| !error.message.starts_with("Invalid value: \"null\""));
    for error in &mut errors {
        let field = if error.field == "<nil>" { "metadata".to_owned() } else { format!("metadata.{}", error.field) };
        error.message = error.message.replacen(&format!(": {} in body", error.field), &format!(": {field} in body"), 1);
        error.field = field;
    }
    errors
}
