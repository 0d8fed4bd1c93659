//! Changes objects by a patch: computed on the present state, and again on a newer one where somebody was faster.

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;

use super::served::Served;
use super::write::{Owners, Part, Proposal, revise};
use super::{Call, apply};
use crate::admission::decode;
use crate::error::{ApiError, FieldErrorKind};
use crate::negotiate;
use crate::patch::{PatchType, json, merge, strategic};
use crate::query::{WriteOptions, invalid_options};
use crate::response::Answer;
use crate::schema::decode::Decoded;

/// `PATCH .../{name}` and `PATCH .../{name}/status`
pub(crate) async fn patch(call: &Call, body: Bytes, part: Part) -> Result<Answer, ApiError> {
    let kind = negotiate::patch(call.content_type.as_deref(), &call.served.kind)?;
    let options = WriteOptions::parse(&call.query, "PatchOptions")?;
    if kind == PatchType::Apply {
        return apply::apply(call, &body, part, &options).await;
    }
    let patch = Patch::read(kind, body, &options)?;
    let written = revise(call, &options, |current| {
        let value = patch.apply(&call.served, &call.served.value(current))?;
        decode::check(&call.served, &value, b"")?;
        Ok(Proposal { value, duplicates: patch.duplicates.clone(), part, owners: Owners::Followed })
    })
    .await?;
    written.present(call, StatusCode::OK)
}

/// A patch as it came.
pub(crate) struct Patch {
    kind: PatchType,
    body: Bytes,
    /// The decoded body of a merge.
    value: Value,
    pub(crate) duplicates: Vec<String>,
}

impl Patch {
    pub(crate) fn read(kind: PatchType, body: Bytes, options: &WriteOptions) -> Result<Self, ApiError> {
        if options.force.is_some() {
            let message = "Forbidden: may not be specified for non-apply patch";
            return Err(invalid_options("PatchOptions", "force", FieldErrorKind::Forbidden, message));
        }
        if kind == PatchType::Json {
            return Ok(Self { kind, body, value: Value::Null, duplicates: Vec::new() });
        }
        let undecodable = |why: &str| ApiError::bad_request(format!("error decoding patch: {why}"));
        let Decoded { value, duplicates } =
            crate::schema::decode::json(&body).map_err(|error| undecodable(&error.message))?;
        if !value.is_object() {
            return Err(undecodable("a merge patch must be an object"));
        }
        Ok(Self { kind, body, value, duplicates })
    }

    /// What the patch makes of an object.
    pub(crate) fn apply(&self, served: &Served, current: &Value) -> Result<Value, ApiError> {
        match self.kind {
            PatchType::Json => json::apply(current, &self.body),
            PatchType::Merge => {
                let mut patched = current.clone();
                merge::apply(&mut patched, &self.value);
                Ok(patched)
            }
            PatchType::Strategic => strategic::apply(current, &self.value, &served.kind),
            PatchType::Apply => Err(ApiError::internal("an apply is no function of the object alone")),
        }
    }
}
