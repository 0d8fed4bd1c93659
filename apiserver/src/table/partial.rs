//! `PartialObjectMetadata`: an object without anything but its metadata.

use serde_json::{Map, Value, json};

/// The metadata of one object.
#[must_use]
pub fn partial(object: &Value) -> Value {
    let metadata = object.get("metadata").cloned().unwrap_or_else(|| Value::Object(Map::new()));
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata})
}

/// The metadata of the objects of a list; `metadata` is the list's.
#[must_use]
pub fn partial_list<'a>(objects: impl IntoIterator<Item = &'a Value>, metadata: Map<String, Value>) -> Value {
    let items: Vec<Value> = objects.into_iter().map(partial).collect();
    json!({
        "kind": "PartialObjectMetadataList",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": metadata,
        "items": items,
    })
}
