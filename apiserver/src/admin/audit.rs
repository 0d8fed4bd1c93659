//! Who did what, below `/admin/v1/audit`: lines that fit what is asked, and whether all lines are as they were written.

use std::io;

use http::StatusCode;
use serde_json::json;

use crate::audit::{Audit, Filter};
use crate::body::full;
use crate::error::{ApiError, Reason};
use crate::query::Query;
use crate::response::{Answer, json, of_type};
use crate::state::State;

/// The newest lines that fit, oldest first: JSON, one a line.
pub(super) async fn find(state: &State, query: &Query) -> Result<Answer, ApiError> {
    let filter = Filter::parse(query)?;
    let lines = log(state)?.find(filter).await.map_err(|error| unreadable(&error))?;
    Ok(of_type(StatusCode::OK, "application/x-ndjson", full(lines)))
}

/// Whether every line is as it was written. `?line=SEQUENCE:HASH` is one that somebody wrote down.
pub(super) async fn verify(state: &State, query: &Query) -> Result<Answer, ApiError> {
    let expected = query.text("line").map(|text| {
        let malformed = || ApiError::bad_request(format!("line: {text:?} is not SEQUENCE:HASH, as `verify` prints it"));
        let (sequence, hash) = text.split_once(':').ok_or_else(malformed)?;
        Ok((sequence.parse().map_err(|_| malformed())?, hash))
    });
    let expected = expected.transpose()?;
    let report = log(state)?.verify(state.storage(), expected).await.map_err(|error| unreadable(&error))?;
    Ok(json(StatusCode::OK, &json!(report)))
}

fn log(state: &State) -> Result<&Audit, ApiError> {
    state.config.audit.as_deref().ok_or_else(|| {
        ApiError::new(Reason::NotFound, "this server keeps no audit log: start it without `--audit-policy off`")
    })
}

fn unreadable(error: &io::Error) -> ApiError {
    if error.kind() == io::ErrorKind::InvalidInput {
        return ApiError::bad_request(error.to_string());
    }
    tracing::warn!(error = error as &dyn std::error::Error, "the audit log can't be read");
    ApiError::internal(format!("the audit log can't be read: {error}"))
}
