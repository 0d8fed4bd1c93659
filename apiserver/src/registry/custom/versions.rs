//! Decides whether the versions of a definition are good: one of them stored, each with a structural schema, columns,
//! subresources and selectable fields that lead somewhere.
//!
//! What all versions have alike upstream keeps once, beside them, and that is where it says that something is wrong.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::validate::dns1035_problem;
use super::{list, text};
use crate::error::FieldError;
use crate::schema::{Structural, words};

const COLUMN_TYPES: [&str; 5] = ["boolean", "date", "integer", "number", "string"];
const COLUMN_FORMATS: [&str; 8] = ["byte", "date", "date-time", "double", "float", "int32", "int64", "password"];
const MAX_SELECTABLE_FIELDS: usize = 8;
const MAX_WARNING: usize = 256;

/// What a version may have alike with all others.
const SHARED: [Part; 4] = [
    Part { name: "schema", together: "validation", check: schema },
    Part { name: "subresources", together: "subresources", check: scale },
    Part { name: "additionalPrinterColumns", together: "additionalPrinterColumns", check: columns },
    Part { name: "selectableFields", together: "selectableFields", check: selectable_fields },
];

struct Part {
    name: &'static str,
    /// What it is called beside the versions.
    together: &'static str,
    check: fn(&Version<'_>, &str, &mut Vec<FieldError>),
}

/// A version as it is declared.
struct Version<'a> {
    declared: &'a Value,
    /// The same one before an update.
    old: Option<&'a Value>,
    has_status: bool,
}

impl Version<'_> {
    /// Whether something is as it was: what was taken once is taken again.
    fn keeps(&self, name: &str) -> bool {
        self.old.is_some_and(|old| old.get(name) == self.declared.get(name))
    }
}

pub(super) fn validate(spec: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let versions = list(spec, "versions");
    let before = old.map(|old| list(old, "versions")).unwrap_or_default();
    let of = |declared| Version {
        declared,
        old: before.iter().find(|old| text(old, "name") == text(declared, "name")),
        has_status: declared["subresources"].get("status").is_some_and(Value::is_object),
    };
    let is_alike = |part: &&Part| versions.iter().all(|version| version.get(part.name) == versions[0].get(part.name));
    for (index, declared) in versions.iter().enumerate() {
        if !declared["schema"].get("openAPIV3Schema").is_some_and(Value::is_object) {
            errors.push(words::required(format!("spec.versions[{index}].schema.openAPIV3Schema"), ""));
        }
    }
    for (index, declared) in versions.iter().enumerate() {
        let place = format!("spec.versions[{index}]");
        if let Some(detail) = dns1035_problem(text(declared, "name")) {
            errors.push(words::invalid(format!("{place}.name"), &text(declared, "name").into(), detail));
        }
        deprecation(declared, &place, errors);
        for part in SHARED.iter().filter(|part| !is_alike(part)) {
            (part.check)(&of(declared), &format!("{place}.{}", part.name), errors);
        }
    }
    let all = Value::from(versions.iter().map(|version| text(version, "name")).collect::<Vec<_>>());
    let unique: BTreeSet<&str> = versions.iter().map(|version| text(version, "name")).collect();
    if unique.len() < versions.len() {
        errors.push(words::invalid("spec.versions", &all, "must contain unique version names"));
    }
    let stored = versions.iter().filter(|version| version["storage"] == Value::Bool(true)).count();
    if stored != 1 {
        errors.push(words::invalid("spec.versions", &all, "must have exactly one version marked as storage version"));
    }
    let Some(first) = versions.first() else { return };
    let has_status = versions.iter().any(|version| of(version).has_status);
    for part in SHARED.iter().filter(is_alike) {
        (part.check)(&Version { has_status, ..of(first) }, &format!("spec.{}", part.together), errors);
    }
}

fn deprecation(version: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let Some(warning) = version.get("deprecationWarning").filter(|warning| !warning.is_null()) else { return };
    let shown = warning.as_str().unwrap_or_default();
    let mut wrong = |detail: &str| errors.push(words::invalid(format!("{place}.deprecationWarning"), warning, detail));
    if version["deprecated"] != Value::Bool(true) {
        wrong("can only be set for deprecated versions");
        return;
    }
    if shown.len() > MAX_WARNING {
        wrong("must be <= 256 characters long");
    }
    if shown.is_empty() {
        wrong("must not be an empty string");
    }
    if let Some((index, _)) = shown.char_indices().find(|(_, c)| c.is_control()) {
        wrong(&format!("must only contain printable UTF-8 characters; non-printable character found at index {index}"));
    }
}

fn schema(version: &Version<'_>, place: &str, errors: &mut Vec<FieldError>) {
    let Some(schema) = version.declared["schema"].get("openAPIV3Schema").filter(|schema| schema.is_object()) else {
        return;
    };
    let place = format!("{place}.openAPIV3Schema");
    let had_status = version.old.is_some_and(|old| old["subresources"].get("status").is_some_and(Value::is_object));
    let parsed = if version.keeps("schema") && had_status == version.has_status {
        Structural::parse_at(schema, &place)
    } else {
        Structural::admit(schema, &place, version.has_status)
    };
    errors.extend(parsed.err().unwrap_or_default());
}

