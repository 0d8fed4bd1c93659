//! Decides whether owner references are complete, and whether at most one owner is in charge.

use serde_json::{Map, Value};

use super::{Path, words};
use crate::error::FieldError;
use crate::schema::validate::is_enough;

/// Owning an Event would make the garbage collector wait for something that comes and goes.
const BANNED: (&str, &str, &str) = ("", "v1", "Event");

/// The order in which upstream shows the fields of a reference.
const SHOWN: [&str; 6] = ["apiVersion", "kind", "name", "uid", "controller", "blockOwnerDeletion"];

pub(super) fn validate(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = place.field("ownerReferences");
    let owners = metadata.get("ownerReferences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let mut in_charge: Option<String> = None;
    for owner in owners {
        if is_enough(errors) {
            return;
        }
        let text = |key: &str| owner.get(key).and_then(Value::as_str).unwrap_or_default();
        // What has more slashes than one has no version.
        let (group, version) = text("apiVersion").split_once('/').unwrap_or(("", text("apiVersion")));
        if version.is_empty() || version.contains('/') {
            let version = text("apiVersion");
            errors.push(words::invalid(place.field("apiVersion"), &version.into(), "version must not be empty"));
        }
        for key in ["kind", "name", "uid"] {
            if text(key).is_empty() {
                errors.push(words::invalid(place.field(key), &"".into(), "must not be empty"));
            }
        }
        if BANNED == (group, version, text("kind")) {
            let detail = format!("/{version}, Kind={} is disallowed from being an owner", text("kind"));
            errors.push(words::invalid_shown(place, &shown(owner), &detail));
        }
        if owner.get("controller") == Some(&Value::Bool(true)) {
            let name = format!("{}/{}", text("kind"), text("name"));
            let Some(first) = &in_charge else {
                in_charge = Some(name);
                continue;
            };
            let detail = format!(
                "Only one reference can have Controller set to true. Found \"true\" in references for {first} and {name}"
            );
            let all = owners.iter().map(shown).collect::<Vec<_>>().join(",");
            errors.push(words::invalid_shown(place, &format!("[{all}]"), &detail));
        }
    }
}

fn shown(owner: &Value) -> String {
    let fields = SHOWN.iter().filter_map(|key| Some(format!("\"{key}\":{}", owner.get(key)?)));
    format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
}
