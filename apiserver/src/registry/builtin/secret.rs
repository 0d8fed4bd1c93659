//! Decides what a Secret is: `stringData` is folded into `data`, the type never changes, and the well-known types
//! have their keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use super::{Declaration, Kind, age, column, data, openapi};
use crate::error::FieldError;
use crate::schema::words;

/// Keys that a Secret of a well-known type must have.
const KEYS: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

pub(super) fn kind() -> Kind {
    Declaration {
        group: "",
        version: "v1",
        kind: "Secret",
        plural: "secrets",
        short_names: &[],
        categories: &[],
        namespaced: true,
        status: false,
        selectable_fields: &["type"],
        columns: vec![
            column("Type", "string", "Used to facilitate programmatic handling of secret data.", ".type"),
            column("Data", "integer", "How many keys the secret has.", "=count .data"),
            age(),
        ],
        openapi: openapi::schema::<Secret>(),
    }
    .into_kind()
}

pub(super) fn prepare(value: &mut Value) {
    let Some(secret) = value.as_object_mut() else { return };
    if secret.get("type").and_then(Value::as_str).unwrap_or_default().is_empty() {
        secret.insert("type".to_owned(), "Opaque".into());
    }
    if !matches!(secret.get("stringData"), Some(Value::Object(texts)) if texts.values().all(Value::is_string)) {
        return;
    }
    let Some(Value::Object(texts)) = secret.remove("stringData") else { return };
    let data = secret.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        data.insert(key, STANDARD.encode(text.as_str().unwrap_or_default()).into());
    }
}

pub(super) fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    data::keys(new, "data", &mut errors);
    let decoded = |text: &str| text.len() / 4 * 3;
    data::size(data::map(new, "data").filter_map(|(_, value)| value.as_str()).map(decoded).sum(), "data", &mut errors);
    let type_ = new.get("type").and_then(Value::as_str).unwrap_or_default();
    if let Some((_, keys)) = KEYS.iter().find(|(name, _)| *name == type_) {
        for key in keys.iter().filter(|key| data::map(new, "data").all(|(present, _)| present != *key)) {
            errors.push(words::required(format!("data[{key}]"), ""));
        }
    }
    if let Some(old) = old
        && new.get("type") != old.get("type")
    {
        errors.push(words::invalid("type", &type_.into(), "field is immutable"));
    }
    data::immutable(new, old, &["data"], &mut errors);
    errors
}
