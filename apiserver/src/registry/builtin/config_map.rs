//! Decides what a ConfigMap is: texts and bytes under keys that don't collide.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

use super::{CellForm, Declaration, Kind, age, column, data, openapi};
use crate::error::FieldError;
use crate::schema::words;

pub(super) fn kind() -> Kind {
    let schema = openapi::schema::<ConfigMap>();
    let data = openapi::description(&schema, &["data"]);
    Declaration {
        group: "",
        version: "v1",
        kind: "ConfigMap",
        plural: "configmaps",
        short_names: &["cm"],
        categories: &[],
        namespaced: true,
        status: false,
        selectable_fields: &[],
        columns: vec![column("Data", CellForm::Count, &data, "=count .data .binaryData"), age()],
        openapi: schema,
    }
    .into_kind()
}

pub(super) fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    data::keys(new, "data", &mut errors);
    data::keys(new, "binaryData", &mut errors);
    for (key, _) in data::map(new, "data") {
        if new.get("binaryData").and_then(|bytes| bytes.get(key)).is_some() {
            let detail = "duplicate of key present in binaryData";
            errors.push(words::invalid(format!("data[{key}]"), &key.as_str().into(), detail));
        }
    }
    let texts = data::map(new, "data").filter_map(|(_, value)| value.as_str()).map(str::len);
    let bytes = data::map(new, "binaryData").filter_map(|(_, value)| value.as_str()).map(|text| text.len() / 4 * 3);
    data::size(texts.chain(bytes).sum(), "", &mut errors);
    data::immutable(new, old, &["data", "binaryData"], &mut errors);
    errors
}
