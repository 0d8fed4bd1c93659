//! A store in memory, for tests and simulations: the same guarantees, no files, and faults on demand.
//!
//! Handles made with [`MemoryStore::another`] share one state like processes share a database.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::StreamExt;
use tokio::sync::broadcast;
use uuid::Uuid;

use crate::{
    Batch, Change, Committed, Hint, Hints, Key, Meta, Replacement, Revision, Sharing, Staging, Store, StoreError,
    StoredChange, StoredObject, decide,
};

/// A store that lives as long as a handle to it.
#[derive(Clone)]
pub struct MemoryStore {
    content: Arc<Mutex<Content>>,
    faults: Arc<Mutex<VecDeque<Fault>>>,
    delays: Arc<Mutex<VecDeque<Duration>>>,
    sharing: Sharing,
    has_hints: bool,
    hints: broadcast::Sender<Revision>,
}

#[derive(Clone)]
struct Content {
    meta: Meta,
    objects: BTreeMap<Key, StoredObject>,
    changes: BTreeMap<Revision, StoredChange>,
}

/// What shall go wrong with a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is written, and the store says so.
    Refuse,
    /// Everything is written, but the answer is lost.
    LoseAnswer,
    /// Nothing is written, and the answer is lost.
    LoseRequest,
}

impl MemoryStore {
    /// An empty store that only its opener writes to.
    pub fn new(installation: Uuid) -> MemoryStore {
        MemoryStore {
            content: Arc::new(Mutex::new(Content {
                meta: Meta {
                    revision: Revision::ZERO,
                    compacted: Revision::ZERO,
                    epoch: Uuid::new_v4(),
                    installation,
                    seal_check: None,
                    restored: None,
                },
                objects: BTreeMap::new(),
                changes: BTreeMap::new(),
            })),
            faults: Arc::default(),
            delays: Arc::default(),
            sharing: Sharing::Exclusive,
            has_hints: true,
            hints: broadcast::Sender::new(16),
        }
    }

    /// An empty store that several may open; they look for each other's writes every `poll`.
    pub fn shared(installation: Uuid, poll: Duration) -> MemoryStore {
        MemoryStore { sharing: Sharing::Shared { poll }, ..MemoryStore::new(installation) }
    }

    /// Nobody is told when others write, as if all notifications got lost.
    pub fn without_hints(self) -> MemoryStore {
        MemoryStore { has_hints: false, ..self }
    }

    /// A second handle to the same content, with its own faults.
    pub fn another(&self) -> MemoryStore {
        MemoryStore { faults: Arc::default(), delays: Arc::default(), ..self.clone() }
    }

    /// Another store that begins with what this one holds now, as the store of another installation.
    pub fn copied(&self, installation: Uuid) -> MemoryStore {
        let mut content = lock(&self.content).clone();
        content.meta.installation = installation;
        MemoryStore { content: Arc::new(Mutex::new(content)), sharing: self.sharing, ..MemoryStore::new(installation) }
    }

    /// Makes the next commit through this handle that has no fault yet go wrong. Empty batches never do.
    pub fn inject(&self, fault: Fault) {
        lock(&self.faults).push_back(fault);
    }

    /// The next answer of [`Store::meta`] through this handle comes so much later than it was true.
    pub fn delay_meta(&self, delay: Duration) {
        lock(&self.delays).push_back(delay);
    }

    /// Every byte that the store keeps, for tests that look for what must not be there.
    pub fn raw_bytes(&self) -> Vec<u8> {
        let content = lock(&self.content);
        let objects = content.objects.values().map(|object| &object.body);
        let changes = content.changes.values().map(|change| &change.body);
        objects.chain(changes).flatten().copied().collect()
    }
}

impl Default for MemoryStore {
    fn default() -> MemoryStore {
        MemoryStore::new(Uuid::new_v4())
    }
}

