//! The v2 document, made from the v3 ones. Version 2 can say less, and its clients refuse what they don't expect, so
//! this loses on purpose: `nullable` values have no type, open objects no properties, alternatives and defaults go.
//!
//! It is put together one group and version at a time: the whole as one tree of values would be ten times its text.

use std::collections::BTreeSet;

use prost::Message as _;
use serde_json::{Map, Value, json};

use crate::registry::Registry;

use super::names::GroupVersion;
use super::{gnostic, v3};

const V2_PREFIX: &str = "#/definitions/";
const GROUP_VERSION_KIND: &str = "x-kubernetes-group-version-kind";

/// As JSON.
pub(super) fn json<'a>(registry: &Registry, versions: impl Iterator<Item = &'a GroupVersion>) -> Vec<u8> {
    let mut paths = String::new();
    let mut definitions = String::new();
    for part in parts(registry, versions) {
        append(&mut paths, &part.paths);
        append(&mut definitions, &part.definitions);
    }
    let info = info();
    format!(r#"{{"swagger":"2.0","info":{info},"paths":{{{paths}}},"definitions":{{{definitions}}}}}"#).into_bytes()
}

/// As protobuf. Encoded messages that follow each other are one message with both their lists.
pub(super) fn protobuf<'a>(registry: &Registry, versions: impl Iterator<Item = &'a GroupVersion>) -> Vec<u8> {
    let head = json!({"swagger": "2.0", "info": info()});
    let mut bytes = gnostic::document(&head).encode_to_vec();
    for part in parts(registry, versions) {
        let part = json!({"paths": part.paths, "definitions": part.definitions});
        bytes.extend(gnostic::document(&part).encode_to_vec());
    }
    bytes
}

struct Part {
    paths: Map<String, Value>,
    definitions: Map<String, Value>,
}

fn parts<'a>(registry: &Registry, versions: impl Iterator<Item = &'a GroupVersion>) -> impl Iterator<Item = Part> {
    let mut defined = BTreeSet::new();
    versions.map(move |group_version| {
        let (paths, schemas) = v3::parts(registry, group_version);
        let paths = paths.into_iter().map(|(path, item)| (path, path_item(&item))).collect();
        // Schemas that several versions share are defined once.
        let definitions = schemas
            .into_iter()
            .filter(|(name, _)| defined.insert(name.clone()))
            .map(|(name, value)| (name, schema(&value)))
            .collect();
        Part { paths, definitions }
    })
}

fn info() -> Value {
    json!({"title": "The Cloud", "version": env!("CARGO_PKG_VERSION")})
}

/// Writes a map's entries behind others, without braces.
fn append(text: &mut String, entries: &Map<String, Value>) {
    for (key, value) in entries {
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&Value::from(key.as_str()).to_string());
        text.push(':');
        text.push_str(&value.to_string());
    }
}

fn path_item(item: &Value) -> Value {
    let mut converted = Map::new();
    for (key, value) in item.as_object().into_iter().flatten() {
        let value = if key == "parameters" { parameters(value) } else { operation(value) };
        converted.insert(key.clone(), value);
    }
    Value::Object(converted)
}

fn operation(operation: &Value) -> Value {
    let mut converted = Map::new();
    let mut listed = match operation.get("parameters").map(parameters) {
        Some(Value::Array(listed)) => listed,
        _ => Vec::new(),
    };
    for (key, value) in operation.as_object().into_iter().flatten() {
        match key.as_str() {
            "parameters" => {}
            "requestBody" => {
                let mut body = json!({"name": "body", "in": "body", "schema": content_schema(value)});
                if value["required"] == true {
                    body["required"] = true.into();
                }
                listed.insert(0, body);
                converted.insert("consumes".into(), content_types(value));
            }
            "responses" => {
                converted.insert("responses".into(), responses(value));
            }
            _ => {
                converted.insert(key.clone(), value.clone());
            }
        }
    }
    if !listed.is_empty() {
        converted.insert("parameters".into(), listed.into());
    }
    converted.insert("produces".into(), json!(["application/json", "application/yaml"]));
    converted.insert("schemes".into(), json!(["https"]));
    Value::Object(converted)
}

