//! Data that outlived its object, below `/admin/v1/orphans`: listed, adopted and purged by uid. What it is and where is
//! known to a port that the binary fills.

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::error::{ApiError, Reason};
use crate::response::{Answer, json};
use crate::state::State;

/// Data without an object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// The kind of the object that it was of, such as `Volume`.
    pub of: String,
    /// That object's namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Its uid: by this the data is told of.
    pub uid: String,
    /// The size, as a quantity.
    pub size: String,
    /// When it was taken, in RFC 3339, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken_at: Option<String>,
    /// What runs machines made from it, if machines are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// Whether it was left behind on purpose, or marked since.
    pub retained: bool,
    /// Which object is about to adopt it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed_by: Option<String>,
}

/// Where data goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Adoption {
    /// The namespace; its own if this is absent.
    pub namespace: Option<String>,
    /// The name of the object that is made; the old one if this is absent.
    pub name: Option<String>,
}

/// The object that was made to adopt data.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Adopted {
    /// Its kind.
    pub of: String,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// Why data is left as it is. The text goes to the user.
#[derive(Debug, Clone, thiserror::Error)]
pub enum OrphanError {
    /// There is none of this uid.
    #[error("{0}")]
    NotFound(String),
    /// It is somebody's.
    #[error("{0}")]
    Conflict(String),
    /// What was wished for is refused.
    #[error("{0}")]
    Refused(String),
    /// Nothing is known at the moment.
    #[error("{0}")]
    Unavailable(String),
}

/// The port to data without an object.
#[async_trait]
pub trait Orphans: Send + Sync + 'static {
    /// All of it.
    async fn list(&self) -> Result<Vec<Orphan>, OrphanError>;

    /// Makes an object that adopts the data of this uid.
    async fn adopt(&self, uid: &str, adoption: Adoption) -> Result<Adopted, OrphanError>;

    /// Removes the data of this uid for good, and tells what it was.
    async fn purge(&self, uid: &str) -> Result<Orphan, OrphanError>;
}

/// Lists them.
pub(super) async fn list(state: &State) -> Result<Answer, ApiError> {
    let orphans = port(state)?.list().await.map_err(refusal)?;
    Ok(json(StatusCode::OK, &json!({"kind": "OrphanList", "items": orphans})))
}

/// Adopts one.
pub(super) async fn adopt(state: &State, uid: &str, body: &Bytes) -> Result<Answer, ApiError> {
    let adoption = if body.is_empty() {
        Adoption::default()
    } else {
        serde_json::from_slice(body)
            .map_err(|error| ApiError::bad_request(format!("the body is `{{namespace, name}}` as JSON: {error}")))?
    };
    let adopted = port(state)?.adopt(uid, adoption).await.map_err(refusal)?;
    Ok(json(StatusCode::OK, &json!({"kind": "Adopted", "object": adopted})))
}

/// Purges one.
pub(super) async fn purge(state: &State, uid: &str) -> Result<Answer, ApiError> {
    let orphan = port(state)?.purge(uid).await.map_err(refusal)?;
    Ok(json(StatusCode::OK, &json!({"kind": "Purged", "orphan": orphan})))
}

fn port(state: &State) -> Result<&dyn Orphans, ApiError> {
    state.config.orphans.as_deref().ok_or_else(|| {
        let message = "this server is not connected to a controller: ask the one that runs the controllers";
        ApiError::new(Reason::ServiceUnavailable, message)
    })
}

fn refusal(error: OrphanError) -> ApiError {
    let reason = match &error {
        OrphanError::NotFound(_) => Reason::NotFound,
        OrphanError::Conflict(_) => Reason::Conflict,
        OrphanError::Refused(_) => Reason::Forbidden,
        OrphanError::Unavailable(_) => Reason::ServiceUnavailable,
    };
    ApiError::new(reason, error.to_string())
}
