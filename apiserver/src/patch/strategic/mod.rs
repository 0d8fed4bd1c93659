//! Strategic merge patch: a merge that knows which lists are maps by a key and which are sets, with Kubernetes'
//! directives (`$patch`, `$deleteFromPrimitiveList`, `$setElementOrder`, `$retainKeys`). For built-in kinds only, as
//! upstream: the lists' keys are in the Go types, not in the schema.

mod lists;
mod maps;
mod merge_keys;

use serde_json::Value;

use crate::error::{ApiError, Reason};
use crate::registry::Kind;
use crate::schema::words;

use merge_keys::Position;

/// Why a patch does not apply.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum PatchError {
    /// `$deleteFromPrimitiveList` that is no list.
    #[error("invalid patch format of primitive list")]
    PrimitiveList,
    /// `$retainKeys` that is no list of keys, or does not list one that is set.
    #[error("invalid patch format of retainKeys")]
    RetainKeys,
    /// `$setElementOrder` that is no list.
    #[error("invalid patch format of setElementOrder list")]
    SetElementOrder,
    /// `$patch: merge` in a list, where items are merged anyway.
    #[error("merging lists cannot yet be specified in the patch")]
    MergeInList,
    /// A `$patch` that nobody knows.
    #[error("unknown patch type: {directive} in map: {map}")]
    Directive { directive: String, map: String },
    /// An item of a keyed list without its key.
    #[error("map: {item} does not contain declared merge key: {key}")]
    NoMergeKey { item: String, key: String },
}

impl PatchError {
    fn directive(directive: &Value, map: &Value) -> Self {
        Self::Directive { directive: words::go_value(directive), map: words::go_value(map) }
    }

    fn into_api(self) -> ApiError {
        match self {
            Self::PrimitiveList | Self::RetainKeys | Self::SetElementOrder => ApiError::bad_request(self.to_string()),
            // Upstream has no reason for these.
            Self::Directive { .. } | Self::MergeInList | Self::NoMergeKey { .. } => {
                ApiError::new(Reason::Unknown, self.to_string())
            }
        }
    }
}

/// The object after the patch.
///
/// # Errors
/// 400 for a patch that can't be read, and, as upstream has it, 500 for one that contradicts itself.
pub fn apply(current: &Value, patch: &Value, kind: &Kind) -> Result<Value, ApiError> {
    let (Value::Object(current), Value::Object(patch)) = (current, patch) else {
        return Err(ApiError::bad_request("error decoding patch: a strategic merge patch must be an object"));
    };
    let merged = maps::merge(current.clone(), patch.clone(), &Position::root(kind)).map_err(PatchError::into_api)?;
    Ok(Value::Object(merged))
}

#[cfg(test)]
mod tests;
