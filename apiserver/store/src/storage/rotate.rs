//! Brings the whole store under the newest keys, while it is used: objects and the log. Cut off anywhere, the next call goes on: what is left to do is read from the database's rows and nowhere else.
//!
//! Never loses a key: an older one is needed until nothing is left, and taking it away is the operator's act.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use crate::{Entry, Key, ResourceId, Revision, Sharing, StoreError, StoredChange, Write};

use super::core::Core;
use super::{MasterKeys, Storage, data_keys};

/// Rows of the log that are looked at at once.
const PAGE: usize = 500;
/// Objects that are written at a time.
const PORTION: usize = 64;
/// How often is looked for what is left. Each time there is less, unless something is wrong.
const ROUNDS: usize = 10;
/// How long what takes a moment is waited for: the deletion of a data key.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of the data keys in a rotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKeyRule {
    /// They stay, sealed anew.
    Kept,
    /// Each namespace gets another one, with which all of its objects are sealed.
    Renewed,
}

/// What a rotation is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RotationStep {
    /// It finds out what is left.
    Looking,
    /// Objects are sealed anew.
    Sealing,
    /// The log of what was sealed before is forgotten.
    Forgetting,
}

/// How a rotation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotationStatus {
    /// The keys that this process knows.
    pub keys: MasterKeys,
    /// What this process is at, and how much of how much is done.
    pub running: Option<(RotationStep, u64, u64)>,
    /// Rows of the database that aren't sealed as they would be now; not counted while this process is at it.
    pub left: u64,
    /// Why the last attempt of this process ended.
    pub failed: Option<String>,
}

impl RotationStatus {
    /// Whether nothing in the database opens with another master key than the newest, or with a data key of before.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.running.is_none() && self.left == 0 && self.keys.present == self.keys.newest
    }
}

/// Why a rotation doesn't go on. Called again, it does.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// One at a time.
    #[error("a rotation or a restore is under way")]
    Busy,
    /// There is nothing to rotate.
    #[error("the store is not sealed")]
    NotSealed,
    /// What is left doesn't get less.
    #[error("{left} rows are still sealed with an older key after {ROUNDS} rounds")]
    Endless {
        /// How many.
        left: u64,
    },
    /// The database refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What is known of the rotation that this process is at.
#[derive(Default)]
pub(super) struct Rotation {
    state: Mutex<State>,
}

#[derive(Clone, Default)]
struct State {
    running: Option<(RotationStep, u64, u64)>,
    failed: Option<String>,
}

impl Rotation {
    fn note(&self, step: RotationStep, done: usize, total: usize) {
        self.change(|state| state.running = Some((step, done as u64, total as u64)));
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
    }

    fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What isn't sealed as it would be now.
#[derive(Default)]
struct Left {
    objects: BTreeSet<Key>,
    changes: u64,
    /// The last of the log.
    newest: Option<Revision>,
    /// Data keys that were renewed, and still have those before beside them.
    renewed: Vec<Arc<Entry>>,
}

impl Left {
    fn rows(&self) -> u64 {
        self.objects.len() as u64 + self.changes + self.renewed.len() as u64
    }
}

/// A rotation that has its turn. Dropped, it is cut off.
pub struct RotationRun {
    storage: Storage,
    _turn: OwnedMutexGuard<()>,
}

impl RotationRun {
    /// As [`Storage::rotate`].
    ///
    /// # Errors
    /// Whatever the store says; the next one goes on.
    pub async fn run(self, data_keys: DataKeyRule) -> Result<(), RotateError> {
        let done = self.storage.bring_over(data_keys).await;
        self.storage.inner.core.rotation.change(|state| state.failed = done.as_ref().err().map(ToString::to_string));
        done
    }
}

impl Drop for RotationRun {
    fn drop(&mut self) {
        self.storage.inner.core.rotation.change(|state| state.running = None);
    }
}

impl Storage {
    /// Knows these master keys from now on, the newest last. Which of them seals doesn't change by that.
    ///
    /// # Errors
    /// The one that seals is not among them.
    pub fn offer_keys(&self, keys: &[crate::seal::SealKey]) -> Result<(), StoreError> {
        self.inner.core.offer_keys(keys)
    }

