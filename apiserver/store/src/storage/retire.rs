//! Deletes the data key of a namespace in which nothing is sealed any more, so that what was deleted there opens no more,
//! wherever it is kept. A namespace that is used again gets another key.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use tokio::time::Instant;

use crate::{Entry, Sharing, StoreError, WriteError};

use super::core::Core;
use super::upkeep::pause;
use super::{Inner, Storage, data_keys, now};

/// Looks after writes, and deletes what has been of no use for as long as the log is kept.
pub(super) async fn run(storage: Weak<Inner>, core: Arc<Core>) {
    if core.options.data_keys.is_none() {
        return;
    }
    let mut revisions = core.cache.revisions();
    let mut unused: BTreeMap<String, Instant> = BTreeMap::new();
    loop {
        if unused.is_empty() {
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                () = core.stop.cancelled() => return,
            }
        }
        if !pause(&core, core.options.compaction_interval).await {
            return;
        }
        revisions.mark_unchanged();
        let found = core.unused_data_keys();
        unused.retain(|namespace, _| found.contains_key(namespace));
        for (namespace, entry) in found {
            let since = *unused.entry(namespace.clone()).or_insert_with(now);
            if now() - since < core.options.keep_changes_for {
                continue;
            }
            let Some(storage) = storage.upgrade().map(|inner| Storage { inner }) else { return };
            match storage.delete_data_key(&entry).await {
                Ok(()) => tracing::debug!(namespace, "the data key of an empty namespace is deleted"),
                Err(error) => {
                    tracing::warn!(
                        error = &error as &dyn std::error::Error,
                        namespace,
                        "a data key could not be deleted"
                    );
                }
            }
        }
    }
}

impl Core {
    /// The data keys of namespaces in which nothing is sealed, by namespace.
    fn unused_data_keys(&self) -> BTreeMap<String, Arc<Entry>> {
        let Some(resource) = &self.options.data_keys else { return BTreeMap::new() };
        let snapshot = self.cache.snapshot(resource);
        let unused = snapshot.entries.iter().filter(|entry| self.is_unused(&entry.key.namespace));
        unused.map(|entry| (entry.key.namespace.clone(), Arc::clone(entry))).collect()
    }

    fn is_unused(&self, namespace: &str) -> bool {
        self.sealed_with_data_keys()
            .all(|resource| self.cache.snapshot(resource).entries.within(namespace).next().is_none())
    }
}

impl Storage {
    /// Deletes a data key, unless somebody needs it. Cut off, the key only opens until somebody seals with it again.
    async fn delete_data_key(&self, entry: &Entry) -> Result<(), StoreError> {
        let core = &self.inner.core;
        // What is being restored is sealed with the keys of now.
        let Ok(_turn) = core.restoring.try_lock() else { return Ok(()) };
        let damaged = || StoreError::Damaged { what: format!("`{}` holds no data key", entry.key) };
        let retired = data_keys::retirement(entry, true).ok_or_else(damaged)?;
        let Some(retired) = self.write_data_key(retired).await? else { return Ok(()) };
        // From here on nobody seals with it, and what somebody has sealed before is known.
        core.renew_check().await?;
        // Another apiserver may seal kinds that this one doesn't.
        let key = core.data_keys.opening(&retired.key.namespace);
        let mut is_used = !core.is_unused(&retired.key.namespace);
        let of_key = |body: &[u8]| key.as_ref().is_some_and(|key| key.has_sealed(body));
        core.store.load(&mut |object| is_used |= of_key(&object.body)).await?;
        if is_used {
            let again = data_keys::retirement(&retired, false).ok_or_else(damaged)?;
            return self.write_data_key(again).await.map(drop);
        }
        // The log has what was sealed with it, and the key itself.
        let through = core.cache.revision();
        if let Sharing::Shared { poll } = core.store.sharing() {
            tokio::time::sleep(poll).await;
        }
        core.store.compact(through).await?;
        self.write_data_key(data_keys::deletion(&retired)).await.map(drop)
    }

    /// Writes a data key and learns what it says by then; `None` if somebody else was quicker.
    pub(super) async fn write_data_key(&self, write: crate::Write) -> Result<Option<Arc<Entry>>, StoreError> {
        let is_deleted = matches!(write.change, crate::Change::Delete { .. });
        match Box::pin(self.write(write)).await {
            Ok(entry) if is_deleted => {
                self.inner.core.data_keys.forget(&entry);
                Ok(Some(entry))
            }
            Ok(entry) => {
                self.inner.core.data_keys.learn(&entry);
                Ok(Some(entry))
            }
            Err(WriteError::Conflict { .. } | WriteError::NotFound | WriteError::AlreadyExists) => Ok(None),
            Err(error) => Err(StoreError::unavailable("write a data key", error)),
        }
    }
}