fn parameters(list: &Value) -> Value {
    let convert = |parameter: &Value| {
        let mut parameter = parameter.as_object().cloned().unwrap_or_default();
        if let Some(Value::Object(schema)) = parameter.remove("schema") {
            parameter.extend(schema);
        }
        Value::Object(parameter)
    };
    list.as_array().into_iter().flatten().map(convert).collect()
}

fn responses(responses: &Value) -> Value {
    let mut converted = Map::new();
    for (code, response) in responses.as_object().into_iter().flatten() {
        let mut entry = json!({"description": response["description"]});
        if response.get("content").is_some() {
            entry["schema"] = content_schema(response);
        }
        converted.insert(code.clone(), entry);
    }
    Value::Object(converted)
}

fn content_types(body: &Value) -> Value {
    body["content"].as_object().into_iter().flatten().map(|(name, _)| Value::from(name.as_str())).collect()
}

/// The schema of the first content type: all of ours have the same.
fn content_schema(body: &Value) -> Value {
    let first = body["content"].as_object().and_then(|content| content.values().next());
    first.map_or_else(|| json!({}), |content| schema(&content["schema"]))
}

/// A schema with what version 2 can say.
pub(super) fn schema(value: &Value) -> Value {
    let Some(fields) = value.as_object() else { return json!({}) };
    let is = |key: &str| fields.get(key) == Some(&Value::Bool(true));
    let open = is("x-kubernetes-preserve-unknown-fields");
    let either = is("x-kubernetes-int-or-string");
    let is_list = fields.get("type").is_some_and(|type_| type_ == "array");
    let untyped = is("nullable") || either || open || (is_list && !fields.contains_key("items"));
    if open && fields.contains_key(GROUP_VERSION_KIND) {
        return open_kind(fields);
    }
    let mut converted = Map::new();
    for (key, value) in fields {
        let value = match key.as_str() {
            "nullable" | "default" | "oneOf" | "anyOf" | "not" | "example" | "examples" => continue,
            "type" | "format" | "items" | "additionalProperties" | "properties" if untyped => continue,
            "enum" if is("nullable") => continue,
            "required" if untyped && !either => continue,
            "$ref" => reference(value),
            "allOf" => match only_reference(value) {
                Some(target) => {
                    converted.insert("$ref".into(), reference(target));
                    continue;
                }
                None => continue,
            },
            "properties" => map_values(value),
            "items" => schema(value),
            "additionalProperties" if value.is_object() => schema(value),
            "required" => match required(value, fields.get("properties")) {
                Some(required) => required,
                None => continue,
            },
            _ => value.clone(),
        };
        converted.insert(key.clone(), value);
    }
    Value::Object(converted)
}

/// A kind whose fields are not all known. Named ones would be taken for the only ones.
fn open_kind(fields: &Map<String, Value>) -> Value {
    let kept = ["description", GROUP_VERSION_KIND];
    let kept = kept.into_iter().filter_map(|key| Some((key.to_owned(), fields.get(key)?.clone())));
    kept.chain([("type".to_owned(), "object".into())]).collect()
}

fn map_values(properties: &Value) -> Value {
    properties.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), schema(value))).collect()
}

/// A property that may be null may be absent too, for a client that knows no null.
fn required(required: &Value, properties: Option<&Value>) -> Option<Value> {
    let nullable = |name: &str| properties.is_some_and(|properties| properties[name]["nullable"] == true);
    let kept: Vec<Value> =
        required.as_array()?.iter().filter(|name| !name.as_str().is_some_and(nullable)).cloned().collect();
    (!kept.is_empty()).then_some(kept.into())
}

fn only_reference(all_of: &Value) -> Option<&Value> {
    match all_of.as_array()?.as_slice() {
        [one] => one.get("$ref"),
        _ => None,
    }
}

fn reference(target: &Value) -> Value {
    let target = target.as_str().unwrap_or_default();
    format!("{V2_PREFIX}{}", target.rsplit('/').next().unwrap_or(target)).into()
}
