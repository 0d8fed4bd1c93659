//! Decides which keys and sizes the data of Secrets and ConfigMaps may have, and what may change once they are
//! immutable.

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::schema::words;

/// What all values may add up to.
const MAX_SIZE: usize = 1024 * 1024;

const KEY: &str = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/// The map at a field, or none.
pub(super) fn map<'a>(object: &'a Value, field: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.get(field).and_then(Value::as_object).into_iter().flat_map(Map::iter)
}

/// Checks the keys of a map.
pub(super) fn keys(object: &Value, field: &str, errors: &mut Vec<FieldError>) {
    for (key, _) in map(object, field) {
        let shown = key.as_str().into();
        let place = format!("{field}[{key}]");
        if key.len() > 253 {
            errors.push(words::invalid(&place, &shown, "must be no more than 253 characters"));
        }
        if key.is_empty() || !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        {
            errors.push(words::invalid(&place, &shown, KEY));
        } else if key == "." || key == ".." {
            errors.push(words::invalid(&place, &shown, &format!("must not be '{key}'")));
        } else if key.starts_with("..") {
            errors.push(words::invalid(&place, &shown, "must not start with '..'"));
        }
    }
}

/// Checks the total size. `field` is where the error is told.
pub(super) fn size(size: usize, field: &str, errors: &mut Vec<FieldError>) {
    if size > MAX_SIZE {
        errors.push(words::too_long(field, MAX_SIZE as u64));
    }
}

/// Checks that what is immutable stays as it is.
pub(super) fn immutable(new: &Value, old: Option<&Value>, fields: &[&str], errors: &mut Vec<FieldError>) {
    let Some(old) = old else { return };
    let is_set = |object: &Value| object.get("immutable") == Some(&Value::Bool(true));
    if !is_set(old) {
        return;
    }
    if !is_set(new) {
        errors.push(words::forbidden("immutable", "field is immutable when `immutable` is set"));
    }
    for field in fields {
        let value = |object: &'_ Value| {
            object.get(*field).filter(|value| !matches!(value, Value::Object(map) if map.is_empty())).cloned()
        };
        if value(new) != value(old) {
            errors.push(words::forbidden(field, "field is immutable when `immutable` is set"));
        }
    }
}
