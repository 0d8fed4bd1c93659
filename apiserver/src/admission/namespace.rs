//! Decides whether a namespace takes new objects: it exists and is not being emptied.

use apiserver_store::{Key, Storage};
use serde_json::json;

use super::metadata;
use crate::error::ApiError;
use crate::lifecycle::rules;
use crate::verbs::served::Served;

/// Fails unless new objects of the kind may go into the namespace.
pub(crate) fn check(storage: &Storage, served: &Served, namespace: &str, name: &str) -> Result<(), ApiError> {
    if !served.kind.namespaced {
        return Ok(());
    }
    let key = Key { resource: rules::namespaces(), namespace: String::new(), name: namespace.to_owned() };
    let Some(entry) = storage.get(&key) else { return Err(ApiError::not_found("", "namespaces", namespace)) };
    if !metadata::is_deleting(&entry.value()) {
        return Ok(());
    }
    let mut error = served.forbidden(
        name,
        &format!("unable to create new content in namespace {namespace} because it is being terminated"),
    );
    error.details.insert(
        "causes".into(),
        json!([{
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        }]),
    );
    Err(error)
}
