//! The master keys that are known, and which of them the store is sealed with: its seal check says so.
//!
//! Every batch names the check that its writer knew when it sealed. So from the moment in which the check is replaced,
//! nothing that was sealed with what counted before is written any more, by no process.

use std::sync::{PoisonError, RwLock};

use uuid::Uuid;

use crate::seal::{KeyId, SealError, SealKey};
use crate::{Meta, Sealer, Store, StoreError};

use super::StorageOptions;
use super::core::Core;

/// The names of the master keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterKeys {
    /// The one that seals now.
    pub present: KeyId,
    /// The one that is to seal.
    pub newest: KeyId,
    /// All that are known, the newest last.
    pub known: Vec<KeyId>,
}

pub(super) struct Master {
    state: RwLock<State>,
}

#[derive(Clone)]
struct State {
    sealer: Option<Sealer>,
    check: Option<Vec<u8>>,
}

impl Master {
    /// Finds among the given keys the one that the store is sealed with; a new store is sealed with the newest.
    pub(super) async fn find(store: &dyn Store, meta: &Meta, options: &StorageOptions) -> Result<Master, StoreError> {
        let Some(sealer) = &options.sealer else {
            return if options.sealed.is_empty() && meta.seal_check.is_none() {
                Ok(Master { state: RwLock::new(State { sealer: None, check: None }) })
            } else {
                Err(StoreError::Seal(SealError::NoKey))
            };
        };
        let kept = match &meta.seal_check {
            Some(kept) => kept.clone(),
            None => store.keep_seal_check(&sealer.make_check(meta.installation)).await?,
        };
        let present = sealer.present(meta.installation, &kept).map_err(StoreError::Seal)?;
        Ok(Master { state: RwLock::new(State { sealer: Some(present), check: Some(kept) }) })
    }

    pub(super) fn sealer(&self) -> Option<Sealer> {
        self.state().sealer
    }

    pub(super) fn check(&self) -> Option<Vec<u8>> {
        self.state().check
    }

    /// Both of one moment: the key that seals, and the check that says so.
    pub(super) fn present(&self) -> Option<(Sealer, Vec<u8>)> {
        let state = self.state();
        state.sealer.zip(state.check)
    }

    /// Learns which key counts, if what was `known` is still all that is known: otherwise another look was quicker, and
    /// whether this one or that one is the later is open. Says whether it did.
    fn adopt(&self, installation: Uuid, known: Option<&[u8]>, check: &[u8]) -> Result<bool, SealError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        if state.check.as_deref() != known {
            return Ok(false);
        }
        let sealer = state.sealer.as_ref().ok_or(SealError::NoKey)?.present(installation, check)?;
        *state = State { sealer: Some(sealer), check: Some(check.to_vec()) };
        Ok(true)
    }

    /// Knows these keys from now on, and no others.
    fn offer(&self, installation: Uuid, keys: &[SealKey]) -> Result<(), SealError> {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        let check = state.check.as_ref().ok_or(SealError::NoKey)?;
        let sealer = Sealer::of_all(keys).ok_or(SealError::NoKey)?;
        state.sealer = Some(sealer.present(installation, check)?);
        Ok(())
    }

    fn state(&self) -> State {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Core {
    /// Learns what the store is sealed with by now, and everything that was written before: a data key may be among it.
    /// Returns where the store stands. Ends everything here if its key is unknown.
    pub(super) async fn learn_keys(&self) -> Result<Meta, StoreError> {
        loop {
            let known = self.master.check();
            let meta = self.store.meta().await?;
            self.keep_to_history(meta.epoch)?;
            if self.keep_to_keys(&meta, known.as_deref()).await? {
                return Ok(meta);
            }
        }
    }

    /// Goes to where the store stood when `meta` was read, which was after its check was `known`. `false`: others have learnt
    /// of another check meanwhile, and this one may be older than theirs.
    async fn keep_to_keys(&self, meta: &Meta, known: Option<&[u8]>) -> Result<bool, StoreError> {
        let new = meta.seal_check.as_deref().filter(|check| Some(*check) != known);
        if let (Some(check), Some(sealer)) = (new, self.master.sealer())
            && let Err(error) = sealer.present(meta.installation, check)
        {
            if self.master.check().as_deref() != known {
                return Ok(false);
            }
            self.end("the store is sealed with a key that is not known here");
            return Err(StoreError::Seal(error));
        }
        self.advance(meta.revision).await?;
        // Whatever is sealed from now on is sealed with what was known when the check was made, or with newer keys.
        new.map_or(Ok(true), |check| self.master.adopt(meta.installation, known, check)).map_err(StoreError::Seal)
    }

    /// Makes the seal check anew, with the same key: whoever writes from now on knows all data keys that were written before.
    pub(super) async fn renew_check(&self) -> Result<(), StoreError> {
        loop {
            self.learn_keys().await?;
            let no_key = StoreError::Seal(SealError::NoKey);
            let (sealer, check) = self.master.present().ok_or(no_key)?;
            let is_replaced = self.store.replace_seal_check(&check, &sealer.make_check(self.installation)).await?;
            self.learn_keys().await?;
            if is_replaced {
                return Ok(());
            }
        }
    }

    pub(super) fn offer_keys(&self, keys: &[SealKey]) -> Result<(), StoreError> {
        self.master.offer(self.installation, keys).map_err(StoreError::Seal)
    }

    pub(super) fn master_keys(&self) -> Option<MasterKeys> {
        let sealer = self.master.sealer()?;
        Some(MasterKeys { present: sealer.key_id(), newest: sealer.newest(), known: sealer.known().collect() })
    }
}
