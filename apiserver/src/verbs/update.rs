//! Replaces objects: the whole, or the status alone.

use bytes::Bytes;
use http::StatusCode;

use super::Call;
use super::write::{Owners, Part, Proposal, revise, revision_required};
use crate::admission::{decode, metadata};
use crate::error::ApiError;
use crate::query::WriteOptions;
use crate::response::Answer;
use crate::schema::decode::Decoded;

/// `PUT .../{name}` and `PUT .../{name}/status`
pub(crate) async fn update(call: &Call, body: Bytes, part: Part) -> Result<Answer, ApiError> {
    let options = WriteOptions::parse(&call.query, "UpdateOptions")?;
    let Decoded { mut value, duplicates } = decode::object(&call.served, call.content_type.as_deref(), &body)?;
    let name = &call.path.name;
    if metadata::name(&value).is_empty() {
        metadata::of(&mut value)?.insert("name".into(), name.as_str().into());
    }
    let is_based = value["metadata"]["resourceVersion"].as_str().is_some_and(|revision| !revision.is_empty());
    let written = revise(call, &options, |_| {
        if !is_based && !call.served.kind.is_built_in() && metadata::name(&value) == name {
            return Err(revision_required(&call.served, name));
        }
        Ok(Proposal { value: value.clone(), duplicates: duplicates.clone(), part, owners: Owners::Followed })
    })
    .await?;
    written.present(call, StatusCode::OK)
}
