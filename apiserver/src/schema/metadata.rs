//! Decides what `metadata` is made of: `ObjectMeta`, as a schema like any other.

use std::sync::LazyLock;

use serde_json::json;

use super::node::Node;
use super::parse;

/// The schema of `ObjectMeta`.
pub(crate) fn schema() -> &'static Node {
    static SCHEMA: LazyLock<Node> = LazyLock::new(|| {
        let text = json!({"type": "string"});
        let strings = json!({"type": "object", "additionalProperties": text});
        // The times are checked by type only: what a client says about them is overwritten anyway.
        let schema = json!({
            "type": "object",
            "properties": {
                "annotations": strings,
                "creationTimestamp": text,
                "deletionGracePeriodSeconds": {"type": "integer"},
                "deletionTimestamp": text,
                "finalizers": {"type": "array", "items": text},
                "generateName": text,
                "generation": {"type": "integer"},
                "labels": strings,
                "managedFields": {"type": "array", "items": {"type": "object", "properties": {
                    "apiVersion": text,
                    "fieldsType": text,
                    "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                    "manager": text,
                    "operation": text,
                    "subresource": text,
                    "time": text,
                }}},
                "name": text,
                "namespace": text,
                "ownerReferences": {"type": "array", "items": {"type": "object", "properties": {
                    "apiVersion": text,
                    "blockOwnerDeletion": {"type": "boolean"},
                    "controller": {"type": "boolean"},
                    "kind": text,
                    "name": text,
                    "uid": text,
                }}},
                "resourceVersion": text,
                "selfLink": text,
                "uid": text,
            },
        });
        parse::parse(&schema).expect("the schema of metadata is written here and structural")
    });
    &SCHEMA
}
