//! `PartialObjectMetadata`: an object without anything but its metadata.

use serde_json::{Map, Value, json};

/// The metadata of one object.
#[must_use]
pub fn partial(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}