impl Content {
    fn commit(&mut self, batch: &Batch) -> Committed {
        let known = |write: &crate::Write| {
            let object = self.objects.get(&write.key)?;
            Some((write.key.clone(), (object.uid, object.revision)))
        };
        let current = batch.writes.iter().filter_map(known).collect();
        let decision = decide(self.meta.revision, batch, current);
        let mut id = Some(batch.id);
        for (place, accepted) in decision.accepted() {
            let write = &batch.writes[place];
            let body = write.change.body().to_vec();
            match &write.change {
                Change::Put { uid, .. } => {
                    let object = StoredObject {
                        key: write.key.clone(),
                        uid: *uid,
                        revision: accepted.revision,
                        body: body.clone(),
                    };
                    self.objects.insert(write.key.clone(), object);
                }
                Change::Delete { .. } => {
                    self.objects.remove(&write.key);
                }
            }
            let change = StoredChange {
                revision: accepted.revision,
                key: write.key.clone(),
                uid: accepted.uid,
                operation: accepted.operation,
                previous: accepted.previous,
                body,
                batch: id.take(),
            };
            self.changes.insert(accepted.revision, change);
        }
        self.meta.revision = decision.committed.revision;
        decision.committed
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn meta(&self) -> Result<Meta, StoreError> {
        let meta = lock(&self.content).meta.clone();
        let delay = lock(&self.delays).pop_front();
        if let Some(delay) = delay {
            tokio::time::sleep(delay).await;
        }
        Ok(meta)
    }

    async fn load(&self, each: &mut (dyn FnMut(StoredObject) + Send)) -> Result<Meta, StoreError> {
        let content = lock(&self.content);
        content.objects.values().cloned().for_each(each);
        Ok(content.meta.clone())
    }

    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let fault = if batch.writes.is_empty() { None } else { lock(&self.faults).pop_front() };
        let lost = || StoreError::OutcomeUnknown { source: "injected fault".into() };
        match fault {
            Some(Fault::Refuse) => return Err(StoreError::unavailable("commit", "injected fault")),
            Some(Fault::LoseRequest) => return Err(lost()),
            Some(Fault::LoseAnswer) | None => {}
        }
        // Lets others run here, as they would during the commit of a real database.
        tokio::task::yield_now().await;
        let committed = {
            let mut content = lock(&self.content);
            if content.meta.epoch != batch.epoch {
                return Err(StoreError::NewHistory);
            }
            if !batch.knows(content.meta.seal_check.as_deref()) {
                return Err(StoreError::NewKeys);
            }
            content.commit(batch)
        };
        if committed.revision > committed.base && self.sharing != Sharing::Exclusive {
            // Nobody may be listening.
            let _ = self.hints.send(committed.revision);
        }
        if fault.is_some() { Err(lost()) } else { Ok(committed) }
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        let content = lock(&self.content);
        let compacted = content.meta.compacted;
        if after < compacted {
            return Err(StoreError::Compacted { compacted });
        }
        Ok(content.changes.range(after.next()..).take(limit).map(|(_, change)| change.clone()).collect())
    }

    async fn compact(&self, through: Revision) -> Result<(), StoreError> {
        let mut content = lock(&self.content);
        let through = through.min(content.meta.revision);
        if through > content.meta.compacted {
            content.meta.compacted = through;
            content.changes = content.changes.split_off(&through.next());
        }
        Ok(())
    }

    async fn keep_seal_check(&self, check: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut content = lock(&self.content);
        Ok(content.meta.seal_check.get_or_insert_with(|| check.to_vec()).clone())
    }

    async fn replace_seal_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError> {
        let kept = &mut lock(&self.content).meta.seal_check;
        let is_old = kept.as_deref() == Some(old);
        if is_old {
            *kept = Some(new.to_vec());
        }
        Ok(is_old)
    }

    async fn mark_restored(&self, note: Option<&str>) -> Result<(), StoreError> {
        lock(&self.content).meta.restored = note.map(str::to_owned);
        Ok(())
    }

    async fn stage(&self) -> Result<Box<dyn Staging>, StoreError> {
        Ok(Box::new(Staged { store: self.clone(), objects: Vec::new() }))
    }

    fn sharing(&self) -> Sharing {
        self.sharing
    }

    async fn hints(&self) -> Result<Option<Hints>, StoreError> {
        if !self.has_hints {
            return Ok(None);
        }
        let receiver = self.hints.subscribe();
        let hints = futures::stream::unfold(receiver, async |mut receiver| match receiver.recv().await {
            Ok(revision) => Some((Hint::Reached(revision), receiver)),
            Err(broadcast::error::RecvError::Lagged(_)) => Some((Hint::Look, receiver)),
            Err(broadcast::error::RecvError::Closed) => None,
        });
        Ok(Some(hints.boxed()))
    }
}

/// Objects that wait for their commit.
struct Staged {
    store: MemoryStore,
    objects: Vec<StoredObject>,
}

#[async_trait]
impl Staging for Staged {
    async fn put(&mut self, objects: Vec<StoredObject>) -> Result<(), StoreError> {
        self.objects.extend(objects);
        Ok(())
    }

    async fn commit(self: Box<Self>, replacement: &Replacement) -> Result<Meta, StoreError> {
        let mut content = lock(&self.store.content);
        let present = content.meta.revision;
        if content.meta.epoch != replacement.replaces {
            return Err(StoreError::NewHistory);
        }
        let offset = replacement.offset(present);
        let moved = self.objects.into_iter().map(|mut object| {
            object.revision = Revision(object.revision.0 + offset);
            (object.key.clone(), object)
        });
        content.objects = moved.collect();
        content.changes.clear();
        content.meta = replacement.meta(present);
        // Nobody may be listening.
        let _ = self.store.hints.send(content.meta.revision);
        Ok(content.meta.clone())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
