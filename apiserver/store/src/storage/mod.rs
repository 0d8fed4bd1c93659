//! What the apiserver uses: one writer task over a [`Store`], and a cache that answers every read.
//!
//! A write is acknowledged after it is durable and in the cache, so that whoever wrote reads it. Reads never touch
//! the database, but for [`Storage::fresh`] where other processes write too.

mod core;
mod data_keys;
mod follow;
mod master;
mod options;
mod pending;
mod reseal;
mod restore;
mod retire;
mod rotate;
mod sequencer;
mod stats;
#[cfg(test)]
mod tests;
mod upkeep;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::{
    Entry, Expired, Key, ResourceId, Revision, Sharing, Snapshot, Store, StoreError, Watch, Write, WriteError,
};

use self::core::Core;
pub use master::MasterKeys;
pub use options::StorageOptions;
use pending::Pending;
pub use restore::{Content, Export, Incoming, Restore, RestoreError, Source};
pub use rotate::{DataKeyRule, RotateError, RotationRun, RotationStatus, RotationStep};
pub use stats::Stats;

/// Writes that may wait for the sequencer before writers have to wait for a place.
const INBOX: usize = 1_024;
/// How often the data key of a namespace is asked for, while others make and delete it.
const TRIES: usize = 8;

/// A store with its cache. Clones share everything; when the last one is dropped, the tasks end.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    core: Arc<Core>,
    inbox: mpsc::Sender<Pending>,
    tasks: TaskTracker,
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.core.stop.cancel();
        self.core.cache.close();
    }
}

impl Storage {
    /// Reads the whole store into memory, checks the sealing key and starts the tasks. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::Seal`] if the store was sealed with another key or a sealed resource has no sealer, and whatever
    /// the store says.
    pub async fn open(store: Arc<dyn Store>, options: StorageOptions) -> Result<Storage, StoreError> {
        let core = Arc::new(Core::open(store, options).await?);
        let tasks = TaskTracker::new();
        let (inbox, waiting) = mpsc::channel(INBOX);
        tasks.spawn(sequencer::run(Arc::clone(&core), waiting));
        tasks.spawn(upkeep::offer_progress(Arc::clone(&core)));
        tasks.spawn(upkeep::compact(Arc::clone(&core)));
        if let Sharing::Shared { poll } = core.store.sharing() {
            tasks.spawn(follow::follow(Arc::clone(&core), poll));
        }
        let inner = Arc::new(Inner { core: Arc::clone(&core), inbox, tasks });
        inner.tasks.spawn(retire::run(Arc::downgrade(&inner), core));
        inner.tasks.close();
        Ok(Storage { inner })
    }

    /// The id of this installation, made once with the store.
    pub fn installation(&self) -> Uuid {
        self.inner.core.installation
    }

    /// Changes when the history of the store is not a continuation, as after a restore; part of continue tokens.
    pub fn epoch(&self) -> Uuid {
        self.inner.core.epoch
    }

    /// Whether other processes may write to the same store.
    pub fn is_shared(&self) -> bool {
        self.inner.core.store.sharing() != Sharing::Exclusive
    }

    /// What was put back and waits for a confirmation; see [`Storage::mark_restored`]. Where other processes write
    /// too, it is known with the delay of a look.
    pub fn restored(&self) -> Option<String> {
        self.inner.core.restored()
    }

    /// Notes what was put back; `None` confirms it.
    pub async fn mark_restored(&self, note: Option<&str>) -> Result<(), StoreError> {
        self.inner.core.store.mark_restored(note).await?;
        self.inner.core.learn_restored(note.map(str::to_owned));
        Ok(())
    }

    /// Resolves once something else was put in the place of everything. From then on this storage refuses to read the
    /// present and to write; what comes next opens the store anew.
    pub async fn replaced(&self) {
        self.inner.core.replaced.cancelled().await;
    }

    /// Makes one change durable. When it returns, every read of this process sees it.
    ///
    /// Returns the new state, or the last one of what was deleted, with the revision of the write. If the caller
    /// stops waiting, the write may happen all the same; [`WriteError::Unavailable`] too may hide a write that
    /// happened.
    pub async fn write(&self, write: Write) -> Result<Arc<Entry>, WriteError> {
        self.write_bound(write, Vec::new()).await
    }

    /// Makes a change durable together with others, each of another object: all of them, or none. Readers see all at
    /// once.
    ///
    /// Returns the new state of the first. [`WriteError::Bound`] means that the first could have happened.
    pub async fn write_bound(&self, write: Write, bound: Vec<Write>) -> Result<Arc<Entry>, WriteError> {
        for part in std::iter::once(&write).chain(&bound) {
            self.ensure_data_key(&part.key).await?;
        }
        let (reply, answer) = oneshot::channel();
        let pending = Pending::new(write, bound, reply, &self.inner.core)?;
        let closed = || WriteError::Unavailable(Arc::new(StoreError::Closed));
        self.inner.inbox.send(pending).await.map_err(|_| closed())?;
        answer.await.map_err(|_| closed())?
    }

