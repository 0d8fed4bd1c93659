//! What administrators ask of the whole cloud, below `/admin/v1`: a backup, a restore, whether what a restore has
//! orphaned may be swept, data without an object, the rotation of the master key, the keys that sign tokens, and who did
//! what. None of it is Kubernetes'; who may is a matter of `nonResourceURLs`, as for any path.

mod audit;
mod backup;
mod consent;
mod format;
mod occupied;
mod orphans;
mod restore;
mod rotation;
mod signing_keys;
mod sweep;

use std::sync::Arc;

use http::{Method, Request};

use crate::body::{RequestBody, read};
use crate::error::ApiError;
use crate::query::Query;
use crate::request::Target;
use crate::response::{Answer, no_such_path};
use crate::state::State;
use crate::verbs::not_allowed;

pub(crate) use consent::answer as answer_key_questions;
pub use consent::key_questions;
pub use orphans::{Adopted, Adoption, Orphan, OrphanError, Orphans};
pub use rotation::KeySource;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Question {
    Backup,
    Restore,
    Sweep,
    ConfirmSweep,
    Orphans,
    Orphan(String),
    AdoptOrphan(String),
    KeyRotation,
    Audit,
    VerifyAudit,
    SigningKeys,
    RotateSigningKey,
    Unknown,
}

impl Question {
    /// `None` for paths elsewhere.
    pub(crate) fn of(target: &Target) -> Option<Self> {
        let Target::Path(parts) = target else { return None };
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        Some(match parts.as_slice() {
            ["admin", "v1", "backup"] => Self::Backup,
            ["admin", "v1", "restore"] => Self::Restore,
            ["admin", "v1", "sweep"] => Self::Sweep,
            ["admin", "v1", "sweep", "confirm"] => Self::ConfirmSweep,
            ["admin", "v1", "orphans"] => Self::Orphans,
            ["admin", "v1", "orphans", uid] => Self::Orphan((*uid).to_owned()),
            ["admin", "v1", "orphans", uid, "adopt"] => Self::AdoptOrphan((*uid).to_owned()),
            ["admin", "v1", "key-rotation"] => Self::KeyRotation,
            ["admin", "v1", "audit"] => Self::Audit,
            ["admin", "v1", "audit", "verify"] => Self::VerifyAudit,
            ["admin", "v1", "signing-keys"] => Self::SigningKeys,
            ["admin", "v1", "signing-keys", "rotate"] => Self::RotateSigningKey,
            ["admin", ..] => Self::Unknown,
            _ => return None,
        })
    }

    /// Whether it takes as long as it takes.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Backup | Self::Restore | Self::VerifyAudit)
    }
}

/// Answers an authorised request.
pub(crate) async fn answer(
    state: &Arc<State>,
    question: Question,
    method: &Method,
    query: &Query,
    request: Request<RequestBody>,
) -> Result<Answer, ApiError> {
    match (question, method) {
        (Question::Unknown, _) => Ok(no_such_path()),
        (Question::Backup, &Method::GET) => backup::take(state, query).await,
        (Question::Restore, &Method::POST) => restore::put_back(state, query, request).await,
        (Question::Sweep, &Method::GET) => sweep::tell(state).await,
        (Question::ConfirmSweep, &Method::POST) => sweep::confirm(state).await,
        (Question::Orphans, &Method::GET) => orphans::list(state).await,
        (Question::KeyRotation, &Method::GET) => rotation::tell(state).await,
        (Question::KeyRotation, &Method::POST) => rotation::begin(state, query).await,
        (Question::Audit, &Method::GET) => audit::find(state, query).await,
        (Question::VerifyAudit, &Method::GET) => audit::verify(state, query).await,
        (Question::SigningKeys, &Method::GET) => signing_keys::tell(state).await,
        (Question::RotateSigningKey, &Method::POST) => signing_keys::rotate(state, query).await,
        (Question::Orphan(uid), &Method::DELETE) => orphans::purge(state, &uid).await,
        (Question::AdoptOrphan(uid), &Method::POST) => {
            let body = read(request.into_body(), state.config.limits.body_bytes).await?;
            orphans::adopt(state, &uid, &body).await
        }
        _ => Err(not_allowed()),
    }
}