    /// The resources that are sealed, but for the private ones, and how many objects each has.
    pub fn sealed_resources(&self) -> Vec<(ResourceId, usize)> {
        let core = &self.inner.core;
        let served = core.options.sealed.iter().filter(|resource| !core.options.private.contains(resource));
        served.map(|resource| (resource.clone(), self.snapshot(resource).entries.len())).collect()
    }

    /// The names of the master keys; `None` for a store that isn't sealed.
    pub fn master_keys(&self) -> Option<MasterKeys> {
        self.inner.core.master_keys()
    }

    /// Makes the newest master key the one that the store is sealed with, and ends when no row of the database opens
    /// with another, nor with a data key of before. Writers wait for nothing.
    ///
    /// Every process that writes must know the newest key before: one that doesn't is shut out of the store.
    ///
    /// # Errors
    /// Whatever the store says; the next call goes on.
    pub async fn rotate(&self, data_keys: DataKeyRule) -> Result<(), RotateError> {
        self.begin_rotation().await?.run(data_keys).await
    }

    /// Takes the turn: from now on [`Storage::rotation`] says that it is running.
    ///
    /// # Errors
    /// [`RotateError::Busy`] while another one, or a restore, is under way.
    pub async fn begin_rotation(&self) -> Result<RotationRun, RotateError> {
        let core = &self.inner.core;
        let turn = Arc::clone(&core.restoring).lock_owned();
        let turn = tokio::time::timeout(PATIENCE, turn).await.map_err(|_| RotateError::Busy)?;
        core.rotation.change(|state| *state = State { running: Some((RotationStep::Looking, 0, 0)), failed: None });
        Ok(RotationRun { storage: self.clone(), _turn: turn })
    }

    /// How it stands, by what is in the database.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn rotation(&self) -> Result<RotationStatus, RotateError> {
        let core = &self.inner.core;
        let State { running, failed } = core.rotation.state();
        let left = if running.is_some() { 0 } else { core.left().await?.rows() };
        let keys = core.master_keys().ok_or(RotateError::NotSealed)?;
        Ok(RotationStatus { keys, running, left, failed })
    }

    async fn bring_over(&self, data_keys: DataKeyRule) -> Result<(), RotateError> {
        let core = &self.inner.core;
        core.take_newest_key().await?;
        if data_keys == DataKeyRule::Renewed {
            self.renew_data_keys().await?;
        }
        let mut left = core.left().await?;
        for _ in 0..ROUNDS {
            if left.rows() == 0 {
                tracing::info!("nothing is sealed with an older master key any more");
                return Ok(());
            }
            self.seal_anew(&left.objects).await?;
            // What was written anew has left its last state in the log.
            left = core.left().await?;
            if left.objects.is_empty() {
                core.rotation.note(RotationStep::Forgetting, 0, usize::try_from(left.changes).unwrap_or(usize::MAX));
                core.forget(&left).await?;
                left = core.left().await?;
            }
            if left.objects.is_empty() && left.changes == 0 {
                for entry in &left.renewed {
                    self.replace_data_key(entry, data_keys::without_older).await?;
                }
                left = core.left().await?;
            }
        }
        Err(RotateError::Endless { left: left.rows() })
    }

    /// Has another key seal in each namespace, and makes sure that everybody does so.
    async fn renew_data_keys(&self) -> Result<(), StoreError> {
        let core = &self.inner.core;
        for entry in core.data_key_objects() {
            self.replace_data_key(&entry, data_keys::renewal).await?;
        }
        core.renew_check().await
    }

