//! Changes the keys of an installation: one compare-and-swap of one object that holds them all, so there is no step between
//! which anything could be cut off.

use std::sync::Arc;

use apiserver_store::{StoreError, WriteError};

use super::keys::{Keys, Old, TooMany};
use super::{Signer, key};
use crate::access::ServiceAccountKey;
use crate::access::users::records;

/// Why there is no new key.
#[derive(Debug)]
pub(crate) enum NotRotated {
    /// Too many still prove tokens.
    TooMany(TooMany),
    /// The store can't be asked or written.
    Store(Arc<StoreError>),
}

impl From<StoreError> for NotRotated {
    fn from(error: StoreError) -> Self {
        Self::Store(Arc::new(error))
    }
}

impl Signer {
    /// Has a fresh key sign, at once or as soon as everybody knows it.
    pub(crate) async fn rotate(&self, old: Old) -> Result<Arc<Keys>, NotRotated> {
        let fresh = ServiceAccountKey::generate();
        loop {
            self.storage.fresh().await?;
            let keys = self.keys();
            let rotated = keys.rotated(&fresh, old, self.clock.now()).map_err(NotRotated::TooMany)?;
            let Some(rotated) = rotated else { return Ok(keys) };
            if self.keep(&rotated).await? {
                tracing::info!(key = fresh.id(), old = ?old, "a new key signs tokens");
                return Ok(self.keys());
            }
        }
    }

    /// Forgets the keys that have ended. What can't be forgotten now is at the next look.
    pub(crate) async fn tidy(&self) {
        let (keys, now) = (self.keys(), self.clock.now());
        if keys.has_ended(now)
            && let Err(error) = self.keep(&keys.without_ended(now)).await
        {
            tracing::debug!(error = ?error, "keys that have ended stay for now");
        }
    }

    /// Keeps keys in the place of those that they were made from. `false` if somebody else was faster.
    async fn keep(&self, keys: &Keys) -> Result<bool, NotRotated> {
        let old = self.storage.get(&key());
        if old.as_ref().is_some_and(|old| old.revision != keys.revision) {
            return Ok(false);
        }
        match records::put(&self.storage, key(), old.as_deref(), &keys.kept()).await {
            Ok(_) => Ok(true),
            Err(WriteError::Unavailable(error)) => Err(NotRotated::Store(error)),
            Err(_) => Ok(false),
        }
    }
}