    /// Makes the data key that an object is to be sealed with, if there is none yet. Of several that try, one does.
    async fn ensure_data_key(&self, key: &Key) -> Result<(), WriteError> {
        let core = &self.inner.core;
        let Some(resource) = &core.options.data_keys else { return Ok(()) };
        if !core.has_data_key(key) || core.data_keys.sealing(&key.namespace).is_some() {
            return Ok(());
        }
        // One at a time: whoever comes second is told so before what the first wrote is there to be read.
        let _turn = core.data_keys.turn.lock().await;
        let unavailable = |error| WriteError::Unavailable(Arc::new(error));
        for _ in 0..TRIES {
            if core.data_keys.sealing(&key.namespace).is_some() {
                return Ok(());
            }
            // One that was about to be deleted is needed again.
            let write = match self.get(&data_keys::key_of(resource, &key.namespace)) {
                Some(retired) => data_keys::retirement(&retired, false),
                None => Some(data_keys::creation(resource, &key.namespace)),
            };
            let write = write.ok_or_else(|| unavailable(StoreError::Seal(crate::seal::SealError::NoKey)))?;
            if self.write_data_key(write).await.map_err(unavailable)?.is_none() {
                // Another apiserver was quicker.
                self.fresh().await.map_err(unavailable)?;
            }
        }
        Err(unavailable(StoreError::Seal(crate::seal::SealError::NoKey)))
    }

    /// The names of the data keys, by namespace; empty for what has none.
    pub fn data_keys(&self) -> std::collections::BTreeMap<String, crate::seal::KeyId> {
        self.inner.core.data_keys.ids()
    }

    /// Returns once the cache has everything that was committed, by anybody, before the call.
    ///
    /// Costs nothing where only this process writes; otherwise callers share one look at the database.
    pub async fn fresh(&self) -> Result<Revision, StoreError> {
        match self.inner.core.store.sharing() {
            Sharing::Exclusive if self.inner.core.replaced.is_cancelled() => Err(StoreError::NewHistory),
            Sharing::Exclusive => Ok(self.revision()),
            Sharing::Shared { .. } => follow::fresh(&self.inner.core).await,
        }
    }

    /// What the cache has applied.
    pub fn revision(&self) -> Revision {
        self.inner.core.cache.revision()
    }

    /// Waits until the cache has applied `revision`; `false` if it has not when the time is over.
    pub async fn wait_for(&self, revision: Revision, timeout: Duration) -> bool {
        let mut revisions = self.inner.core.cache.revisions();
        let reached = revisions.wait_for(|applied| *applied >= revision);
        matches!(tokio::time::timeout(timeout, reached).await, Ok(Ok(_)))
    }

    /// The object with this key.
    pub fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        self.inner.core.cache.get(key)
    }

    /// All objects of a resource now. Costs the same however many there are.
    pub fn snapshot(&self, resource: &ResourceId) -> Snapshot {
        self.inner.core.cache.snapshot(resource)
    }

    /// All objects of a resource as they were at `revision`, for the later pages of a list.
    ///
    /// # Errors
    /// [`Expired`] if the revision is too old, or has not been reached (see [`Storage::wait_for`]).
    pub fn snapshot_at(&self, resource: &ResourceId, revision: Revision) -> Result<Snapshot, Expired> {
        self.inner.core.cache.snapshot_at(resource, revision)
    }

    /// What happens to a resource strictly after `after`, which may lie in the future.
    ///
    /// # Errors
    /// [`Expired`] if events after that revision are no longer kept.
    pub fn watch(&self, resource: &ResourceId, after: Revision) -> Result<Watch, Expired> {
        self.inner.core.cache.watch(resource, after)
    }

    /// The state now, and everything that happens to it afterwards.
    pub fn snapshot_and_watch(&self, resource: &ResourceId) -> (Snapshot, Watch) {
        self.inner.core.cache.snapshot_and_watch(resource)
    }

    /// Counters since the start, and what the cache holds now.
    pub fn stats(&self) -> Stats {
        self.inner.core.stats()
    }

    /// Finishes the writes that were taken, ends the watches and the tasks, and closes the store.
    pub async fn shutdown(&self) {
        self.inner.core.stop.cancel();
        self.inner.tasks.wait().await;
        self.inner.core.cache.close();
        self.inner.core.store.close().await;
    }
}

impl std::fmt::Debug for Storage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Storage")
            .field("installation", &self.installation())
            .field("revision", &self.revision())
            .finish_non_exhaustive()
    }
}

fn now() -> Instant {
    Instant::now()
}
