//! Decides what a Secret is: `stringData` is folded into `data`, the type never changes, and the well-known types
//! have their keys.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Map, Value};

use super::{CellForm, Declaration, Kind, age, column, data, openapi};
use crate::error::FieldError;
use crate::schema::{decode, words};

/// Keys that a Secret of a well-known type must have.
const KEYS: [(&str, &[&str]); 4] = [
    ("kubernetes.io/tls", &["tls.crt", "tls.key"]),
    ("kubernetes.io/dockerconfigjson", &[".dockerconfigjson"]),
    ("kubernetes.io/dockercfg", &[".dockercfg"]),
    ("kubernetes.io/ssh-auth", &["ssh-privatekey"]),
];

pub(super) fn kind() -> Kind {
    let schema = openapi::schema::<Secret>();
    let [type_, data] = ["type", "data"].map(|field| openapi::description(&schema, &[field]));
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
            column("Type", CellForm::Text, &type_, ".type"),
            column("Data", CellForm::Count, &data, "=count .data"),
            age(),
        ],
        openapi: schema,
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

/// What is doubtful about a Secret: a certificate and a key that don't belong together, in the words of Go's TLS.
pub(super) fn doubts(new: &Value) -> Vec<String> {
    if new["type"] != "kubernetes.io/tls" {
        return Vec::new();
    }
    let bytes = |key: &str| STANDARD.decode(new["data"][key].as_str().unwrap_or_default()).unwrap_or_default();
    crate::tls::pair_problem(&bytes("tls.crt"), &bytes("tls.key")).into_iter().map(str::to_owned).collect()
}

pub(super) fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    data::keys(new, "data", &mut errors);
    let decoded = |text: &str| text.len() / 4 * 3;
    data::size(data::map(new, "data").filter_map(|(_, value)| value.as_str()).map(decoded).sum(), "data", &mut errors);
    let type_ = new.get("type").and_then(Value::as_str).unwrap_or_default();
    required_together(new, type_, &mut errors);
    well_formed(new, type_, &mut errors);
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

/// What a type asks for beside its [`KEYS`].
fn required_together(secret: &Value, type_: &str, errors: &mut Vec<FieldError>) {
    const LOGIN: [&str; 2] = ["username", "password"];
    const ACCOUNT: &str = "kubernetes.io/service-account.name";
    let has = |key: &str| data::map(secret, "data").any(|(present, _)| present == key);
    match type_ {
        "kubernetes.io/basic-auth" if !LOGIN.iter().any(|key| has(key)) => {
            errors.extend(LOGIN.map(|key| words::required(format!("data[{key}]"), "")));
        }
        "kubernetes.io/service-account-token"
            if secret["metadata"]["annotations"][ACCOUNT].as_str().unwrap_or_default().is_empty() =>
        {
            errors.push(words::required(format!("metadata.annotations[{ACCOUNT}]"), ""));
        }
        _ => {}
    }
}

/// The settings of a container registry are JSON.
fn well_formed(secret: &Value, type_: &str, errors: &mut Vec<FieldError>) {
    let key = match type_ {
        "kubernetes.io/dockercfg" => ".dockercfg",
        "kubernetes.io/dockerconfigjson" => ".dockerconfigjson",
        _ => return,
    };
    let Some(text) = secret["data"][key].as_str().and_then(|text| STANDARD.decode(text).ok()) else { return };
    if let Err(error) = decode::merge_patch(&text) {
        let place = format!("data[{key}]");
        errors.push(words::invalid(place, &"<secret contents redacted>".into(), &error.message));
    }
}
