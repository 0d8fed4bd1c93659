//! `PartialObjectMetadata`: an object without anything but its metadata.

use serde_json::{Map, Value, json};

use crate::negotiate::MetaVersion;

/// The metadata of one object.
#[must_use]
pub fn partial(object: &Value, version: MetaVersion) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    json!({"kind": "PartialObjectMetadata", "apiVersion": version.api_version(), "metadata": metadata})
}
