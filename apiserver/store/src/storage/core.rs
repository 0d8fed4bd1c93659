//! What the facade and its tasks share: the store, the cache, the seal and the counters.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::body::Body;
use crate::cache::{Applied, Cache};
use crate::seal::{SealError, is_sealed};
use crate::{Entry, Key, Operation, ResourceId, Revision, Sealer, Store, StoreError, StoredChange, StoredObject};

use super::data_keys::DataKeys;
use super::follow::Looks;
use super::master::Master;
use super::rotate::Rotation;
use super::stats::{Counters, Stats};
use super::upkeep::Logged;
use super::{StorageOptions, now};

pub(super) struct Core {
    pub(super) store: Arc<dyn Store>,
    pub(super) cache: Arc<Cache>,
    pub(super) options: StorageOptions,
    pub(super) installation: Uuid,
    pub(super) epoch: Uuid,
    pub(super) counters: Counters,
    pub(super) stop: CancellationToken,
    /// Held by whoever fetches and applies changes, so that they are applied in order.
    pub(super) applying: tokio::sync::Mutex<()>,
    pub(super) looks: Looks,
    pub(super) logged: Logged,
    /// The store has another history by now: nothing that is known here may be told as the present any more.
    pub(super) replaced: CancellationToken,
    /// Held by whoever restores.
    pub(super) restoring: Arc<tokio::sync::Mutex<()>>,
    restored: RwLock<Option<String>>,
    sealed: BTreeSet<ResourceId>,
    pub(super) master: Master,
    pub(super) data_keys: DataKeys,
    pub(super) rotation: Rotation,
    /// What isn't sealed as it would be now.
    pub(super) stale: Mutex<BTreeSet<Key>>,
}

impl Core {
    pub(super) async fn open(store: Arc<dyn Store>, options: StorageOptions) -> Result<Core, StoreError> {
        let meta = store.meta().await?;
        let master = Master::find(store.as_ref(), &meta, &options).await?;
        let core = Core {
            cache: Arc::new(Cache::new(options.limits())),
            sealed: options.sealed.iter().chain(&options.data_keys).cloned().collect(),
            master,
            data_keys: DataKeys::default(),
            rotation: Rotation::default(),
            stale: Mutex::default(),
            installation: meta.installation,
            epoch: meta.epoch,
            replaced: CancellationToken::new(),
            restoring: Arc::default(),
            restored: RwLock::new(meta.restored),
            counters: Counters::default(),
            stop: CancellationToken::new(),
            applying: tokio::sync::Mutex::new(()),
            looks: Looks::default(),
            logged: Logged::default(),
            options,
            store,
        };
        core.fill().await?;
        Ok(core)
    }

