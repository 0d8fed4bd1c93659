//! Reads one object.

use std::time::Duration;

use apiserver_store::Revision;
use http::StatusCode;

use super::{Call, present};
use crate::error::{ApiError, Reason};
use crate::query;
use crate::response::Answer;

/// How long a read waits for a revision that the cache has not reached.
const PATIENCE: Duration = Duration::from_secs(3);

/// `GET .../{name}`
pub(crate) async fn get(call: &Call) -> Result<Answer, ApiError> {
    let revision = call.query.text("resourceVersion").map(query::revision).transpose();
    // Upstream has no reason for it.
    let revision = revision.map_err(|error| ApiError::new(Reason::Unknown, error.to_string()))?;
    wait(call, revision).await?;
    present::entry(call, StatusCode::OK, &*call.entry()?)
}

/// Makes sure that a read is as new as it has to be: the newest there is where nothing is said, anything for zero.
pub(crate) async fn wait(call: &Call, revision: Option<Revision>) -> Result<(), ApiError> {
    let storage = call.state.storage();
    match revision {
        None => call.state.refresh().await,
        Some(Revision::ZERO) => Ok(()),
        Some(wanted) if storage.revision() >= wanted => Ok(()),
        Some(wanted) => {
            call.state.refresh().await?;
            if storage.wait_for(wanted, PATIENCE).await { Ok(()) } else { Err(too_large(wanted, storage.revision())) }
        }
    }
}

fn too_large(wanted: Revision, current: Revision) -> ApiError {
    let mut error =
        ApiError::new(Reason::Timeout, format!("Timeout: Too large resource version: {wanted}, current: {current}"));
    let cause = serde_json::json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]);
    error.details.insert("causes".into(), cause);
    error.details.insert("retryAfterSeconds".into(), 1.into());
    error
}
