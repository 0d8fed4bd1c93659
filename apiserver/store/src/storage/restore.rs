//! Takes the whole content out for a backup, and puts other content in its place.
//!
//! What is private to this installation neither leaves nor is replaced. A body that must be sealed is never handed out
//! in the clear unless it is asked for.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use crate::body::Body;
use crate::cache::Entries;
use crate::seal::{KeyId, SealError, SealKey};
use crate::{Entry, Key, Meta, Replacement, ResourceId, Revision, Sealer, Staging, StoreError, StoredObject};

use super::core::Core;
use super::{Storage, now};

/// Objects that are handed to the database at once, and their bytes.
const PORTION: usize = 500;
const PORTION_BYTES: usize = 4 << 20;

/// The whole content at one revision, without what is private.
pub struct Export {
    /// Whose content it is.
    pub installation: Uuid,
    /// The history that the revision belongs to.
    pub epoch: Uuid,
    /// The revision.
    pub revision: Revision,
    /// The key that sealed bodies are sealed with.
    pub key: Option<KeyId>,
    /// The objects of each resource. Holding them costs no more than what changes meanwhile.
    pub resources: Vec<(ResourceId, Entries)>,
    core: Arc<Core>,
}

/// A body as a backup has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// JSON.
    Plain(Bytes),
    /// Sealed for its key and uid.
    Sealed(Vec<u8>),
}

/// One object of a backup.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// Where it lived.
    pub key: Key,
    /// Its identity.
    pub uid: Uuid,
    /// Its last write.
    pub revision: Revision,
    /// What it was.
    pub content: Content,
}

impl Export {
    /// How many objects there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.resources.iter().map(|(_, entries)| entries.len()).sum()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The body of an object, sealed if that is how its resource is kept.
    ///
    /// # Errors
    /// [`StoreError::Seal`] without a key.
    pub fn content(&self, entry: &Entry) -> Result<Content, StoreError> {
        self.core.content(entry)
    }
}

impl std::fmt::Debug for Export {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Export").field("revision", &self.revision).finish_non_exhaustive()
    }
}

/// Content on its way in. Dropped before [`Restore::commit`], it leaves everything as it is.
pub struct Restore {
    core: Arc<Core>,
    staging: Box<dyn Staging>,
    /// The seal check when it began: what came is sealed with what counted then.
    check: Option<Vec<u8>>,
    /// Opens what other keys have sealed.
    other: Option<Sealer>,
    portion: Vec<StoredObject>,
    portion_bytes: usize,
    newest: Revision,
    _turn: OwnedMutexGuard<()>,
}

/// Where restored content is from.
#[derive(Debug, Clone)]
pub struct Source {
    /// Whose content it was.
    pub installation: Uuid,
    /// Where the store stood.
    pub revision: Revision,
    /// How far revisions go on at least, past what the other history may have reached since.
    pub advance: u64,
    /// What [`Storage::restored`] says until somebody confirms.
    pub note: String,
}

/// Why content is not taken.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// One at a time.
    #[error("another restore, or a rotation of keys, is under way")]
    Busy,
    /// What came is sealed with keys that don't count any more.
    #[error("the keys of the store were rotated meanwhile: restore again")]
    NewKeys,
    /// An object can't be opened.
    #[error("failed to open the sealed object `{key}`")]
    Sealed {
        /// The object.
        key: Box<Key>,
        /// Why.
        #[source]
        source: SealError,
    },
    /// An object is none.
    #[error("`{key}` is not an object: {reason}")]
    Malformed {
        /// The object.
        key: Box<Key>,
        /// What is wrong with it.
        reason: String,
    },
    /// A revision is beyond that of the whole.
    #[error("an object has the revision {newest}, beyond that of the whole content, {whole}")]
    Ahead {
        /// The object's.
        newest: Revision,
        /// The content's.
        whole: Revision,
    },
    /// The database refuses.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Storage {
    /// The whole content now, as far as this process knows it; see [`Storage::fresh`].
    pub fn export(&self) -> Export {
        let core = Arc::clone(&self.inner.core);
        let (revision, mut resources) = core.cache.snapshots();
        resources.retain(|(id, _)| !core.options.private.contains(id));
        let key = core.master_keys().map(|keys| keys.present);
        Export { installation: core.installation, epoch: core.epoch, revision, key, resources, core }
    }

    /// Begins to put other content in the place of everything; `others` are further keys that it may be sealed with.
    ///
    /// # Errors
    /// [`RestoreError::Busy`] while another one is under way, and whatever the store says.
    pub async fn restore(&self, others: &[SealKey]) -> Result<Restore, RestoreError> {
        let core = Arc::clone(&self.inner.core);
        let turn = Arc::clone(&core.restoring).try_lock_owned().map_err(|_| RestoreError::Busy)?;
        core.learn_keys().await?;
        let (staging, check) = (core.store.stage().await?, core.master.check());
        Ok(Restore {
            core,
            check,
            staging,
            other: Sealer::of_all(others),
            portion: Vec::new(),
            portion_bytes: 0,
            newest: Revision::ZERO,
            _turn: turn,
        })
    }
}

