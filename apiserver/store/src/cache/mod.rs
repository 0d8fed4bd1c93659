//! The state of every object in memory, what happened lately, and who wants to know.
//!
//! In: applied writes in the order of their revisions. Out: objects, snapshots and watches, without a database.
//! Never reads a clock (the caller says what time it is) and never decides what is written.

mod entries;
mod resource;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::HashMap;
use std::sync::{Arc, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use tokio::time::Instant;

use crate::{Entry, Key, ResourceId, Revision};

pub use entries::Entries;
use resource::Resource;
pub use resource::{Expired, Snapshot};
use watch::Queue;
pub use watch::{Watch, WatchItem};

/// How much the cache keeps.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long events and snapshots are kept.
    pub(crate) window: Duration,
    /// Events of a resource that are kept however old they are.
    pub(crate) window_min_events: usize,
    /// Events of a resource that are kept at most.
    pub(crate) window_max_events: usize,
    /// Bytes of events of a resource that are kept at most (but for the minimum of events).
    pub(crate) window_max_bytes: usize,
    /// Snapshots of a resource that are kept at most.
    pub(crate) max_snapshots: usize,
    /// Events that wait for one watcher at most.
    pub(crate) queue_max_events: usize,
    /// Bytes of events that wait for one watcher at most.
    pub(crate) queue_max_bytes: usize,
}

/// A write as it enters the cache.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    /// The new state, or the last one of what is deleted.
    pub(crate) entry: Arc<Entry>,
    /// Whether the object is gone.
    pub(crate) deleted: bool,
}

/// The cache of one store.
pub(crate) struct Cache {
    limits: Limits,
    state: RwLock<State>,
    revision: tokio::sync::watch::Sender<Revision>,
}

struct State {
    /// Where the cache was filled; nothing before is known.
    filled: Revision,
    revision: Revision,
    closed: bool,
    resources: HashMap<ResourceId, Resource>,
    cut_off: u64,
    next_watch: u64,
}

/// What is in the cache, counted.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) objects: usize,
    pub(crate) watchers: usize,
    pub(crate) window_events: usize,
    pub(crate) snapshots: usize,
    pub(crate) cut_off: u64,
}

impl Cache {
    pub(crate) fn new(limits: Limits) -> Cache {
        Cache {
            limits,
            state: RwLock::new(State {
                filled: Revision::ZERO,
                revision: Revision::ZERO,
                closed: false,
                resources: HashMap::new(),
                cut_off: 0,
                next_watch: 0,
            }),
            revision: tokio::sync::watch::Sender::new(Revision::ZERO),
        }
    }

    /// Replaces everything by `entries`, the whole state at `revision`. Whoever watches is cut off: what happened
    /// between is not known.
    pub(crate) fn fill(&self, revision: Revision, entries: Vec<Arc<Entry>>, now: Instant) {
        let mut fresh: HashMap<ResourceId, Entries> = HashMap::new();
        for entry in entries {
            match fresh.get_mut(&entry.key.resource) {
                Some(entries) => entries.insert(entry),
                None => fresh.entry(entry.key.resource.clone()).or_default().insert(entry),
            };
        }
        let mut state = self.write();
        for resource in state.resources.values() {
            resource.close_watches();
        }
        state.resources = fresh.into_iter().map(|(id, entries)| (id, Resource::new(revision, entries, now))).collect();
        state.filled = revision;
        state.revision = revision;
        drop(state);
        self.revision.send_replace(revision);
    }

