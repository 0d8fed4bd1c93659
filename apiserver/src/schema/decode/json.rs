//! Decides how JSON is read, and words its errors as Go's parser does, because that is what tools have seen.

use std::collections::HashMap;

use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_json::error::Category;

use super::value::{Read, Reader, TOO_DEEP};
use super::{Decoded, MAX_BODY, require_object};
use crate::error::{ApiError, Reason};
use crate::schema::words;

/// The type that upstream first looks for kind and version in.
const TYPE_META: &str =
    r#"struct { APIVersion string "json:\"apiVersion,omitempty\""; Kind string "json:\"kind,omitempty\"" }"#;

/// Decodes a JSON object.
///
/// # Errors
/// 400 for what is no JSON object (wrap it with [`super::unrecognized`] where a kind was expected), 413 for a body
/// that is too large.
pub fn json(body: &[u8]) -> Result<Decoded, ApiError> {
    if body.len() > MAX_BODY {
        return Err(too_large());
    }
    let why = match read(body) {
        Ok(decoded) if decoded.value.is_object() => return Ok(decoded),
        Ok(decoded) => {
            let kind = words::go_kind(&decoded.value);
            format!("json: cannot unmarshal {kind} into Go value of type {TYPE_META}")
        }
        Err(error) => explained(body, &error),
    };
    Err(ApiError::bad_request(format!("couldn't get version/kind; json parse error: {why}")))
}

/// Decodes the JSON object of a merge patch.
///
/// # Errors
/// 400 for what is no JSON object, in the bare words of Go's parser; 413 for a body that is too large.
pub fn merge_patch(body: &[u8]) -> Result<Decoded, ApiError> {
    if body.len() > MAX_BODY {
        return Err(too_large());
    }
    match read(body) {
        Ok(decoded) => require_object(decoded),
        Err(error) => Err(ApiError::bad_request(explained(body, &error))),
    }
}

/// Decodes any JSON, in the bare words of Go's parser.
///
/// # Errors
/// 400 for what is no JSON, 413 for a body that is too large.
pub fn any_json(body: &[u8]) -> Result<Decoded, ApiError> {
    if body.len() > MAX_BODY {
        return Err(too_large());
    }
    read(body).map_err(|error| ApiError::bad_request(explained(body, &error)))
}

/// Decodes any JSON inside another body; nothing at all is null.
pub(super) fn any_value(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    read(bytes).map(|decoded| decoded.value).map_err(|error| ApiError::bad_request(explained(bytes, &error)))
}

/// Which of these paths stand where in the order of a body; none of them in what is no JSON.
#[must_use]
pub fn places<'p>(body: &[u8], paths: impl Iterator<Item = &'p str>) -> HashMap<String, usize> {
    let mut reader = Reader::looking_for(paths);
    let read = Read(&mut reader).deserialize(&mut serde_json::Deserializer::from_slice(body));
    match read {
        Ok(_) => reader.places.into_iter().filter_map(|(path, place)| Some((path, place?))).collect(),
        Err(_) => HashMap::new(),
    }
}

fn read(body: &[u8]) -> Result<Decoded, serde_json::Error> {
    let mut reader = Reader::default();
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let value = Read(&mut reader).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(Decoded { value, duplicates: reader.duplicates })
}

pub(super) fn too_large() -> ApiError {
    ApiError::new(Reason::RequestEntityTooLarge, format!("Request entity too large: limit is {MAX_BODY}"))
}

fn explained(body: &[u8], error: &serde_json::Error) -> String {
    let text = error.to_string();
    if error.classify() == Category::Eof {
        return "unexpected end of JSON input".to_owned();
    }
    if text.contains(TOO_DEEP) || text.starts_with("recursion limit") {
        return TOO_DEEP.to_owned();
    }
    let context = [
        ("key must be a string", "looking for beginning of object key string"),
        ("expected value", "looking for beginning of value"),
        ("expected `:`", "after object key"),
        ("expected `,` or `}`", "after object key:value pair"),
        ("expected `,` or `]`", "after array element"),
        ("trailing characters", "after top-level value"),
        ("trailing comma", "looking for beginning of value"),
        ("control character", "in string literal"),
        ("invalid escape", "in string escape code"),
        ("invalid number", "in numeric literal"),
    ];
    if text.starts_with("expected ident") {
        return in_literal(body, error.line(), error.column()).unwrap_or(text);
    }
    let context = context.iter().find(|(start, _)| text.starts_with(start)).map(|(_, context)| *context);
    match (context, character(body, error.line(), error.column())) {
        (Some(context), Some(character)) => format!("invalid character {character} {context}"),
        _ => text,
    }
}

/// What Go says of a word that begins as `true`, `false` or `null` and goes on otherwise.
fn in_literal(body: &[u8], line: usize, column: usize) -> Option<String> {
    let found = character(body, line, column)?;
    let line = body.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let at = column.saturating_sub(1).min(line.len());
    ["true", "false", "null"].iter().find_map(|literal| {
        let place =
            (1..literal.len().min(at + 1)).rev().find(|place| line[..at].ends_with(&literal.as_bytes()[..*place]))?;
        let expected = &literal[place..=place];
        Some(format!("invalid character {found} in literal {literal} (expecting '{expected}')"))
    })
}

/// The character that the parser stumbled over, quoted as Go does.
fn character(body: &[u8], line: usize, column: usize) -> Option<String> {
    let line = body.split(|byte| *byte == b'\n').nth(line.checked_sub(1)?)?;
    let from = column.saturating_sub(1).min(line.len());
    let character = String::from_utf8_lossy(&line[from..]).chars().next().unwrap_or('\n');
    Some(match character {
        '\'' => "'\\''".to_owned(),
        '\n' => "'\\n'".to_owned(),
        '"' => "'\"'".to_owned(),
        character => format!("'{}'", character.escape_default()),
    })
}
