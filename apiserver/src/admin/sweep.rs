//! Whether what has no object may be swept: not after a restore, until somebody confirms.

use http::StatusCode;
use serde_json::json;

use crate::error::ApiError;
use crate::response::{Answer, json};
use crate::state::{State, store_unavailable};

/// Says how it stands.
pub(super) async fn tell(state: &State) -> Result<Answer, ApiError> {
    state.refresh().await?;
    let held = state.storage().restored();
    Ok(json(StatusCode::OK, &json!({"kind": "Sweep", "held": held.is_some(), "reason": held.unwrap_or_default()})))
}

/// Confirms.
pub(super) async fn confirm(state: &State) -> Result<Answer, ApiError> {
    state.refresh().await?;
    let held = state.storage().restored();
    if held.is_some() {
        state.storage().mark_restored(None).await.map_err(|error| {
            tracing::warn!(error = &error as &dyn std::error::Error, "the sweep could not be confirmed");
            store_unavailable()
        })?;
        tracing::info!("the sweep was confirmed: what has no object may go");
    }
    Ok(json(StatusCode::OK, &json!({"kind": "Sweep", "held": false, "confirmed": held.unwrap_or_default()})))
}
