//! `PUT /api/v1/namespaces/{name}/finalize`: how a namespace's own finalizers are let go.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::write::{Owners, Part, Proposal, revise};
use crate::admission::{decode, metadata};
use crate::error::ApiError;
use crate::query::WriteKind;
use crate::response::Answer;

/// Replaces `spec.finalizers` and nothing else; an empty list lets a namespace go that is being deleted.
pub(crate) async fn finalize(call: &Call, body: Bytes) -> Result<Answer, ApiError> {
    let options = call.write_options(WriteKind::Update)?;
    let wanted = decode::object(&call.served, call.content_type.as_deref(), &body)?.value;
    metadata::check_name(&wanted, &call.path.name)?;
    let written = revise(call, &options, |current| {
        let mut value = call.served.value(current);
        value["spec"] = json!({"finalizers": wanted["spec"].get("finalizers").cloned().unwrap_or_else(|| json!([]))});
        let present = current.uid.to_string();
        if let Some(uid) = wanted["metadata"]["uid"].as_str().filter(|uid| !uid.is_empty() && *uid != present) {
            return Err(call.other_uid(uid, &present));
        }
        if let Some(given) = wanted["metadata"].get("resourceVersion").and_then(Value::as_str) {
            value["metadata"]["resourceVersion"] = given.into();
        }
        Ok(Proposal { value, part: Part::Finalizers, owners: Owners::Followed })
    })
    .await?;
    written.present(call, StatusCode::OK)
}
