//! Decides whether a request body is an object of the kind that the path names.

use serde_json::Value;

use crate::error::{ApiError, FieldError, FieldErrorKind};
use crate::negotiate::{self, BodyFormat};
use crate::schema::decode::{self, Decoded};
use crate::schema::object;
use crate::verbs::served::Served;

/// The object in the body of a create or update.
pub(crate) fn object(served: &Served, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, ApiError> {
    // Only the fields of built-in kinds have numbers.
    if !served.kind.is_built_in() && negotiate::body(content_type)? == BodyFormat::Protobuf {
        return Err(negotiate::unsupported_body());
    }
    let mut decoded = any(&served.kind.kind, content_type, body)?;
    if served.kind.is_built_in()
        && let Some(fields) = decoded.value.as_object_mut()
    {
        // Clients with types of their own leave out what the path says.
        for (field, value) in [("kind", served.kind.kind.clone()), ("apiVersion", served.api_version())] {
            let is_empty = |value: &Value| value.is_null() || value == "";
            if fields.get(field).is_none_or(is_empty) {
                fields.insert(field.into(), value.into());
            }
        }
    }
    check(served, &decoded.value, body)?;
    Ok(decoded)
}

/// Any document, in the name of what it should be. Protobuf is read for built-in kinds and for what every kind takes.
pub(crate) fn any(kind: &str, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, ApiError> {
    let decoded = match negotiate::body(content_type)? {
        BodyFormat::Json => decode::json(body),
        BodyFormat::Yaml => decode::yaml(body),
        BodyFormat::Protobuf => decode::protobuf(body),
    };
    decoded.map_err(|error| decode::unrecognized(kind, body, &error))
}

/// Refuses an object that is none of the kind, or that nothing behind may come across.
pub(crate) fn check(served: &Served, value: &Value, body: &[u8]) -> Result<(), ApiError> {
    check_type(served, value, body)?;
    let mismatch = object::check(served.kind.as_ref(), served.version(), value);
    mismatch.map_err(|error| {
        let kind = &served.kind.kind;
        let version = &served.version().name;
        ApiError::bad_request(format!(
            "{kind} in version \"{version}\" cannot be handled as a {kind}: {}",
            error.message
        ))
    })
}

/// Checks `kind` and `apiVersion`.
fn check_type(served: &Served, value: &Value, body: &[u8]) -> Result<(), ApiError> {
    let kind = &served.kind;
    let shown = String::from_utf8_lossy(body);
    let missing = |what: &str| {
        let error = ApiError::bad_request(format!("Object '{what}' is missing in '{shown}'"));
        decode::unrecognized(&kind.kind, body, &error)
    };
    let Some(given) = value["kind"].as_str().filter(|given| !given.is_empty()) else { return Err(missing("Kind")) };
    let Some(version) = value["apiVersion"].as_str().filter(|version| !version.is_empty()) else {
        return Err(missing("apiVersion"));
    };
    let expected = served.api_version();
    if version != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if given == kind.kind {
        return Ok(());
    }
    if kind.is_built_in() {
        return Err(ApiError::bad_request(format!(
            "{given} in version \"{version}\" cannot be handled as a {}: the kind does not match the resource",
            kind.kind
        )));
    }
    let error = FieldError {
        field: "kind".into(),
        kind: FieldErrorKind::Invalid,
        message: format!("Invalid value: {}: must be {}", Value::from(given), kind.kind),
    };
    // Its shape is another kind's, but upstream asks the rules all the same.
    let errors = served.version().schema.validate_rules(value, None, vec![error]);
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(&kind.group, given, name, &errors))
}
