//! Decides whether a request body is an object of the kind that the path names.

use serde_json::Value;

use super::{fields, misfit};
use crate::error::{ApiError, FieldError, FieldErrorKind};
use crate::negotiate::{self, BodyFormat};
use crate::schema::decode::{self, Decoded};
use crate::schema::{object, words};
use crate::verbs::served::Served;

/// Refuses a body in a language that is not read for the kind.
pub(crate) fn check_format(served: &Served, content_type: Option<&str>) -> Result<(), ApiError> {
    // Only the fields of built-in kinds have numbers.
    if negotiate::body(content_type)? == BodyFormat::Protobuf && !served.kind.is_built_in() {
        return Err(negotiate::unsupported_body());
    }
    Ok(())
}

/// The object in the body of a create or update.
pub(crate) fn object(served: &Served, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, ApiError> {
    check_format(served, content_type)?;
    // Go reads null into a struct without a word.
    let read = if body.trim_ascii() == b"null" { b"{}" } else { body };
    let mut decoded = any(&served.kind.kind, content_type, read)?;
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
    fill_nulls(&mut decoded.value);
    Ok(decoded)
}

/// Makes texts of the nulls in maps of texts, as Go's decoder does.
pub(crate) fn fill_nulls(object: &mut Value) {
    let maps = ["/metadata/labels", "/metadata/annotations", "/data", "/stringData", "/binaryData"];
    let is_data = matches!(object["kind"].as_str(), Some("ConfigMap" | "Secret")) && object["apiVersion"] == "v1";
    for place in &maps[..if is_data { maps.len() } else { 2 }] {
        let map = object.pointer_mut(place).and_then(Value::as_object_mut);
        for value in map.into_iter().flat_map(|map| map.values_mut()).filter(|value| value.is_null()) {
            *value = "".into();
        }
    }
}

/// Any document, in the name of what it should be. Protobuf is read for built-in kinds and for what every kind takes.
pub(crate) fn any(kind: &str, content_type: Option<&str>, body: &[u8]) -> Result<Decoded, ApiError> {
    let format = negotiate::body(content_type)?;
    read(format, body).map_err(|error| decode::unrecognized(kind, body, &error))
}

fn read(format: BodyFormat, body: &[u8]) -> Result<Decoded, ApiError> {
    match format {
        BodyFormat::Json => decode::json(body),
        BodyFormat::Yaml => decode::yaml(body),
        BodyFormat::Protobuf => decode::protobuf(body),
    }
}

/// The options in the body of a deletion. Nothing in them may be passed over: a `dryRun` that isn't understood would
/// delete in earnest.
pub(crate) fn delete_options(content_type: Option<&str>, body: &[u8]) -> Result<Value, ApiError> {
    const KIND: &str = "DeleteOptions";
    let options = read(negotiate::body(content_type)?, body)?.value;
    let text = |field: &str| options[field].as_str().unwrap_or_default();
    for field in ["kind", "apiVersion"] {
        if !(options[field].is_null() || options[field].is_string()) {
            let why = words::go_mismatch(&options[field], "DeleteOptions", field, "string");
            return Err(ApiError::bad_request(format!("couldn't get version/kind; json parse error: {why}")));
        }
    }
    if !matches!(text("kind"), "" | KIND) {
        return Err(ApiError::bad_request(format!(
            "no kind \"{}\" is registered for version \"{}\" in scheme \"pkg/apis/meta/internalversion/scheme/register.go:27\"",
            text("kind"),
            text("apiVersion"),
        )));
    }
    match decode::mismatch("v1", KIND, &options) {
        Some(why) => Err(ApiError::bad_request(why)),
        None => Ok(options),
    }
}

/// Refuses an object that is none of the kind, or that nothing behind may come across.
pub(crate) fn check(served: &Served, value: &Value, body: &[u8]) -> Result<(), ApiError> {
    check_type(served, value, body)?;
    let mismatch = object::check(served.kind.as_ref(), served.version(), value);
    mismatch.map_err(|error| undecodable(served, value, &error.message))
}

/// Refuses what a patch made if it is none of the kind. `patch` is the patch, if it is a strategic one.
pub(crate) fn check_patched(served: &Served, value: &Value, patch: Option<&Value>) -> Result<(), ApiError> {
    if decode::is_too_deep(value) {
        return object::check(served.kind.as_ref(), served.version(), value)
            .map_err(|error| undecodable(served, value, &error.message));
    }
    if value["kind"].as_str().is_none_or(str::is_empty) {
        return Err(fields::unfit(&fields::shown(value, patch), &format!("Object 'Kind' is missing in '{value}'")));
    }
    let unfit = |why: &str| fields::unfit(&fields::shown(value, patch), why);
    if let Some(why) = foreign(served, value) {
        return Err(unfit(&why));
    }
    check_type(served, value, b"")?;
    object::check(served.kind.as_ref(), served.version(), value).map_err(|error| {
        let why = if patch.is_some() { misfit::in_go(&error.message) } else { error.message };
        unfit(&why)
    })
}

/// 400 for a body that can't be read as an object of the kind.
fn undecodable(served: &Served, value: &Value, why: &str) -> ApiError {
    let given = value["kind"].as_str().unwrap_or_default();
    let version = value["apiVersion"].as_str().unwrap_or_default();
    let version = version.split_once('/').map_or(version, |(_, version)| version);
    ApiError::bad_request(format!(
        "{given} in version \"{version}\" cannot be handled as a {}: {why}",
        served.kind.kind
    ))
}

/// Why an object of another type can't be one of a built-in kind, in upstream's words.
fn foreign(served: &Served, value: &Value) -> Option<String> {
    let kind = &served.kind;
    let (given, version) = (value["kind"].as_str()?, value["apiVersion"].as_str()?);
    if !kind.is_built_in() || (given == kind.kind && version == served.api_version()) {
        return None;
    }
    if !decode::is_known(version, given) {
        let scheme = match kind.group.as_str() {
            "apiextensions.k8s.io" => "pkg/apiserver/apiserver.go:55",
            _ => "pkg/api/legacyscheme/scheme.go:30",
        };
        return Some(format!("no kind \"{given}\" is registered for version \"{version}\" in scheme \"{scheme}\""));
    }
    // Another version of the same kind is read; that it is another is found later.
    if given == kind.kind {
        return None;
    }
    let from = version.split_once('/').map_or(version, |(_, version)| version);
    let to = served.go_type("");
    Some(format!("converting ({from}.{given}) to ({}): unknown conversion", to.trim_start_matches('*')))
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
    if let Some(why) = foreign(served, value) {
        return Err(undecodable(served, value, &why));
    }
    let expected = served.api_version();
    if version != expected {
        return Err(ApiError::bad_request(format!(
            "the API version in the data ({version}) does not match the expected API version ({expected})"
        )));
    }
    if given == kind.kind {
        return Ok(());
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
