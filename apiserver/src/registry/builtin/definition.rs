//! Decides what a CustomResourceDefinition is as an object. What it declares is [`crate::registry::custom`]'s matter.

use std::collections::BTreeSet;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use super::{Declaration, Kind, created_at, openapi};
use crate::schema::formats::Format;
use crate::schema::words;

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
        columns: vec![created_at()],
        openapi: schema,
    }
    .into_kind()
}

pub(super) fn blank() -> Value {
    let names = json!({"kind": "", "plural": ""});
    json!({
        "spec": {"group": "", "names": names, "scope": "", "versions": null},
        "status": {"acceptedNames": names, "conditions": null, "storedVersions": null},
    })
}

/// Fills in the names and the conversion that may be left out.
pub(super) fn prepare(value: &mut Value) {
    begin_status(value);
    // Upstream's is there, however empty, and so gets what each has.
    if value.get("spec").is_none_or(Value::is_null)
        && let Some(definition) = value.as_object_mut()
    {
        definition.insert("spec".into(), json!({}));
    }
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

/// The version that objects will be stored in is among those that they are; before anybody looked at a definition it is
/// all that is known.
fn begin_status(value: &mut Value) {
    let versions = value["spec"]["versions"].as_array().into_iter().flatten();
    let stored: Vec<Value> =
        versions.filter(|version| version["storage"] == true).map(|version| version["name"].clone()).collect();
    if let Some(status) = value.get_mut("status").and_then(Value::as_object_mut) {
        match status.get_mut("storedVersions") {
            Some(Value::Array(known)) => {
                for version in stored {
                    if !known.contains(&version) {
                        known.push(version);
                    }
                }
            }
            None | Some(Value::Null) => _ = status.insert("storedVersions".into(), stored.into()),
            Some(_) => {}
        }
        return;
    }
    if let Some(definition) = value.as_object_mut() {
        let status = json!({"acceptedNames": {"kind": "", "plural": ""}, "storedVersions": stored});
        definition.insert("status".to_owned(), status);
    }
}

/// What is doubtful about a new or changed definition: formats that nobody enforces.
pub(super) fn doubts(new: &Value, old: Option<&Value>) -> Vec<String> {
    let known = old.map(unrecognized_formats).unwrap_or_default();
    let mut formats = unrecognized_formats(new);
    formats.retain(|format| !known.contains(format));
    formats.into_iter().map(|format| format!("unrecognized format {}", words::quoted(&format))).collect()
}

fn unrecognized_formats(definition: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for version in definition["spec"]["versions"].as_array().into_iter().flatten() {
        collect_formats(&version["schema"]["openAPIV3Schema"], &mut found);
    }
    found
}

/// Looks at a schema and at all schemas in it. How deep they go is bounded when the definition is decoded.
fn collect_formats(schema: &Value, found: &mut BTreeSet<String>) {
    let Some(keywords) = schema.as_object() else { return };
    let type_ = keywords.get("type").and_then(Value::as_str).unwrap_or_default();
    let format = keywords.get("format").and_then(Value::as_str).unwrap_or_default();
    if !format.is_empty() && !Format::is_recognized(format, type_) {
        found.insert(format.to_owned());
    }
    for (keyword, value) in keywords {
        match keyword.as_str() {
            "items" | "not" | "additionalProperties" | "additionalItems" => collect_formats(value, found),
            "properties" | "patternProperties" | "definitions" | "dependencies" => {
                value.as_object().into_iter().flatten().for_each(|(_, schema)| collect_formats(schema, found));
            }
            "allOf" | "anyOf" | "oneOf" => {
                value.as_array().into_iter().flatten().for_each(|schema| collect_formats(schema, found));
            }
            _ => {}
        }
    }
}
