//! Decides what is asked of a schema beyond being structural, when a definition with it is written: what could not be
//! merged, pruned or compared with what was. Stored schemas are not asked again.

use serde_json::{Map, Value};

use super::node::{Additional, ListType, Node};
use super::path::Path;
use super::words;
use crate::error::FieldError;

/// What may stand at the root beside a status that has its own endpoint: only the status's own schema is looked at when
/// it is written there.
const AT_ROOT: [&str; 22] = [
    "description",
    "type",
    "format",
    "title",
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "maxLength",
    "minLength",
    "pattern",
    "maxItems",
    "minItems",
    "uniqueItems",
    "multipleOf",
    "required",
    "items",
    "properties",
    "externalDocs",
    "example",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
];

/// The same in upstream's words.
const AT_ROOT_SHOWN: &str = "[Description Type Format Title Maximum ExclusiveMaximum Minimum ExclusiveMinimum MaxLength \
    MinLength Pattern MaxItems MinItems UniqueItems MultipleOf Required Items Properties ExternalDocs Example \
    XPreserveUnknownFields XValidations]";

/// Everything wrong with a new schema; `node` is what was made of it, if that could be done.
pub(super) fn errors(schema: &Value, node: Option<&Node>, path: &Path<'_>, has_status: bool) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let Some(map) = schema.as_object() else { return errors };
    root(map, schema, path, has_status, &mut errors);
    visit(map, path, Place { is_root: true, ..Place::default() }, &mut errors);
    if let Some(node) = node.filter(|node| node.has_rules) {
        transitions(node, path, None, &mut errors);
    }
    errors
}

fn root(map: &Map<String, Value>, schema: &Value, path: &Path<'_>, has_status: bool, errors: &mut Vec<FieldError>) {
    let is_set = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    let alien = map.iter().find(|(key, value)| is_set(value) && !AT_ROOT.contains(&key.as_str()));
    if has_status && alien.is_some() {
        let detail = format!(
            "only {AT_ROOT_SHOWN} fields are allowed at the root of the schema if the status subresource is enabled"
        );
        errors.push(words::invalid(path, schema, &detail));
    }
    if map.get("nullable") == Some(&Value::Bool(true)) {
        errors.push(words::forbidden(path.field("nullable"), "nullable cannot be true at the root"));
    }
    if map.get("additionalProperties").is_some_and(|value| !value.is_null()) {
        errors.push(words::forbidden(path.field("additionalProperties"), "must not be used at the root"));
    }
}

/// Where in a schema we are.
#[derive(Debug, Clone, Copy, Default)]
struct Place<'a> {
    is_root: bool,
    /// Inside `apiVersion`, `kind` or `metadata` of an object.
    is_meta: bool,
    /// Why there may be no defaults.
    no_defaults: Option<&'a str>,
}

fn visit(schema: &Map<String, Value>, path: &Path<'_>, place: Place<'_>, errors: &mut Vec<FieldError>) {
    let is_true = |key: &str| schema.get(key) == Some(&Value::Bool(true));
    if let (Some(reason), Some(_)) = (place.no_defaults, schema.get("default").filter(|value| !value.is_null())) {
        errors.push(words::forbidden(path.field("default"), &format!("must not be set {reason}")));
    }
    if is_true("x-kubernetes-embedded-resource") {
        if place.is_meta {
            let place = path.field("x-kubernetes-embedded-resource");
            errors.push(words::forbidden(place, "must not be used inside of resource meta"));
        }
        if schema.get("additionalProperties").is_some_and(|value| !value.is_null()) {
            let detail = "must not be used if x-kubernetes-embedded-resource is set";
            errors.push(words::forbidden(path.field("additionalProperties"), detail));
        }
    }
    list(schema, path, errors);

    let below = Place { is_root: false, ..place };
    let is_object = place.is_root || is_true("x-kubernetes-embedded-resource");
    let properties = path.field("properties");
    for (name, child) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
        let Some(child) = child.as_object() else { continue };
        let is_meta = is_object && matches!(name.as_str(), "apiVersion" | "kind" | "metadata");
        let reason = format!("in top-level {name}");
        let no_defaults = if is_meta && place.is_root { Some(reason.as_str()) } else { below.no_defaults };
        let place = Place { is_meta: below.is_meta || is_meta, no_defaults, ..below };
        visit(child, &properties.key(name), place, errors);
    }
    for (key, is_values) in [("additionalProperties", true), ("items", false), ("not", false)] {
        let Some(child) = schema.get(key).and_then(Value::as_object) else { continue };
        let reason = Some("inside additionalProperties applying to object metadata");
        let no_defaults = if is_values && below.is_meta { reason } else { below.no_defaults };
        visit(child, &path.field(key), Place { no_defaults, ..below }, errors);
    }
    for key in ["allOf", "anyOf", "oneOf"] {
        let base = path.field(key);
        for (index, child) in schema.get(key).and_then(Value::as_array).into_iter().flatten().enumerate() {
            if let Some(child) = child.as_object() {
                visit(child, &base.index(index), below, errors);
            }
        }
    }
}

