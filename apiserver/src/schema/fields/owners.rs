//! Decides whether owner references are complete, and whether at most one owner is in charge.

use serde_json::{Map, Value};

use super::{Path, words};
use crate::error::FieldError;

/// Owning an Event would make the garbage collector wait for something that comes and goes.
const BANNED: [(&str, &str); 2] = [("v1", "Event"), ("events.k8s.io/v1", "Event")];

pub(super) fn validate(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = place.field("ownerReferences");
    let owners = metadata.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut in_charge: Option<&Value> = None;
    for (index, owner) in owners.iter().enumerate() {
        let entry = place.index(index);
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        let version = text("apiVersion");
        if version.split_once('/').map_or(version, |(_, version)| version).is_empty() {
            errors.push(words::invalid(entry.field("apiVersion"), &version.into(), "version must not be empty"));
        }
        for key in ["kind", "name", "uid"] {
            if text(key).is_empty() {
                errors.push(words::invalid(entry.field(key), &"".into(), "must not be empty"));
            }
        }
        if BANNED.contains(&(version, text("kind"))) {
            let detail = format!("{version}, Kind={} is disallowed from being an owner", text("kind"));
            errors.push(words::invalid(place, owner, &detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            if let Some(first) = in_charge {
                let name = |owner: &Value| owner.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
                let detail = format!(
                    "Only one reference can have Controller set to true. Found \"true\" in references for {} and {}",
                    name(first),
                    name(owner)
                );
                errors.push(words::invalid(place, &Value::from(owners), &detail));
            }
            in_charge = Some(owner);
        }
    }
}
