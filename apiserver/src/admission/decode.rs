//! Decides whether a request body is an object of the kind that the path names.

use serde_json::Value;

use crate::error::{ApiError, FieldError, FieldErrorKind};
use crate::negotiate::{self, BodyFormat};
use crate::schema::decode::{self, Decoded};
use crate::verbs::served::Served;

/// Levels of nesting that an object may have.
const MAX_DEPTH: usize = 100;

/// The object in the body of a create or update.
pub(crate) fn object(served: &Served, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, ApiError> {
    let decoded = any(&served.kind.kind, content_type, body)?;
    check_type(served, &decoded.value, body)?;
    Ok(decoded)
}

/// Any document, in the name of what it should be.
pub(crate) fn any(kind: &str, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, ApiError> {
    let decoded = match negotiate::body(content_type)? {
        BodyFormat::Json => decode::json(body),
        BodyFormat::Yaml => decode::yaml(body),
    };
    let decoded = decoded.map_err(|error| decode::unrecognized(kind, body, &error))?;
    check_depth(&decoded.value)?;
    Ok(decoded)
}

/// Refuses what is nested so deep that handling it would endanger the stack.
pub(crate) fn check_depth(value: &Value) -> Result<(), ApiError> {
    let mut layer = vec![value];
    for _ in 0..MAX_DEPTH {
        layer = layer
            .into_iter()
            .flat_map(|value| {
                let (list, map) = (value.as_array(), value.as_object());
                list.into_iter().flatten().chain(map.into_iter().flat_map(|map| map.values()))
            })
            .filter(|value| value.is_array() || value.is_object())
            .collect();
        if layer.is_empty() {
            return Ok(());
        }
    }
    Err(ApiError::bad_request(format!("the object is nested more than {MAX_DEPTH} levels deep")))
}

/// Checks `kind` and `apiVersion`.
pub(crate) fn check_type(served: &Served, value: &Value, body: &[u8]) -> Result<(), ApiError> {
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
    let name = value["metadata"]["name"].as_str().unwrap_or_default();
    Err(ApiError::invalid(&kind.group, given, name, &[error]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_has_a_limit() {
        let nested = |levels: usize| (0..levels).fold(Value::Null, |inner, _| Value::Array(vec![inner]));
        assert!(check_depth(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(check_depth(&nested(MAX_DEPTH + 1)).unwrap_err().reason.code(), 400);
    }
}
