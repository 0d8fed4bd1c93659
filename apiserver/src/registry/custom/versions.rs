//! Decides whether the versions of a definition are good: one of them stored, each with a structural schema, columns,
//! subresources and selectable fields that lead somewhere.

use std::collections::BTreeSet;

use serde_json::Value;

use super::validate::dns1035_problem;
use super::{below, list, text};
use crate::error::FieldError;
use crate::jsonpath;
use crate::schema::{Structural, words};

const COLUMN_TYPES: [&str; 5] = ["integer", "number", "string", "boolean", "date"];
const COLUMN_FORMATS: [&str; 8] = ["int32", "int64", "float", "double", "byte", "date", "date-time", "password"];
const MAX_SELECTABLE_FIELDS: usize = 8;

/// Where a version's schema stands.
pub(super) fn schema_path(index: usize) -> String {
    format!("spec.versions[{index}].schema.openAPIV3Schema")
}

pub(super) fn validate(spec: &Value, errors: &mut Vec<FieldError>) {
    let versions = list(spec, "versions");
    let all = Value::from(versions.iter().map(|version| text(version, "name")).collect::<Vec<_>>());
    let stored = versions.iter().filter(|version| version["storage"] == Value::Bool(true)).count();
    if stored != 1 {
        errors.push(words::invalid("spec.versions", &all, "must have exactly one version marked as storage version"));
    }
    let unique: BTreeSet<&str> = versions.iter().map(|version| text(version, "name")).collect();
    if unique.len() < versions.len() {
        errors.push(words::invalid("spec.versions", &all, "must contain unique version names"));
    }
    for (index, version) in versions.iter().enumerate() {
        let place = format!("spec.versions[{index}]");
        if let Some(detail) = dns1035_problem(text(version, "name")) {
            errors.push(words::invalid(format!("{place}.name"), &text(version, "name").into(), detail));
        }
        if version["deprecated"] != Value::Bool(true) && version.get("deprecationWarning").is_some() {
            let detail = "can only be set for deprecated versions";
            errors.push(words::invalid(format!("{place}.deprecationWarning"), &version["deprecationWarning"], detail));
        }
        columns(version, &place, errors);
        scale(version, &place, errors);
        match version["schema"].get("openAPIV3Schema") {
            Some(schema) if schema.is_object() => match Structural::parse(schema) {
                Ok(_) => selectable_fields(version, schema, &place, errors),
                Err(found) => errors.extend(below(&schema_path(index), found)),
            },
            _ => errors.push(words::required(schema_path(index), "schemas are required")),
        }
    }
}

fn columns(version: &Value, place: &str, errors: &mut Vec<FieldError>) {
    for (index, column) in list(version, "additionalPrinterColumns").iter().enumerate() {
        let place = format!("{place}.additionalPrinterColumns[{index}]");
        if text(column, "name").is_empty() {
            errors.push(words::required(format!("{place}.name"), ""));
        }
        match text(column, "type") {
            "" => {
                let detail = format!("must be one of {}", COLUMN_TYPES.join(","));
                errors.push(words::required(format!("{place}.type"), &detail));
            }
            type_ if !COLUMN_TYPES.contains(&type_) => {
                let detail = format!("must be one of {}", COLUMN_TYPES.join(","));
                errors.push(words::invalid(format!("{place}.type"), &type_.into(), &detail));
            }
            _ => {}
        }
        let format = text(column, "format");
        if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
            let detail = format!("must be one of {}", COLUMN_FORMATS.join(","));
            errors.push(words::invalid(format!("{place}.format"), &format.into(), &detail));
        }
        let path = text(column, "jsonPath");
        let place = format!("{place}.jsonPath");
        if path.is_empty() {
            errors.push(words::required(place, ""));
        } else if !path.starts_with('.') {
            errors.push(words::invalid(place, &path.into(), "must be a simple json path starting with '.'"));
        } else if let Err(error) = jsonpath::Path::parse(path) {
            errors.push(words::invalid(place, &path.into(), &error.to_string()));
        }
    }
}

fn scale(version: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let Some(scale) = version["subresources"].get("scale").filter(|scale| scale.is_object()) else { return };
    let paths: [(&str, &[&str], &str); 3] = [
        ("specReplicasPath", &[".spec."], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .spec or .status"),
    ];
    for (field, roots, detail) in paths {
        let path = text(scale, field);
        let place = format!("{place}.subresources.scale.{field}");
        if path.is_empty() {
            if field != "labelSelectorPath" {
                errors.push(words::required(place, ""));
            }
        } else if path.contains(['[', ']', '*']) || path.split('.').skip(1).any(str::is_empty) {
            errors.push(words::invalid(place, &path.into(), "Array notation is not supported"));
        } else if !roots.iter().any(|root| path.starts_with(root)) {
            errors.push(words::invalid(place, &path.into(), detail));
        }
    }
}

fn selectable_fields(version: &Value, schema: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let fields = list(version, "selectableFields");
    let place = format!("{place}.selectableFields");
    if fields.len() > MAX_SELECTABLE_FIELDS {
        errors.push(words::too_many(&place, fields.len(), MAX_SELECTABLE_FIELDS as u64));
    }
    let mut seen = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let path = text(field, "jsonPath");
        let place = format!("{place}[{index}].jsonPath");
        if path.is_empty() {
            errors.push(words::required(place, ""));
            continue;
        }
        if !seen.insert(path) {
            errors.push(words::duplicate(&place, &path.into()));
        }
        let Some(steps) = path.strip_prefix('.').filter(|_| !path.contains(['[', '*'])) else {
            errors.push(words::invalid(place, &path.into(), "is an invalid path: must be a simple path of fields"));
            continue;
        };
        if steps.starts_with("metadata.") || steps == "metadata" {
            errors.push(words::invalid(place, &path.into(), "must not point to fields in metadata"));
            continue;
        }
        let target = steps.split('.').try_fold(schema, |schema, step| schema.get("properties")?.get(step));
        match target.map(|target| text(target, "type")) {
            Some("string" | "boolean" | "integer") => {}
            Some(_) => errors.push(words::invalid(
                place,
                &path.into(),
                "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.",
            )),
            None => {
                errors.push(words::invalid(place, &path.into(), "is an invalid path: does not refer to a valid field"));
            }
        }
    }
}