    /// Takes in writes that follow [`Cache::revision`] without a gap; those that it has already are skipped.
    pub(crate) fn apply(&self, batch: Vec<Applied>, now: Instant) {
        let mut state = self.write();
        let filled = state.filled;
        let mut touched: Vec<ResourceId> = Vec::new();
        let mut wakers = Vec::new();
        for applied in batch {
            let revision = applied.entry.revision;
            if revision <= state.revision {
                continue;
            }
            debug_assert_eq!(revision, state.revision.next(), "writes are applied without a gap");
            state.revision = revision;
            let id = &applied.entry.key.resource;
            if !touched.contains(id) {
                touched.push(id.clone());
            }
            let resource = match state.resources.get_mut(id) {
                Some(resource) => resource,
                None => {
                    state.resources.entry(id.clone()).or_insert_with(|| Resource::new(filled, Entries::default(), now))
                }
            };
            let lost = resource.apply(applied, now, &self.limits, &mut wakers);
            state.cut_off += lost;
        }
        let revision = state.revision;
        for id in &touched {
            if let Some(resource) = state.resources.get_mut(id) {
                resource.keep_snapshot(revision, now);
                resource.trim(now, &self.limits);
            }
        }
        drop(state);
        self.revision.send_replace(revision);
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// What has been applied.
    pub(crate) fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Follows [`Cache::revision`].
    pub(crate) fn revisions(&self) -> tokio::sync::watch::Receiver<Revision> {
        self.revision.subscribe()
    }

    pub(crate) fn get(&self, key: &Key) -> Option<Arc<Entry>> {
        let state = self.read();
        state.resources.get(&key.resource)?.get(&key.namespace, &key.name)
    }

    pub(crate) fn snapshot(&self, id: &ResourceId) -> Snapshot {
        self.read().snapshot(id)
    }

    /// All resources at one revision.
    pub(crate) fn snapshots(&self) -> (Revision, Vec<(ResourceId, Entries)>) {
        let state = self.read();
        let all = state.resources.iter().map(|(id, resource)| (id.clone(), resource.entries()));
        let mut all: Vec<_> = all.collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        (state.revision, all)
    }

    pub(crate) fn snapshot_at(&self, id: &ResourceId, at: Revision) -> Result<Snapshot, Expired> {
        let state = self.read();
        let current = state.revision;
        match state.resources.get(id) {
            Some(resource) => resource.snapshot_at(at, current),
            None if at >= state.filled && at <= current => Ok(Snapshot { revision: at, entries: Entries::default() }),
            None => Err(Expired { oldest: state.filled, current }),
        }
    }

    pub(crate) fn watch(self: &Arc<Self>, id: &ResourceId, after: Revision) -> Result<Watch, Expired> {
        self.write().watch(self, id, after)
    }

    pub(crate) fn snapshot_and_watch(self: &Arc<Self>, id: &ResourceId) -> (Snapshot, Watch) {
        let mut state = self.write();
        let snapshot = state.snapshot(id);
        let watch = state.watch(self, id, snapshot.revision).expect("the current revision is always inside the window");
        (snapshot, watch)
    }

    /// Lets every watcher that is behind only because nothing happened to its resource say so.
    pub(crate) fn offer_progress(&self) {
        let mut wakers = Vec::new();
        for resource in self.read().resources.values() {
            resource.offer_progress(&mut wakers);
        }
        wakers.into_iter().for_each(std::task::Waker::wake);
    }

    /// Drops what is too old. Says whether there is more that time alone will make too old.
    pub(crate) fn trim(&self, now: Instant) -> bool {
        let mut ages = false;
        for resource in self.write().resources.values_mut() {
            ages |= resource.trim(now, &self.limits);
        }
        ages
    }

    /// Ends every watch, now and in future.
    pub(crate) fn close(&self) {
        let mut state = self.write();
        state.closed = true;
        for resource in state.resources.values() {
            resource.close_watches();
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let state = self.read();
        let mut counts = Counts { cut_off: state.cut_off, ..Counts::default() };
        for resource in state.resources.values() {
            resource.count(&mut counts);
        }
        counts
    }

    fn forget_watch(&self, id: &ResourceId, number: u64) {
        if let Some(resource) = self.write().resources.get_mut(id) {
            resource.forget_watch(number);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl State {
    fn snapshot(&self, id: &ResourceId) -> Snapshot {
        Snapshot { revision: self.revision, entries: self.resources.get(id).map(Resource::entries).unwrap_or_default() }
    }

    fn watch(&mut self, cache: &Arc<Cache>, id: &ResourceId, after: Revision) -> Result<Watch, Expired> {
        let (filled, current) = (self.filled, self.revision);
        let backlog = match self.resources.get(id) {
            Some(resource) => resource.events_after(after, current)?,
            None if after >= filled => Vec::new(),
            None => {
                return Err(Expired { oldest: filled, current });
            }
        };
        let number = self.next_watch;
        self.next_watch += 1;
        let queue = Arc::new(Queue::new(after, self.closed));
        if let Some(resource) = self.resources.get_mut(id) {
            resource.add_watch(number, Arc::clone(&queue));
        } else {
            // Time does not matter here: an empty state that nothing has replaced does not age.
            let mut resource = Resource::new(filled, Entries::default(), Instant::now());
            resource.add_watch(number, Arc::clone(&queue));
            self.resources.insert(id.clone(), resource);
        }
        Ok(Watch::new(Arc::clone(cache), id.clone(), number, queue, after, backlog))
    }
}
