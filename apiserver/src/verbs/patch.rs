//! Changes objects by a patch: computed on the present state, and again on a newer one where somebody was faster.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::served::Served;
use super::write::{Owners, Part, Proposal, revise};
use super::{Call, apply};
use crate::admission::{decode, fields, metadata};
use crate::error::ApiError;
use crate::negotiate;
use crate::patch::{PatchType, json, merge, strategic};
use crate::query::{FieldValidation, WriteKind, WriteOptions};
use crate::response::Answer;
use crate::schema::decode::{Decoded, merge_patch};

/// `PATCH .../{name}` and `PATCH .../{name}/status`
pub(crate) async fn patch(call: &Call, body: Bytes, part: Part) -> Result<Answer, ApiError> {
    let kind = negotiate::patch(call.content_type.as_deref(), &call.served.kind)?;
    call.check_named()?;
    if kind == PatchType::Apply {
        let options = call.write_options(WriteKind::Apply)?;
        return apply::apply(call, &body, part, &options).await;
    }
    let options = call.write_options(WriteKind::Patch)?;
    let patch = Patch::read(kind, &body, &options)?;
    let written = revise(call, &options, |current| {
        let value = patch.made(&call.served, &call.served.value(current), &options)?;
        Ok(Proposal { value, part, owners: Owners::Followed })
    })
    .await?;
    written.present(call, StatusCode::OK)
}

/// A patch as it came.
pub(crate) struct Patch {
    content: Content,
    /// Keys that it has twice, as far as it is a merge.
    duplicates: Vec<String>,
    /// What a strict reader says of a list of operations.
    warnings: Vec<String>,
}

enum Content {
    Json(Vec<json::Operation>),
    Merge(Value),
    Strategic(Value),
}

impl Patch {
    pub(crate) fn read(kind: PatchType, body: &[u8], options: &WriteOptions) -> Result<Self, ApiError> {
        let undecodable = |error: ApiError| ApiError::bad_request(format!("error decoding patch: {}", error.message));
        let merge = |decoded: Decoded, content: fn(Value) -> Content| Self {
            content: content(decoded.value),
            duplicates: decoded.duplicates,
            warnings: Vec::new(),
        };
        match kind {
            PatchType::Json => {
                let json::Read { operations, warnings } = json::read(body)?;
                let warnings = if options.validation == FieldValidation::Ignore { Vec::new() } else { warnings };
                Ok(Self { content: Content::Json(operations), duplicates: Vec::new(), warnings })
            }
            PatchType::Merge => Ok(merge(merge_patch(body).map_err(undecodable)?, Content::Merge)),
            PatchType::Strategic => Ok(merge(merge_patch(body)?, Content::Strategic)),
            PatchType::Apply => Err(ApiError::internal("an apply is no function of the object alone")),
        }
    }

    /// What the patch makes of an object of any kind.
    pub(crate) fn apply(&self, served: &Served, current: &Value) -> Result<Value, ApiError> {
        match &self.content {
            Content::Json(operations) => json::apply(current, operations),
            Content::Merge(patch) => {
                let mut patched = current.clone();
                merge::apply(&mut patched, patch);
                Ok(patched)
            }
            Content::Strategic(patch) => strategic::apply(current, patch, &served.kind),
        }
    }

    /// What the patch makes of an object, without what nobody knows.
    fn made(&self, served: &Served, current: &Value, options: &WriteOptions) -> Result<Value, ApiError> {
        let mut value = self.apply(served, current)?;
        let strategic = match &self.content {
            Content::Strategic(patch) => Some(patch),
            Content::Json(_) | Content::Merge(_) => None,
        };
        decode::check_patched(served, &value, strategic)?;
        let is_strict = options.validation == FieldValidation::Strict;
        let text = if is_strict { fields::shown(&value, strategic) } else { String::new() };
        decode::fill_nulls(&mut value);
        let mut findings = fields::prune(served, &mut value, &self.duplicates, b"");
        findings.precede(&self.warnings);
        options.warnings.say(findings.judge_patch(&text, options.validation)?);
        let repeated = metadata::drop_repeated_owners(metadata::of(&mut value)?, " after mutating admission happens");
        options.warnings.say(repeated);
        Ok(value)
    }
}
