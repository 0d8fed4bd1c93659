//! Decides how an object reads in another version of its kind. Versions of a custom kind differ in `apiVersion` only
//! (conversion `None`); Events are kept in one layout and served in two.

use serde_json::Value;

use super::{Kind, builtin};

/// The object as it is stored.
#[must_use]
pub fn to_storage(kind: &Kind, mut value: Value) -> Value {
    if kind.stored_as.is_some() {
        return builtin::event_from_new(value);
    }
    value["apiVersion"] = kind.api_version(&kind.storage_version).into();
    value
}

/// A stored object in this version of its kind. The caller prunes and defaults by that version's schema.
#[must_use]
pub fn from_storage(kind: &Kind, version: &str, mut value: Value) -> Value {
    if kind.stored_as.is_some() {
        return builtin::event_to_new(value);
    }
    value["apiVersion"] = kind.api_version(version).into();
    value
}