    /// Reads everything anew. The caller holds `applying` (or is the only one).
    pub(super) async fn fill(&self) -> Result<(), StoreError> {
        let mut entries = Vec::new();
        let mut failed = None;
        let mut in_the_clear = 0_u64;
        // Objects come in any order, and data keys among them.
        let mut later = Vec::new();
        let mut namespaces = BTreeSet::new();
        let meta = self
            .store
            .load(&mut |object| {
                in_the_clear += u64::from(self.is_sealed(&object.key.resource) && !is_sealed(&object.body));
                if self.is_data_key(&object.key) {
                    namespaces.insert(object.key.namespace.clone());
                }
                if !self.is_data_key(&object.key) && is_sealed(&object.body) {
                    later.push(object);
                    return;
                }
                match self.entry_of_object(object) {
                    Ok(entry) => entries.push(entry),
                    Err(error) => failed = failed.take().or(Some(error)),
                }
            })
            .await?;
        self.keep_to_history(meta.epoch)?;
        self.data_keys.keep_only(&namespaces);
        for object in later {
            match self.entry_of_object(object) {
                Ok(entry) => entries.push(entry),
                Err(error) => failed = failed.take().or(Some(error)),
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        if in_the_clear > 0 {
            tracing::info!(
                objects = in_the_clear,
                "objects of sealed kinds are stored in the clear, and are to be sealed"
            );
        }
        self.cache.fill(meta.revision, entries, now());
        Ok(())
    }

    /// Ends everything here if the store has another history than the one that was opened.
    pub(super) fn keep_to_history(&self, epoch: Uuid) -> Result<(), StoreError> {
        if epoch == self.epoch {
            return Ok(());
        }
        self.end_history();
        Err(StoreError::NewHistory)
    }

    pub(super) fn end_history(&self) {
        self.end("the store was restored from a backup");
    }

    /// Lets whoever uses this open the store anew.
    pub(super) fn end(&self, why: &'static str) {
        if !self.replaced.is_cancelled() {
            tracing::warn!(epoch = %self.epoch, why, "what is known of the store has ended");
            self.replaced.cancel();
            self.cache.close();
        }
    }

    pub(super) fn restored(&self) -> Option<String> {
        self.restored.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn learn_restored(&self, note: Option<String>) {
        *self.restored.write().unwrap_or_else(PoisonError::into_inner) = note;
    }

    pub(super) fn is_sealed(&self, resource: &ResourceId) -> bool {
        self.sealed.contains(resource)
    }

    pub(super) fn sealer(&self) -> Result<Sealer, StoreError> {
        self.master.sealer().ok_or(StoreError::Seal(SealError::NoKey))
    }

    /// Whether objects of this key are sealed with the data key of its namespace.
    pub(super) fn has_data_key(&self, key: &Key) -> bool {
        let Some(resource) = &self.options.data_keys else { return false };
        key.resource != *resource && self.is_sealed(&key.resource)
    }

    /// Whether the object is a data key.
    pub(super) fn is_data_key(&self, key: &Key) -> bool {
        self.options.data_keys.as_ref() == Some(&key.resource)
    }

    /// The resources whose objects are sealed with data keys.
    pub(super) fn sealed_with_data_keys(&self) -> impl Iterator<Item = &ResourceId> {
        self.sealed.iter().filter(|resource| self.options.data_keys.as_ref() != Some(resource))
    }

    /// What seals an object now.
    pub(super) fn present_sealer(&self, key: &Key) -> Option<Sealer> {
        let of_namespace = if self.has_data_key(key) { self.data_keys.sealing(&key.namespace) } else { None };
        of_namespace.or_else(|| self.master.sealer())
    }

    pub(super) fn seal(&self, key: &Key, uid: Uuid, plain: &[u8]) -> Result<Vec<u8>, StoreError> {
        let sealer = self.present_sealer(key).ok_or(StoreError::Seal(SealError::NoKey))?;
        Ok(sealer.seal(key, uid, plain))
    }

    /// Opens what is sealed with the data key of its namespace, or as it was before there was one.
    pub(super) fn open_sealed(&self, key: &Key, uid: Uuid, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
        // Also where the kind isn't sealed any more.
        if !self.is_data_key(key)
            && let Some(sealer) = self.data_keys.opening(&key.namespace)
        {
            match sealer.open(key, uid, sealed) {
                Err(SealError::UnknownKey { .. }) => {}
                opened => return opened.map_err(StoreError::Seal),
            }
        }
        self.sealer()?.open(key, uid, sealed).map_err(StoreError::Seal)
    }

    fn entry_of_object(&self, object: StoredObject) -> Result<Arc<Entry>, StoreError> {
        let entry = self.entry(object.key, object.uid, object.revision, object.body)?;
        if self.is_data_key(&entry.key) && !self.data_keys.learn(&entry) {
            return Err(no_data_key(&entry));
        }
        Ok(entry)
    }

    pub(super) fn applied_of_change(&self, change: StoredChange) -> Result<Applied, StoreError> {
        let deleted = change.operation == Operation::Delete;
        let is_key = self.is_data_key(&change.key);
        let entry = self.entry(change.key, change.uid, change.revision, change.body)?;
        if deleted && is_key {
            self.data_keys.forget(&entry);
        } else if is_key && !self.data_keys.learn(&entry) {
            return Err(no_data_key(&entry));
        }
        Ok(Applied { entry, deleted })
    }

    fn entry(&self, key: Key, uid: Uuid, revision: Revision, stored: Vec<u8>) -> Result<Arc<Entry>, StoreError> {
        self.note_seal(&key, &stored);
        let plain = if is_sealed(&stored) { self.open_sealed(&key, uid, &stored)? } else { stored };
        let body = Body::parse(&plain).map_err(|reason| StoreError::Damaged {
            what: format!("`{key}` at revision {revision} is not an object: {reason}"),
        })?;
        Ok(Arc::new(entry_of_body(key, uid, revision, body)))
    }

    pub(super) fn stats(&self) -> Stats {
        self.counters.read(self.cache.counts(), self.cache.revision())
    }
}

fn no_data_key(entry: &Entry) -> StoreError {
    StoreError::Damaged { what: format!("`{}` at revision {} holds no data key", entry.key, entry.revision) }
}

pub(super) fn entry_of_body(key: Key, uid: Uuid, revision: Revision, body: Body) -> Entry {
    Entry { key, uid, revision, body: body.served(revision), labels: body.into_labels() }
}