    /// Whoever was quicker has changed it otherwise, and what is left then is looked for again.
    async fn replace_data_key(&self, entry: &Entry, change: fn(&Entry) -> Option<Write>) -> Result<(), StoreError> {
        let damaged = || StoreError::Damaged { what: format!("`{}` holds no data key", entry.key) };
        self.write_data_key(change(entry).ok_or_else(damaged)?).await.map(drop)
    }

    async fn seal_anew(&self, objects: &BTreeSet<Key>) -> Result<(), StoreError> {
        let core = &self.inner.core;
        let all: Vec<&Key> = objects.iter().collect();
        for (place, portion) in all.chunks(PORTION).enumerate() {
            core.rotation.note(RotationStep::Sealing, place * PORTION, all.len());
            let written = futures::future::join_all(portion.iter().map(|key| self.reseal_one(key))).await;
            written.into_iter().collect::<Result<(), _>>()?;
        }
        core.rotation.note(RotationStep::Looking, all.len(), all.len());
        Ok(())
    }
}

impl Core {
    /// Replaces the seal check: from then on whatever is written is sealed with the newest key.
    async fn take_newest_key(&self) -> Result<(), RotateError> {
        loop {
            self.learn_keys().await?;
            let (sealer, check) = self.master.present().ok_or(RotateError::NotSealed)?;
            let Some(newest) = sealer.sealing_with(sealer.newest()).filter(|newest| newest.key_id() != sealer.key_id())
            else {
                return Ok(());
            };
            // Another apiserver may have been quicker; then it is asked again which key counts.
            if self.store.replace_seal_check(&check, &newest.make_check(self.installation)).await? {
                tracing::info!(from = %sealer.key_id(), to = %newest.key_id(), "the master key is rotated");
            }
        }
    }

    /// Looks at every row.
    async fn left(&self) -> Result<Left, StoreError> {
        self.learn_keys().await?;
        let mut left = Left::default();
        let meta = self
            .store
            .load(&mut |object| {
                if !self.is_current(&object.key, &object.body) {
                    left.objects.insert(object.key);
                }
            })
            .await?;
        let mut after = meta.compacted;
        loop {
            let page = match self.store.changes(after, PAGE).await {
                Ok(page) => page,
                Err(StoreError::Compacted { compacted }) if compacted > after => {
                    after = compacted;
                    continue;
                }
                Err(error) => return Err(error),
            };
            let Some(last) = page.last() else { break };
            after = last.revision;
            for change in page.iter().filter(|change| !self.is_current_change(change)) {
                left.changes += 1;
                left.newest = Some(change.revision);
            }
        }
        left.renewed = self.data_key_objects().into_iter().filter(|entry| data_keys::has_older(entry)).collect();
        Ok(left)
    }

    /// Whether a row of the log is sealed as it would be now, and holds no data key of before.
    fn is_current_change(&self, change: &StoredChange) -> bool {
        self.is_current(&change.key, &change.body)
            && (!self.is_data_key(&change.key)
                || self
                    .open_sealed(&change.key, change.uid, &change.body)
                    .is_ok_and(|plain| self.data_keys.knows_all_of(&change.key.namespace, &plain)))
    }

    fn data_key_objects(&self) -> Vec<Arc<Entry>> {
        let Some(resource) = &self.options.data_keys else { return Vec::new() };
        self.cache.snapshot(resource).entries.iter().cloned().collect()
    }

    pub(super) async fn forget_what_is_left(&self) -> Result<(), StoreError> {
        let left = self.left().await?;
        self.forget(&left).await
    }

    /// Forgets the log up to the last of what is left in it. Whoever follows it gets time to read it before; who is late all
    /// the same reads everything anew.
    async fn forget(&self, left: &Left) -> Result<(), StoreError> {
        let Some(newest) = left.newest else { return Ok(()) };
        if let Sharing::Shared { poll } = self.store.sharing() {
            tokio::time::sleep(poll).await;
        }
        self.store.compact(newest).await
    }
}
