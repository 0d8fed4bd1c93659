//! The keys that sign tokens, below `/admin/v1/signing-keys`: which there are, and a new one in the place of the present.

use http::StatusCode;
use serde_json::json;

use crate::access::signing::{Keys, NotRotated, Old, TooMany};
use crate::clock::whole_seconds;
use crate::error::{ApiError, Reason};
use crate::query::Query;
use crate::response::{Answer, json};
use crate::state::{State, store_refused};

/// Lists them, newest first.
pub(super) async fn tell(state: &State) -> Result<Answer, ApiError> {
    state.refresh().await?;
    Ok(listed(state, &state.authenticator.signer.keys()))
}

/// Has a new one sign. With `?revoke=true` the others prove nothing from now on.
pub(super) async fn rotate(state: &State, query: &Query) -> Result<Answer, ApiError> {
    let old = if query.flag("revoke") { Old::Revoked } else { Old::Proves };
    let keys = state.authenticator.signer.rotate(old).await.map_err(refused)?;
    Ok(listed(state, &keys))
}

fn listed(state: &State, keys: &Keys) -> Answer {
    let items = keys.told(state.config.clock.now());
    json(StatusCode::OK, &json!({"kind": "SigningKeyList", "items": items}))
}

fn refused(why: NotRotated) -> ApiError {
    match why {
        NotRotated::TooMany(TooMany { until }) => {
            let message = format!(
                "as many keys as may be still prove tokens; the next one ends at {}. To end them all now, and every token with \
                 them, revoke them",
                whole_seconds(until)
            );
            ApiError::new(Reason::Conflict, message)
        }
        NotRotated::Store(error) => {
            tracing::warn!(error = error.as_ref() as &dyn std::error::Error, "the store took no new signing key");
            store_refused(&error)
        }
    }
}
