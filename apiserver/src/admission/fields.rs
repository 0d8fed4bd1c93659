//! Decides what becomes of fields that the schema does not know and of keys given twice.

use serde_json::Value;

use crate::error::ApiError;
use crate::query::FieldValidation;
use crate::verbs::served::Served;

/// Drops what the schema does not know. Returns the warnings that the client asked for, or fails where it is strict.
pub(crate) fn prune(
    served: &Served,
    value: &mut Value,
    duplicates: &[String],
    validation: FieldValidation,
) -> Result<Vec<String>, ApiError> {
    let unknown = served.version().schema.prune(value);
    if validation == FieldValidation::Ignore {
        return Ok(Vec::new());
    }
    let duplicates = duplicates.iter().map(|path| format!("duplicate field \"{path}\""));
    let found: Vec<String> = duplicates.chain(unknown.iter().map(|path| format!("unknown field \"{path}\""))).collect();
    if validation == FieldValidation::Warn || found.is_empty() {
        return Ok(found);
    }
    let kind = &served.kind.kind;
    Err(ApiError::bad_request(format!(
        "{kind} in version \"{}\" cannot be handled as a {kind}: strict decoding error: {}",
        served.version().name,
        found.join(", ")
    )))
}
