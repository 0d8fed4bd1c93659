//! Decides what a Namespace is: it stays until it is empty, which the finalizer in its spec stands for.

use k8s_openapi::api::core::v1::Namespace;
use serde_json::{Map, Value, json};

use super::{CellForm, Declaration, Kind, age, column, openapi};
use crate::error::FieldError;
use crate::schema::fields::names::qualified_name_problems;
use crate::schema::words;

/// Finalizers that need no domain.
const STANDARD_FINALIZERS: [&str; 3] = ["foregroundDeletion", "kubernetes", "orphan"];

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
    // Once there, a namespace may be let go, and what held it must not come back.
    let is_new = namespace.get("status").is_none_or(|status| status.get("phase").is_none_or(Value::is_null));
    if is_deleting || !is_new {
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

/// What is wrong with the finalizers in the spec, and with what somebody says of its phase.
pub(super) fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let finalizers = &new["spec"]["finalizers"];
    if old.is_none_or(|old| old["spec"]["finalizers"] != *finalizers) {
        for (index, finalizer) in finalizers.as_array().into_iter().flatten().enumerate() {
            // Upstream counts them only where they are replaced.
            let place = if old.is_some() { format!("spec.finalizers[{index}]") } else { "spec.finalizers".to_owned() };
            let name = finalizer.as_str().unwrap_or_default();
            for detail in qualified_name_problems(name) {
                errors.push(words::invalid(&place, finalizer, &detail));
            }
            if !name.contains('/') && !STANDARD_FINALIZERS.contains(&name) {
                let detail = "name is neither a standard finalizer name nor is it fully qualified";
                errors.push(words::invalid(&place, finalizer, detail));
            }
        }
    }
    let phase = &new["status"]["phase"];
    if let Some(old) = old.filter(|old| old["status"]["phase"] != *phase) {
        let is_deleting = old["metadata"].get("deletionTimestamp").is_some_and(|time| !time.is_null());
        let shown = phase.as_str().unwrap_or_default();
        let (wanted, detail) = match is_deleting {
            false => ("Active", "may only be 'Active' if `deletionTimestamp` is empty"),
            true => ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty"),
        };
        if shown != wanted {
            errors.push(words::invalid("status.Phase", &shown.into(), detail));
        }
    }
    errors
}

fn object<'a>(parent: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    let value = parent.entry(key).or_insert_with(|| Value::Object(Map::new()));
    if value.is_null() {
        *value = Value::Object(Map::new());
    }
    value.as_object_mut()
}
