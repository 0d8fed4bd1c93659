//! `GET .../metrics`: what a machine has used since its start, as JSON. Whoever wants a rate asks twice.

use http::StatusCode;
use serde_json::json;

use super::{StreamTarget, Streams, refused};
use crate::error::ApiError;
use crate::response::{self, Answer};
use crate::verbs::Call;

pub(super) async fn metrics(call: &Call, streams: &dyn Streams, target: &StreamTarget) -> Result<Answer, ApiError> {
    let usage = streams.usage(target).await.map_err(|error| refused(call, &error))?;
    let answer = json!({
        "timestamp": usage.at.to_string(),
        "cpu": {"usageNanoseconds": u64::try_from(usage.cpu.as_nanos()).unwrap_or(u64::MAX)},
        "memory": {"usageBytes": usage.memory_bytes},
    });
    Ok(response::json(StatusCode::OK, &answer))
}
