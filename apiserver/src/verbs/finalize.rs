//! `PUT /api/v1/namespaces/{name}/finalize`: how a namespace's own finalizers are let go.

use bytes::Bytes;
use http::StatusCode;
use serde_json::{Value, json};

use super::Call;
use super::write::{Owners, Part, Proposal, revise};
use crate::admission::decode;
use crate::error::ApiError;
use crate::query::WriteOptions;
use crate::response::Answer;

/// Replaces `spec.finalizers` and nothing else; an empty list lets a namespace go that is being deleted.
pub(crate) async fn finalize(call: &Call, body: Bytes) -> Result<Answer, ApiError> {
    let options = WriteOptions::parse(&call.query, "UpdateOptions")?;
    let wanted = decode::object(&call.served, call.content_type.as_deref(), &body)?.value;
    let written = revise(call, &options, |current| {
        let mut value = call.served.value(current);
        value["spec"] = json!({"finalizers": wanted["spec"].get("finalizers").cloned().unwrap_or_else(|| json!([]))});
        for precondition in ["resourceVersion", "uid"] {
            if let Some(given) = wanted["metadata"].get(precondition).and_then(Value::as_str) {
                value["metadata"][precondition] = given.into();
            }
        }
        Ok(Proposal { value, duplicates: Vec::new(), part: Part::Finalizers, owners: Owners::Followed })
    })
    .await?;
    written.present(call, StatusCode::OK)
}
