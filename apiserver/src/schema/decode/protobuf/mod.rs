//! Decides how Kubernetes' protobuf reads as JSON: the same object that a client would have sent as JSON.
//!
//! In: a request body, `k8s\0` and a `runtime.Unknown` around the object. Out: the object. Fields that the tables do
//! not know are ignored, as every protobuf reader does. Answers are never written in it.

pub(super) mod tables;
mod value;
mod wire;

use serde_json::{Map, Value};

use self::tables::Tables;
use self::value::Decoder;
use self::wire::{Malformed, Reader, Wire};
use super::{Decoded, MAX_BODY, is_too_deep};
use crate::error::ApiError;

/// What every body begins with.
const PREFIX: &[u8] = b"k8s\0";

/// Decodes an object of a built-in kind, or the options of a deletion.
///
/// # Errors
/// 400 for what is no such object, 413 for a body that is too large.
pub fn protobuf(body: &[u8]) -> Result<Decoded, ApiError> {
    if body.len() > MAX_BODY {
        return Err(super::json::too_large());
    }
    let Some(envelope) = body.strip_prefix(PREFIX) else {
        return Err(ApiError::bad_request(
            "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
        ));
    };
    let malformed = |error: Malformed| ApiError::bad_request(error.to_string());
    let Envelope { api_version, kind, object } = Envelope::read(envelope).map_err(malformed)?;
    if kind.is_empty() {
        return Err(ApiError::bad_request("Object 'Kind' is missing in the protobuf envelope"));
    }
    let tables = Tables::get();
    let Some(message) = tables.of_kind(&api_version, &kind) else {
        return Err(ApiError::bad_request(format!("no kind \"{kind}\" is registered for version \"{api_version}\"")));
    };
    let mut fields = Map::new();
    Decoder { tables }.message(message, object, &mut fields).map_err(malformed)?;
    fields.insert("apiVersion".to_owned(), api_version.into());
    fields.insert("kind".to_owned(), kind.into());
    let value = Value::Object(fields);
    if is_too_deep(&value) {
        return Err(malformed(Malformed::TooDeep));
    }
    Ok(Decoded { value, duplicates: Vec::new() })
}

/// A `runtime.Unknown`.
#[derive(Default)]
struct Envelope<'a> {
    api_version: String,
    kind: String,
    object: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut envelope = Self::default();
        for field in Reader(bytes) {
            let field = field?;
            match (field.number, field.value) {
                (1, Wire::Bytes(type_meta)) => {
                    for field in Reader(type_meta) {
                        let field = field?;
                        match (field.number, field.value) {
                            (1, Wire::Bytes(text)) => envelope.api_version = value::text("APIVersion", text)?,
                            (2, Wire::Bytes(text)) => envelope.kind = value::text("Kind", text)?,
                            _ => {}
                        }
                    }
                }
                (2, Wire::Bytes(object)) => envelope.object = object,
                (1 | 2, other) => {
                    return Err(Malformed::WrongType { found: other.type_number(), name: "Unknown".into() });
                }
                _ => {}
            }
        }
        Ok(envelope)
    }
}

#[cfg(test)]
mod tests;