impl Restore {
    /// Takes an object. Each key comes once.
    ///
    /// # Errors
    /// For what is no object or can't be opened. The restore can't go on then.
    pub async fn put(&mut self, incoming: Incoming) -> Result<(), RestoreError> {
        let Incoming { key, uid, revision, content } = incoming;
        let plain = match content {
            Content::Plain(plain) => plain,
            Content::Sealed(sealed) => self.open(&key, uid, &sealed)?.into(),
        };
        let malformed = |reason| RestoreError::Malformed { key: Box::new(key.clone()), reason };
        let body = Body::parse(&plain).map_err(malformed)?;
        if self.core.options.private.contains(&key.resource) {
            return Err(malformed("its resource is private to an installation".to_owned()));
        }
        let body = self.core.stored(&key, uid, body.stored())?;
        self.newest = self.newest.max(revision);
        self.portion_bytes += body.len();
        self.portion.push(StoredObject { key, uid, revision, body });
        if self.portion.len() >= PORTION || self.portion_bytes >= PORTION_BYTES {
            self.hand_over().await?;
        }
        Ok(())
    }

    /// Puts what came in the place of everything. From then on this storage's history is over: see
    /// [`Storage::replaced`].
    ///
    /// # Errors
    /// Nothing has changed then, unless the answer of the database was lost.
    pub async fn commit(mut self, source: Source) -> Result<Meta, RestoreError> {
        if self.newest > source.revision {
            return Err(RestoreError::Ahead { newest: self.newest, whole: source.revision });
        }
        self.core.learn_keys().await?;
        if self.core.master.check() != self.check {
            return Err(RestoreError::NewKeys);
        }
        self.keep_private(source.revision)?;
        self.hand_over().await?;
        let sealer = self.core.master.sealer();
        let replacement = Replacement {
            replaces: self.core.epoch,
            epoch: Uuid::new_v4(),
            installation: source.installation,
            seal_check: sealer.map(|sealer| sealer.make_check(source.installation)),
            revision: source.revision,
            advance: source.advance,
            restored: source.note,
        };
        let began = now();
        let meta = match self.staging.commit(&replacement).await {
            Err(StoreError::OutcomeUnknown { source }) => {
                let meta = self.core.store.meta().await?;
                if meta.epoch != replacement.epoch {
                    return Err(StoreError::unavailable("put the restored objects in place", source).into());
                }
                meta
            }
            other => other?,
        };
        tracing::info!(revision = meta.revision.0, elapsed_ms = (now() - began).as_millis(), "the store was replaced");
        self.core.end_history();
        Ok(meta)
    }

    fn open(&self, key: &Key, uid: Uuid, sealed: &[u8]) -> Result<Vec<u8>, RestoreError> {
        let failed = |source| RestoreError::Sealed { key: Box::new(key.clone()), source };
        let own = self.core.sealer()?.open(key, uid, sealed);
        match (own, &self.other) {
            (Err(SealError::UnknownKey { .. }), Some(other)) => other.open(key, uid, sealed).map_err(failed),
            (own, _) => own.map_err(failed),
        }
    }

    /// What is private stays.
    fn keep_private(&mut self, revision: Revision) -> Result<(), RestoreError> {
        for resource in &self.core.options.private {
            for entry in self.core.cache.snapshot(resource).entries.iter() {
                let malformed = |reason| RestoreError::Malformed { key: Box::new(entry.key.clone()), reason };
                let body = Body::parse(&entry.body).map_err(malformed)?;
                let body = self.core.stored(&entry.key, entry.uid, body.stored())?;
                self.portion.push(StoredObject { key: entry.key.clone(), uid: entry.uid, revision, body });
            }
        }
        Ok(())
    }

    async fn hand_over(&mut self) -> Result<(), StoreError> {
        self.portion_bytes = 0;
        self.staging.put(std::mem::take(&mut self.portion)).await
    }
}

impl Core {
    /// A body as the database keeps it.
    fn stored(&self, key: &Key, uid: Uuid, body: &[u8]) -> Result<Vec<u8>, StoreError> {
        if self.is_sealed(&key.resource) { self.seal(key, uid, body) } else { Ok(body.to_vec()) }
    }

    fn content(&self, entry: &Entry) -> Result<Content, StoreError> {
        if self.is_sealed(&entry.key.resource) {
            Ok(Content::Sealed(self.sealer()?.seal(&entry.key, entry.uid, &entry.body)))
        } else {
            Ok(Content::Plain(entry.body.clone()))
        }
    }
}
