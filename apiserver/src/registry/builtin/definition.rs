//! Decides what a CustomResourceDefinition is as an object. What it declares is [`crate::registry::custom`]'s matter.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::{Declaration, Kind, column, openapi};

/// Marks a value in our schemas that is itself an `openAPIV3Schema`.
pub(super) const JSON_SCHEMA: &str = "x-thecloud-json-schema";

pub(super) fn kind() -> Kind {
    let mut schema = openapi::schema::<CustomResourceDefinition>();
    openapi::set(&mut schema, &["status", "conditions"], "x-kubernetes-list-type", "map".into());
    openapi::set(&mut schema, &["status", "conditions"], "x-kubernetes-list-map-keys", json!(["type"]));
    // A schema of schemas never ends; where it begins, the walk over its keywords takes over.
    let place = ["spec", "versions", "[]", "schema"];
    let description = "openAPIV3Schema is the OpenAPI v3 schema to use for validation and pruning.";
    openapi::set(
        &mut schema,
        &place,
        "properties",
        json!({"openAPIV3Schema": {
            "description": description,
            "type": "object",
            "x-kubernetes-preserve-unknown-fields": true,
            JSON_SCHEMA: true,
        }}),
    );
    Declaration {
        group: "apiextensions.k8s.io",
        version: "v1",
        kind: "CustomResourceDefinition",
        plural: "customresourcedefinitions",
        short_names: &["crd", "crds"],
        categories: &["api-extensions"],
        namespaced: false,
        status: true,
        selectable_fields: &[],
        columns: vec![column(
            "Created At",
            "string",
            "When the definition was created.",
            ".metadata.creationTimestamp",
        )],
        openapi: schema,
    }
    .into_kind()
}

/// Fills in the names and the conversion that may be left out.
pub(super) fn prepare(value: &mut Value) {
    let Some(spec) = value.get_mut("spec").and_then(Value::as_object_mut) else { return };
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(false)) {
        spec.remove("preserveUnknownFields");
    }
    spec.entry("conversion").or_insert_with(|| json!({"strategy": "None"}));
    let Some(names) = spec.get_mut("names").and_then(Value::as_object_mut) else { return };
    let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
    if kind.is_empty() {
        return;
    }
    names.entry("singular").or_insert_with(|| kind.to_lowercase().into());
    names.entry("listKind").or_insert_with(|| format!("{kind}List").into());
}
