//! Decides how JSON is read, and words its errors as Go's parser does, because that is what tools have seen.

use serde::de::DeserializeSeed;
use serde_json::Value;
use serde_json::error::Category;

use super::value::{Read, Reader, TOO_DEEP};
use super::{Decoded, MAX_BODY, require_object};
use crate::error::{ApiError, Reason};

/// Decodes a JSON object.
///
/// # Errors
/// 400 for what is no JSON object (wrap it with [`super::unrecognized`] where a kind was expected), 413 for a body
/// that is too large.
pub fn json(body: &[u8]) -> Result<Decoded, ApiError> {
    if body.len() > MAX_BODY {
        return Err(too_large());
    }
    match read(body) {
        Ok(decoded) => require_object(decoded),
        Err(error) => {
            let explained = explained(body, &error);
            Err(ApiError::bad_request(format!("couldn't get version/kind; json parse error: {explained}")))
        }
    }
}

/// Decodes any JSON inside another body; nothing at all is null.
pub(super) fn any_value(bytes: &[u8]) -> Result<Value, ApiError> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    read(bytes).map(|decoded| decoded.value).map_err(|error| ApiError::bad_request(explained(bytes, &error)))
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
        ("expected ident", "in literal"),
        ("invalid number", "in numeric literal"),
    ];
    let context = context.iter().find(|(start, _)| text.starts_with(start)).map(|(_, context)| *context);
    match (context, character(body, error.line(), error.column())) {
        (Some(context), Some(character)) => format!("invalid character {character} {context}"),
        _ => text,
    }
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
