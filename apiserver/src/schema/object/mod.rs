//! Decides whether a whole object is good: what a client sent is looked at before anything reads it ([`check`]), made
//! whole ([`complete`]), and everything that is wrong with it comes out in upstream's order ([`validate`]). Unknown fields
//! go in between, as the client wishes. It knows no verb and no store.

use serde_json::Value;

use crate::error::{ApiError, FieldError};
use crate::registry::{Kind, Version, builtin};
use crate::schema::{decode, fields, words};

/// Refuses what nothing behind may come across, whoever made it: a client's body or a patch.
///
/// # Errors
/// 400 for an object that nests too deep, whose metadata has the wrong shape, or, of a built-in kind, any field.
pub fn check(kind: &Kind, version: &Version, value: &Value) -> Result<(), ApiError> {
    if decode::is_too_deep(value) {
        return Err(ApiError::bad_request(format!("the object nests deeper than {} levels", decode::MAX_DEPTH)));
    }
    fields::check_shape(value, kind.is_built_in())?;
    let mismatch = match kind.is_built_in() {
        true => decode::mismatch(&kind.api_version(&version.name), &kind.kind, value),
        false => None,
    };
    mismatch.map_or(Ok(()), |sentence| Err(ApiError::bad_request(sentence)))
}

/// Makes an object what is validated and stored: defaults come, the built-in kinds fold their write-only fields.
/// Doing it twice changes nothing more.
pub fn complete(kind: &Kind, version: &Version, value: &mut Value) {
    version.schema.default(value);
    if kind.is_built_in() {
        builtin::prepare(kind, value);
        decode::omit_empty(&kind.api_version(&version.name), &kind.kind, value);
        builtin::fill_blank(kind, value);
    } else if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        decode::omit_empty_metadata(metadata);
    }
}

/// Everything wrong with `new`, in upstream's order. `old` is the stored object (in the same version) on an update.
#[must_use]
pub fn validate(kind: &Kind, version: &Version, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = fields::validate(kind, new, old);
    errors.extend(version.schema.validate_shape(new, old));
    if let Some(scale) = &version.scale {
        replicas(&scale.spec_replicas_path, new, &mut errors);
        replicas(&scale.status_replicas_path, new, &mut errors);
    }
    if kind.is_built_in() {
        errors.extend(builtin::validate(kind, new, old));
    }
    version.schema.validate_rules(new, old, errors)
}

/// What is doubtful about a good object, in upstream's words. `old` is the stored one on an update: only what is new is
/// told.
#[must_use]
pub fn doubts(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<String> {
    if kind.is_built_in() { builtin::doubts(kind, new, old) } else { fields::doubtful_finalizers(new, old) }
}

/// Everything wrong with a new status, in upstream's order: the rest of the object is as it was and not looked at.
#[must_use]
pub fn validate_status(kind: &Kind, version: &Version, new: &Value, old: &Value) -> Vec<FieldError> {
    if kind.is_built_in() {
        return validate(kind, version, new, Some(old));
    }
    let mut errors = fields::validate(kind, new, Some(old));
    errors.extend(version.schema.validate_status(new, old));
    if let Some(scale) = &version.scale {
        replicas(&scale.status_replicas_path, new, &mut errors);
    }
    version.schema.validate_rules(new, Some(old), errors)
}

/// What `/scale` would show must be a count, also where the schema allows more.
fn replicas(path: &str, value: &Value, errors: &mut Vec<FieldError>) {
    let found = path.split('.').filter(|step| !step.is_empty()).try_fold(value, |value, step| value.get(step));
    let Some(found) = found.filter(|found| !found.is_null()) else { return };
    match found.as_i64() {
        Some(count) if count < 0 => errors.push(words::invalid(path, found, "should be a non-negative integer")),
        Some(count) if count > i64::from(i32::MAX) => {
            let detail = format!("should be less than or equal to {}", i32::MAX);
            errors.push(words::invalid(path, found, &detail));
        }
        Some(_) => {}
        None => {
            let shown = found.as_str().map_or_else(|| found.to_string(), str::to_owned);
            let detail =
                format!("{path} accessor error: {shown} is of the type {}, expected int64", words::go_type(found));
            errors.push(words::invalid(path, &0.into(), &detail));
        }
    }
}

#[cfg(test)]
mod tests;
