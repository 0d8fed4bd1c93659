//! The rotation of the master key, below `/admin/v1/key-rotation`: how it stands by what is in the database, and its begin. It
//! goes on after the answer; asked again, it goes on where it was cut off.

use std::sync::Arc;

use apiserver_store::seal::SealKey;
use apiserver_store::{DataKeyRule, RotateError, RotationStatus, RotationStep};
use async_trait::async_trait;
use http::StatusCode;
use serde_json::{Value, json};

use super::consent;
use crate::error::{ApiError, Reason};
use crate::query::Query;
use crate::response::{Answer, json};
use crate::state::{State, store_unavailable};

/// The port to where the master keys of this process come from.
#[async_trait]
pub trait KeySource: Send + Sync + 'static {
    /// Reads them anew, the newest last. The error says what is wrong, and nothing of a key.
    async fn read(&self) -> Result<Vec<SealKey>, String>;
}

/// Says how it stands.
pub(super) async fn tell(state: &State) -> Result<Answer, ApiError> {
    let status = state.storage().rotation().await.map_err(|error| refusal(&error))?;
    let mut document = document(&status);
    let sealed = state.storage().sealed_resources().into_iter();
    document["sealed"] =
        sealed.map(|(resource, objects)| json!({"resource": resource.to_string(), "objects": objects})).collect();
    Ok(json(StatusCode::OK, &document))
}

/// Begins it, or goes on, with the newest key that there is by now. With `?dataKeys=renew` each namespace gets another key.
pub(super) async fn begin(state: &Arc<State>, query: &Query) -> Result<Answer, ApiError> {
    let data_keys = match query.text("dataKeys") {
        None | Some("keep") => DataKeyRule::Kept,
        Some("renew") => DataKeyRule::Renewed,
        Some(other) => return Err(ApiError::bad_request(format!("dataKeys: `{other}` is neither `keep` nor `renew`"))),
    };
    if let Some(source) = &state.config.key_source {
        let keys = source.read().await.map_err(|why| {
            ApiError::new(Reason::ServiceUnavailable, format!("the master keys of this server can't be read: {why}"))
        })?;
        state.storage().offer_keys(&keys).map_err(|_| not_among(state))?;
    }
    let status = state.storage().rotation().await.map_err(|error| refusal(&error))?;
    if status.running.is_some() || (status.is_complete() && data_keys == DataKeyRule::Kept) {
        return Ok(json(StatusCode::OK, &document(&status)));
    }
    if status.keys.present != status.keys.newest {
        consent::ask(state, &status.keys.newest.to_string()).await?;
    }
    let run = match state.storage().begin_rotation().await {
        Ok(run) => run,
        Err(error) => return Err(ApiError::new(Reason::Conflict, error.to_string())),
    };
    state.config.tasks.spawn(async move {
        if let Err(error) = run.run(data_keys).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the rotation was cut off");
        }
    });
    tell(state).await
}

fn not_among(state: &State) -> ApiError {
    let present = state.storage().master_keys().map(|keys| keys.present.to_string()).unwrap_or_default();
    ApiError::new(
        Reason::Conflict,
        format!(
            "the store is sealed with the key `{present}`, which is not among the keys that this server is given now: put it \
             back until the rotation is complete"
        ),
    )
}

fn document(status: &RotationStatus) -> Value {
    let state = match &status.running {
        Some(_) => "Running",
        None if status.is_complete() => "Complete",
        None if status.keys.present != status.keys.newest => "Pending",
        None => "Unfinished",
    };
    let (step, done, total) = status.running.map_or(("", 0, 0), |(step, done, total)| (name(step), done, total));
    let known: Vec<String> = status.keys.known.iter().map(ToString::to_string).collect();
    json!({
        "kind": "KeyRotation",
        "state": state,
        "key": status.keys.present.to_string(),
        "newestKey": status.keys.newest.to_string(),
        "knownKeys": known,
        "step": step,
        "done": done,
        "total": total,
        "left": status.left,
        "failure": status.failed.as_deref().unwrap_or_default(),
    })
}

fn name(step: RotationStep) -> &'static str {
    match step {
        RotationStep::Looking => "Looking",
        RotationStep::Sealing => "Sealing",
        RotationStep::Forgetting => "Forgetting",
    }
}

fn refusal(error: &RotateError) -> ApiError {
    match error {
        RotateError::NotSealed => {
            ApiError::new(Reason::Conflict, "the store of this server is not sealed, so it has no key")
        }
        error => {
            tracing::warn!(error = error as &dyn std::error::Error, "the store does not say how it is sealed");
            store_unavailable()
        }
    }
}
