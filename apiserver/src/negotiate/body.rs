//! Reads `Content-Type`: what language a body is in, and which patch it is.

use crate::error::{ApiError, Reason};
use crate::patch::PatchType;
use crate::registry::Kind;

use super::media;

/// The language of a request body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyFormat {
    /// `application/json`, or not said.
    Json,
    /// `application/yaml`
    Yaml,
    /// `application/vnd.kubernetes.protobuf`
    Protobuf,
}

/// The language of the body of a create, an update or a delete.
///
/// # Errors
/// 415 for one we can't read.
pub fn body(content_type: Option<&str>) -> Result<BodyFormat, ApiError> {
    match essence(content_type).as_deref() {
        // Generated Python clients send none.
        None | Some("application/json") => Ok(BodyFormat::Json),
        Some("application/yaml" | "application/x-yaml" | "text/yaml") => Ok(BodyFormat::Yaml),
        Some("application/vnd.kubernetes.protobuf") => Ok(BodyFormat::Protobuf),
        Some(_) => Err(unsupported_body()),
    }
}

/// 415 for the body of a create, an update or a delete, with what is read in general.
#[must_use]
pub fn unsupported_body() -> ApiError {
    unsupported(["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"])
}

/// Which patch a PATCH carries. Strategic merge needs Kubernetes' merge keys, so only built-in kinds take it.
///
/// # Errors
/// 415 for any other type, and where the header is absent: a patch can't be guessed.
pub fn patch(content_type: Option<&str>, kind: &Kind) -> Result<PatchType, ApiError> {
    let served = PatchType::of(kind);
    let essence = essence(content_type).unwrap_or_default();
    let known = served.iter().copied().find(|patch| patch.media_type() == essence);
    known.ok_or_else(|| unsupported(served.iter().map(|patch| patch.media_type())))
}

fn essence(content_type: Option<&str>) -> Option<String> {
    let text = content_type.map(str::trim).filter(|text| !text.is_empty())?;
    Some(media::parse(text).map_or_else(|| text.to_ascii_lowercase(), |media| media.essence()))
}

fn unsupported<'a>(accepted: impl IntoIterator<Item = &'a str>) -> ApiError {
    let accepted = accepted.into_iter().collect::<Vec<_>>().join(", ");
    ApiError::new(
        Reason::UnsupportedMediaType,
        format!("the body of the request was in an unknown format - accepted media types include: {accepted}"),
    )
}