/// What the elements of a list must be to be told apart.
fn list(schema: &Map<String, Value>, path: &Path<'_>, errors: &mut Vec<FieldError>) {
    let text =
        |schema: &Map<String, Value>, key: &str| schema.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    let is_nullable = |schema: &Map<String, Value>| schema.get("nullable") == Some(&Value::Bool(true));
    let list_type = text(schema, "x-kubernetes-list-type");
    let keys = schema.get("x-kubernetes-list-map-keys").and_then(Value::as_array).cloned().unwrap_or_default();
    if !keys.is_empty() && !matches!(list_type.as_str(), "" | "map") {
        let detail = "must be map if x-kubernetes-list-map-keys is non-empty";
        errors.push(words::invalid(path.field("x-kubernetes-list-type"), &list_type.as_str().into(), detail));
    }
    if !matches!(list_type.as_str(), "set" | "map") {
        return;
    }
    let items = path.field("items");
    let Some(item) = schema.get("items").and_then(Value::as_object) else { return };
    let item_type = text(item, "type");
    if list_type == "set" {
        let (keyword, whole) = match item_type.as_str() {
            "array" => {
                ("x-kubernetes-list-type", matches!(text(item, "x-kubernetes-list-type").as_str(), "" | "atomic"))
            }
            "object" => ("x-kubernetes-map-type", text(item, "x-kubernetes-map-type") == "atomic"),
            _ => ("", true),
        };
        if !whole {
            let detail = "must be atomic as item of a list with x-kubernetes-list-type=set";
            let shown = item.get("x-kubernetes-list-type").unwrap_or(&Value::Null);
            errors.push(words::invalid(items.field(keyword), shown, detail));
        }
    } else if item_type == "object" {
        let place = path.field("x-kubernetes-list-map-keys");
        for (index, key) in keys.iter().enumerate() {
            if keys[..index].contains(key) {
                errors.push(words::invalid(place, &keys.as_slice().into(), "must not contain duplicate entries"));
            }
        }
    } else {
        let detail = "must be object if parent array's x-kubernetes-list-type is map";
        errors.push(words::invalid(items.field("type"), &item_type.as_str().into(), detail));
    }
    if is_nullable(item) {
        let detail = format!("cannot be nullable when x-kubernetes-list-type is {list_type}");
        errors.push(words::forbidden(items.field("nullable"), &detail));
    }
    let properties = items.field("properties");
    for key in keys.iter().filter_map(Value::as_str).filter(|_| list_type == "map") {
        let Some(property) = item.get("properties").and_then(|all| all.get(key)).and_then(Value::as_object) else {
            continue;
        };
        if is_nullable(property) {
            let detail = "this property is in x-kubernetes-list-map-keys, so it cannot be nullable";
            errors.push(words::forbidden(properties.key(key).field("nullable"), detail));
        }
    }
}

/// Rules about what was before must stand where it can be told what that was. `lost` is where it no longer could.
fn transitions(node: &Node, path: &Path<'_>, lost: Option<&str>, errors: &mut Vec<FieldError>) {
    if !node.has_rules {
        return;
    }
    let rules = path.field("x-kubernetes-validations");
    for (index, rule) in node.rules.iter().enumerate() {
        if let (Some(lost), Some(text)) = (lost, rule.transition()) {
            let detail = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {lost}");
            errors.push(words::invalid(rules.index(index).field("rule"), &text.into(), &detail));
        }
    }
    let here = path.to_string();
    let properties = path.field("properties");
    for (name, child) in &node.properties {
        transitions(child, &properties.key(name), lost, errors);
    }
    if let Additional::Schema(child) = &node.additional {
        transitions(child, &path.field("additionalProperties"), lost, errors);
    }
    if let Some(items) = &node.items {
        let is_keyed = matches!(node.list, ListType::Map(_));
        transitions(items, &path.field("items"), lost.or_else(|| (!is_keyed).then_some(here.as_str())), errors);
    }
}
