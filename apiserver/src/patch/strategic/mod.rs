//! Strategic merge patch: a merge that knows which lists are maps by a key and which are sets, with Kubernetes'
//! directives (`$patch`, `$deleteFromPrimitiveList`, `$setElementOrder`, `$retainKeys`). For built-in kinds only, as
//! upstream: the lists' keys are in the Go types, not in the schema.

mod lists;
mod maps;
mod merge_keys;

use serde_json::Value;

use crate::error::{ApiError, Reason};
use crate::registry::Kind;

use merge_keys::Position;

/// Why a patch does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum PatchError {
    /// A directive that can't be read.
    #[error("{0}")]
    Directive(String),
    /// An item of a keyed list without its key.
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoMergeKey { item: String, key: String },
}

/// The object after the patch.
///
/// # Errors
/// 400 for a patch that can't be read, 422 for list items without their key.
pub fn apply(current: &Value, patch: &Value, kind: &Kind) -> Result<Value, ApiError> {
    let (Value::Object(current), Value::Object(patch)) = (current, patch) else {
        return Err(ApiError::bad_request("error decoding patch: a strategic merge patch must be an object"));
    };
    let merged = maps::merge(current.clone(), patch.clone(), &Position::root(kind)).map_err(|error| match error {
        PatchError::Directive(_) => ApiError::bad_request(format!("error applying the patch: {error}")),
        PatchError::NoMergeKey { .. } => ApiError::new(Reason::Invalid, format!("error applying the patch: {error}")),
    })?;
    Ok(Value::Object(merged))
}

#[cfg(test)]
mod tests;
