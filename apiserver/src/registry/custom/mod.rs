//! Decides what a CustomResourceDefinition declares: whether it is valid, the [`Kind`] it makes, and the status that
//! says so. In: the definition as JSON. It knows neither the store nor requests.

mod accepted;
mod names;
mod order;
mod status;
mod validate;
mod versions;

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Behaviour, CellForm, Column, Kind, Origin, Scale, Version, charges};
use crate::error::FieldError;
use crate::schema::Structural;

pub use self::accepted::Claims;
pub use self::status::{status, violations};
pub use self::validate::validate;

/// Annotation with the connect subresources (`log,exec`) that the objects have.
pub const CONNECT: &str = "thecloud.dev/connect";

/// The kind that a CustomResourceDefinition declares, by the names in its `spec`.
///
/// # Errors
/// Everything wrong with its schemas. A definition that [`validate`] has passed has no errors.
pub fn kind(definition: &Value) -> Result<Kind, Vec<FieldError>> {
    let (kind, errors) = stored_kind(definition);
    if errors.is_empty() { Ok(kind) } else { Err(errors) }
}

/// The kind that a stored definition declares, and what is wrong with its schemas: what was taken once is served, even if
/// it would not be taken now.
#[must_use]
pub fn stored_kind(definition: &Value) -> (Kind, Vec<FieldError>) {
    let mut errors = Vec::new();
    let spec = &definition["spec"];
    let names = &spec["names"];
    let mut versions = Vec::new();
    let mut storage_version = String::new();
    for (index, declared) in list(spec, "versions").iter().enumerate() {
        let version = version(spec, declared, index, &mut errors);
        if declared["storage"] == Value::Bool(true) {
            storage_version.clone_from(&version.name);
        }
        versions.push(version);
    }
    versions.sort_by_cached_key(|version| order::priority(&version.name));
    let kind = text(names, "kind");
    let or = |name: &str, otherwise: String| if name.is_empty() { otherwise } else { name.to_owned() };
    let kind = Kind {
        group: text(spec, "group").to_owned(),
        plural: text(names, "plural").to_owned(),
        singular: or(text(names, "singular"), kind.to_lowercase()),
        kind: kind.to_owned(),
        list_kind: or(text(names, "listKind"), format!("{kind}List")),
        short_names: texts(names, "shortNames"),
        categories: texts(names, "categories"),
        namespaced: text(spec, "scope") == "Namespaced",
        versions,
        storage_version,
        origin: Origin::Custom { uid: text(&definition["metadata"], "uid").to_owned() },
        connects: connects(&definition["metadata"]),
        charges: charges::charges(&definition["metadata"]),
        stored_as: None,
        review: None,
        behaviour: Behaviour::default(),
        verbs: vec!["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"],
    };
    (kind, errors)
}

fn version(spec: &Value, declared: &Value, index: usize, errors: &mut Vec<FieldError>) -> Version {
    let openapi = &declared["schema"]["openAPIV3Schema"];
    let (schema, found) = Structural::stored(openapi, &format!("spec.versions[{index}].schema.openAPIV3Schema"));
    errors.extend(found);
    let name = text(declared, "name").to_owned();
    let subresources = &declared["subresources"];
    Version {
        served: declared["served"] == Value::Bool(true),
        deprecation: deprecation(spec, declared),
        schema: Arc::new(schema),
        openapi: Arc::new(openapi.clone()),
        columns: columns(declared),
        status: subresources.get("status").is_some_and(Value::is_object),
        scale: subresources.get("scale").filter(|scale| scale.is_object()).map(scale),
        selectable_fields: list(declared, "selectableFields")
            .iter()
            .map(|field| text(field, "jsonPath").trim_start_matches('.').to_owned())
            .collect(),
        name,
    }
}

/// The warning for a deprecated version: its own words, or which one to use instead.
fn deprecation(spec: &Value, declared: &Value) -> Option<String> {
    let is_deprecated = |version: &Value| version["deprecated"] == Value::Bool(true);
    if !is_deprecated(declared) {
        return None;
    }
    let own = text(declared, "deprecationWarning");
    if !own.is_empty() {
        return Some(own.to_owned());
    }
    let called =
        |version: &Value| format!("{}/{} {}", text(spec, "group"), text(version, "name"), text(&spec["names"], "kind"));
    let priority = |version: &&Value| order::priority(text(version, "name"));
    let better = list(spec, "versions")
        .iter()
        .filter(|other| other["served"] == Value::Bool(true) && !is_deprecated(other))
        .filter(|other| priority(other) < order::priority(text(declared, "name")))
        .min_by_key(priority);
    let instead = better.map(|version| format!("; use {}", called(version))).unwrap_or_default();
    Some(format!("{} is deprecated{instead}", called(declared)))
}

fn columns(declared: &Value) -> Vec<Column> {
    let columns: Vec<Column> = list(declared, "additionalPrinterColumns")
        .iter()
        .map(|column| Column {
            name: text(column, "name").to_owned(),
            type_: text(column, "type").to_owned(),
            format: text(column, "format").to_owned(),
            description: text(column, "description").to_owned(),
            priority: column["priority"].as_i64().unwrap_or_default(),
            json_path: text(column, "jsonPath").to_owned(),
            cell: CellForm::Typed,
        })
        .collect();
    if !columns.is_empty() {
        return columns;
    }
    vec![Column {
        name: "Age".to_owned(),
        type_: "date".to_owned(),
        format: String::new(),
        description: "CreationTimestamp is a timestamp representing the server time when this object was created. It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this value. It is represented in RFC3339 form and is in UTC.".to_owned(),
        priority: 0,
        json_path: ".metadata.creationTimestamp".to_owned(),
        cell: CellForm::Typed,
    }]
}

fn scale(declared: &Value) -> Scale {
    let selector = text(declared, "labelSelectorPath");
    Scale {
        spec_replicas_path: text(declared, "specReplicasPath").to_owned(),
        status_replicas_path: text(declared, "statusReplicasPath").to_owned(),
        label_selector_path: (!selector.is_empty()).then(|| selector.to_owned()),
    }
}

fn connects(metadata: &Value) -> Vec<String> {
    let listed = text(&metadata["annotations"], CONNECT);
    listed.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    list(value, key).iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn object<'a>(value: &'a Value, key: &str) -> Option<&'a Map<String, Value>> {
    value.get(key).and_then(Value::as_object)
}

#[cfg(test)]
mod tests;
