//! Decides how an object reads in another version of its kind. Versions of a custom kind differ in `apiVersion` and in what
//! their schemas know (conversion `None`): defaults are those of the version that is stored, and fields that a version
//! doesn't know are not in it. Events are kept in one layout and served in two.

use serde_json::Value;

use super::{Kind, Version, builtin};

/// The object as it is stored.
#[must_use]
pub fn to_storage(kind: &Kind, mut value: Value) -> Value {
    if kind.stored_as.is_some() {
        return builtin::event_from_new(value);
    }
    let wanted = kind.api_version(&kind.storage_version);
    if value["apiVersion"] != wanted {
        value["apiVersion"] = wanted.into();
        if let Some(version) = kind.version(&kind.storage_version) {
            let _not_in_this_version = version.schema.prune(&mut value);
            version.schema.default(&mut value);
        }
    }
    value
}

/// A stored object in this version of its kind. `is_current` says whether it was written when the schemas were what they
/// are; what they have gained and lost since is made up for in the version that the object is stored in.
#[must_use]
pub fn from_storage(kind: &Kind, version: &Version, mut value: Value, is_current: bool) -> Value {
    if kind.stored_as.is_some() {
        return builtin::event_to_new(value);
    }
    let name = value["apiVersion"].as_str().map_or("", |stored| stored.rsplit('/').next().unwrap_or_default());
    let stored = kind.version(name).unwrap_or(version);
    if !is_current {
        let _gone_from_the_schema = stored.schema.prune(&mut value);
        stored.schema.default(&mut value);
    }
    if stored.name != version.name {
        value["apiVersion"] = kind.api_version(&version.name).into();
        let _not_in_this_version = version.schema.prune(&mut value);
    }
    value
}
