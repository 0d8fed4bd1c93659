//! Decides what a Namespace is: it stays until it is empty, which the finalizer in its spec stands for.

use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Map, Value, json};

use super::{CellForm, Declaration, Kind, age, column, openapi};

/// The label by which selectors find a namespace by its name.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn kind() -> Kind {
    let mut schema = openapi::schema::<Namespace>();
    openapi::set(&mut schema, &["status", "conditions"], "x-kubernetes-list-type", "map".into());
    openapi::set(&mut schema, &["status", "conditions"], "x-kubernetes-list-map-keys", json!(["type"]));
    let kind = Declaration {
        group: "",
        version: "v1",
        kind: "Namespace",
        plural: "namespaces",
        short_names: &["ns"],
        categories: &[],
        namespaced: false,
        status: true,
        selectable_fields: &["status.phase"],
        columns: vec![column("Status", CellForm::Text, "The status of the namespace", ".status.phase"), age()],
        openapi: schema,
    }
    .into_kind();
    // Deleting all namespaces in one call is never meant.
    Kind { verbs: vec!["create", "delete", "get", "list", "patch", "update", "watch"], ..kind }
}

/// The finalizer is the server's from the beginning.
pub(super) fn blank() -> Value {
    json!({"spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}})
}

pub(super) fn prepare(value: &mut Value) {
    let name = value.pointer("/metadata/name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_deleting = value.pointer("/metadata/deletionTimestamp").is_some_and(|time| !time.is_null());
    let Some(namespace) = value.as_object_mut() else { return };
    if !name.is_empty()
        && let Some(metadata) = object(namespace, "metadata")
        && let Some(labels) = object(metadata, "labels")
    {
        labels.insert(NAME_LABEL.to_owned(), name.into());
    }
    // Once deletion has begun the finalizer may go, and must not come back.
    if is_deleting {
        return;
    }
    if let Some(spec) = object(namespace, "spec") {
        let finalizers = spec.entry("finalizers").or_insert_with(|| json!([]));
        if let Some(finalizers) = finalizers.as_array_mut()
            && !finalizers.iter().any(|finalizer| finalizer == "kubernetes")
        {
            finalizers.push("kubernetes".into());
        }
    }
    if let Some(status) = object(namespace, "status") {
        status.entry("phase").or_insert_with(|| "Active".into());
    }
}

fn object<'a>(parent: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}
