//! Brings what was sealed with another key, or not at all, under the keys of today.

use std::sync::PoisonError;

use futures::future::join_all;

use crate::seal::is_sealed;
use crate::{Change, Expect, Key, StoreError, Write, WriteError};

use super::Storage;
use super::core::Core;

/// Objects that are written at a time.
const PORTION: usize = 64;

impl Core {
    /// Whether a body is sealed as it would be now, or isn't.
    pub(super) fn is_current(&self, key: &Key, stored: &[u8]) -> bool {
        if !self.is_sealed(&key.resource) {
            return !is_sealed(stored);
        }
        // Where a data key is still to be made, what is there is of before.
        let present =
            if self.has_data_key(key) { self.data_keys.sealing(&key.namespace) } else { self.master.sealer() };
        present.is_some_and(|sealer| sealer.has_sealed(stored))
    }

    /// Notes whether an object is sealed as it would be now.
    pub(super) fn note_seal(&self, key: &Key, stored: &[u8]) {
        let is_stale = !self.is_current(key, stored);
        let mut stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        if is_stale {
            stale.insert(key.clone());
        } else if !stale.is_empty() {
            stale.remove(key);
        }
    }
}

impl Storage {
    /// Writes every object anew that isn't sealed as it would be now, and forgets the log of how they were. Returns how many
    /// those were. Cut off, the next call goes on.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn reseal(&self) -> Result<usize, StoreError> {
        let stale = || self.inner.core.stale.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let all: Vec<Key> = stale().into_iter().collect();
        for (done, portion) in all.chunks(PORTION).enumerate() {
            let written = join_all(portion.iter().map(|key| self.reseal_one(key))).await;
            written.into_iter().collect::<Result<(), _>>()?;
            tracing::info!(objects = all.len(), done = done * PORTION + portion.len(), "objects are sealed anew");
        }
        if !all.is_empty() {
            self.inner.core.forget_what_is_left().await?;
        }
        Ok(all.len())
    }

    pub(super) async fn reseal_one(&self, key: &Key) -> Result<(), StoreError> {
        if let Some(entry) = self.get(key) {
            let change = Change::Put { uid: entry.uid, body: entry.body.to_vec() };
            let write = Write { key: key.clone(), expect: Expect::Revision(entry.revision), change };
            match self.write(write).await {
                // Whoever was quicker has sealed it anew.
                Ok(_) | Err(WriteError::Conflict { .. } | WriteError::NotFound) => {}
                Err(error) => return Err(StoreError::unavailable("seal an object anew", error)),
            }
        }
        self.inner.core.stale.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
        Ok(())
    }
}