fn columns(version: &Version<'_>, place: &str, errors: &mut Vec<FieldError>) {
    for (index, column) in list(version.declared, "additionalPrinterColumns").iter().enumerate() {
        let place = format!("{place}[{index}]");
        if text(column, "name").is_empty() {
            errors.push(words::required(format!("{place}.name"), ""));
        }
        let detail = format!("must be one of {}", COLUMN_TYPES.join(","));
        match text(column, "type") {
            "" => errors.push(words::required(format!("{place}.type"), &detail)),
            type_ if !COLUMN_TYPES.contains(&type_) => {
                errors.push(words::invalid(format!("{place}.type"), &type_.into(), &detail));
            }
            _ => {}
        }
        let format = text(column, "format");
        if !format.is_empty() && !COLUMN_FORMATS.contains(&format) {
            let detail = format!("must be one of {}", COLUMN_FORMATS.join(","));
            errors.push(words::invalid(format!("{place}.format"), &format.into(), &detail));
        }
        // A path that can't be read is taken here, as upstream does: the table ends before its column.
        let path = text(column, "jsonPath");
        let place = format!("{place}.JSONPath");
        if path.is_empty() {
            errors.push(words::required(place, ""));
        } else {
            simple_path(path, &place, errors);
        }
    }
}

fn scale(version: &Version<'_>, place: &str, errors: &mut Vec<FieldError>) {
    let Some(scale) = version.declared["subresources"].get("scale").filter(|scale| scale.is_object()) else { return };
    let paths: [(&str, &[&str], &str); 3] = [
        ("specReplicasPath", &[".spec."], "should be a json path under .spec"),
        ("statusReplicasPath", &[".status."], "should be a json path under .status"),
        ("labelSelectorPath", &[".spec.", ".status."], "should be a json path under either .spec or .status"),
    ];
    for (field, roots, detail) in paths {
        let path = text(scale, field);
        let place = format!("{place}.scale.{field}");
        if path.is_empty() {
            if field != "labelSelectorPath" {
                errors.push(words::required(place, ""));
            }
        } else if simple_path(path, &place, errors) && !roots.iter().any(|root| path.starts_with(root)) {
            errors.push(words::invalid(place, &path.into(), detail));
        }
    }
}

fn simple_path(path: &str, place: &str, errors: &mut Vec<FieldError>) -> bool {
    let is_simple = path.starts_with('.');
    if !is_simple {
        errors.push(words::invalid(place, &path.into(), "must be a simple json path starting with ."));
    }
    is_simple
}

fn selectable_fields(version: &Version<'_>, place: &str, errors: &mut Vec<FieldError>) {
    let fields = list(version.declared, "selectableFields");
    let schema = &version.declared["schema"]["openAPIV3Schema"];
    if !schema.is_object() {
        return;
    }
    let mut seen = BTreeSet::new();
    for (index, field) in fields.iter().enumerate() {
        let path = text(field, "jsonPath");
        let place = format!("{place}[{index}].jsonPath");
        if path.is_empty() {
            errors.push(words::required(place, ""));
            continue;
        }
        let target = match target(schema, path) {
            Ok(target) => target,
            Err(why) => {
                errors.push(words::invalid(place, &path.into(), &format!("is an invalid path: {why}")));
                continue;
            }
        };
        if path.split('.').find(|step| !step.is_empty()) == Some("metadata") {
            errors.push(words::invalid(&place, &path.into(), "must not point to fields in metadata"));
        }
        if !matches!(text(target, "type"), "string" | "boolean" | "integer") {
            let detail = "must point to a field of type string, boolean or integer. Enum string fields and strings with formats are allowed.";
            errors.push(words::invalid(&place, &path.into(), detail));
        }
        if !seen.insert(path) {
            errors.push(words::duplicate(place, &path.into()));
        }
    }
    if seen.len() > MAX_SELECTABLE_FIELDS && !version.keeps("selectableFields") {
        errors.push(words::too_many(place, seen.len(), MAX_SELECTABLE_FIELDS as u64));
    }
}

/// The schema of the field that a simple path leads to.
fn target<'a>(schema: &'a Value, path: &str) -> Result<&'a Value, String> {
    const NOWHERE: &str = "does not refer to a valid field";
    if path.contains('[') {
        return Err("array notation is not allowed".to_owned());
    }
    let Some(steps) = path.strip_prefix('.') else {
        let first = path.split(['.', ']']).next().unwrap_or_default();
        return Err(format!("expected [ or . but got: {first}"));
    };
    steps.split('.').try_fold(schema, |schema, step| {
        if step.is_empty() {
            return Err("unexpected end of JSON path".to_owned());
        }
        let filled = |map: &&Map<String, Value>| !map.is_empty();
        let child = match schema.get("properties").and_then(Value::as_object).filter(filled) {
            Some(properties) => properties.get(step),
            None => schema.get("additionalProperties").filter(|child| child.is_object()),
        };
        child.ok_or_else(|| NOWHERE.to_owned())
    })
}
