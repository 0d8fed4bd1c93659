//! One resource in the cache: its objects, the window of recent events and the states of a little while ago.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use tokio::time::Instant;

use crate::{Entry, Event, EventKind, Revision};

use super::entries::Entries;
use super::watch::{Offer, Queue};
use super::{Applied, Counts, Limits};

/// All objects of a resource at one revision.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The revision of the store at which this was the state.
    pub revision: Revision,
    /// The objects by namespace and name.
    pub entries: Entries,
}

/// The revision is not among those that are kept: too old, or not reached yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("only revisions from {oldest} to {current} are kept")]
pub struct Expired {
    /// The oldest revision that can be asked for.
    pub oldest: Revision,
    /// The newest revision there is.
    pub current: Revision,
}

pub(super) struct Resource {
    entries: Entries,
    /// Every event after `window_start`, oldest first.
    window: VecDeque<(Instant, Arc<Event>)>,
    window_start: Revision,
    window_bytes: usize,
    /// The state after each of the last batches that changed it. Never empty; the last one is `entries`.
    history: VecDeque<Past>,
    watches: Vec<(u64, Arc<Queue>)>,
}

struct Past {
    revision: Revision,
    since: Instant,
    entries: Entries,
}

impl Resource {
    pub(super) fn new(revision: Revision, entries: Entries, now: Instant) -> Resource {
        Resource {
            window: VecDeque::new(),
            window_start: revision,
            window_bytes: 0,
            history: VecDeque::from([Past { revision, since: now, entries: entries.clone() }]),
            entries,
            watches: Vec::new(),
        }
    }

    pub(super) fn get(&self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.entries.get(namespace, name).cloned()
    }

    pub(super) fn entries(&self) -> Entries {
        self.entries.clone()
    }

    /// Applies one write, tells the watchers and returns how many of them were too slow.
    pub(super) fn apply(&mut self, applied: Applied, now: Instant, limits: &Limits, wakers: &mut Vec<Waker>) -> u64 {
        let Applied { entry, deleted } = applied;
        let previous = put(&mut self.entries, &entry, deleted);
        let kind = match (deleted, &previous) {
            (true, _) => EventKind::Deleted,
            (false, Some(_)) => EventKind::Modified,
            (false, None) => EventKind::Added,
        };
        let event = Arc::new(Event { revision: entry.revision, kind, entry, previous });
        self.window_bytes += event.weight();
        self.window.push_back((now, Arc::clone(&event)));
        let mut cut_off = 0;
        self.watches.retain(|(_, queue)| match queue.offer(&event, limits) {
            Offer::Taken(waker) => {
                wakers.extend(waker);
                true
            }
            Offer::CutOff(waker) => {
                cut_off += 1;
                wakers.extend(waker);
                false
            }
        });
        cut_off
    }

    /// Remembers the present state as that of `revision`, at the end of a batch.
    pub(super) fn keep_snapshot(&mut self, revision: Revision, now: Instant) {
        self.history.push_back(Past { revision, since: now, entries: self.entries.clone() });
    }

    /// Drops what is beyond the limits. Says whether there is something left that will grow too old.
    pub(super) fn trim(&mut self, now: Instant, limits: &Limits) -> bool {
        while let Some((at, event)) = self.window.front() {
            let too_many = self.window.len() > limits.window_max_events;
            let too_much = self.window_bytes > limits.window_max_bytes;
            let too_old = now.duration_since(*at) > limits.window;
            if !(too_many || self.window.len() > limits.window_min_events && (too_much || too_old)) {
                break;
            }
            self.window_start = event.revision;
            self.window_bytes -= event.weight();
            self.window.pop_front();
        }
        // A state lasts until its successor began, so it is the successor's age that counts. States that the window
        // has left behind go too: they alone would keep its events in memory, without bound.
        while let Some(successor) = self.history.get(1) {
            let too_many = self.history.len() > limits.max_snapshots;
            let too_old = now.duration_since(successor.since) > limits.window;
            let left_behind = successor.revision <= self.window_start;
            if !(too_many || too_old || left_behind) {
                break;
            }
            self.history.pop_front();
        }
        self.history.len() > 1 || self.window.len() > limits.window_min_events
    }

    /// The state at `at`: the last kept one before it, rolled forward inside its batch where needed.
    pub(super) fn snapshot_at(&self, at: Revision, current: Revision) -> Result<Snapshot, Expired> {
        let expired = Expired { oldest: self.history.front().map_or(current, |past| past.revision), current };
        let after = self.history.partition_point(|past| past.revision <= at);
        if after == 0 || at > current {
            return Err(expired);
        }
        let past = &self.history[after - 1];
        let mut entries = past.entries.clone();
        if after < self.history.len() {
            if past.revision < self.window_start {
                return Err(expired);
            }
            let from = self.window.partition_point(|(_, event)| event.revision <= past.revision);
            let events = self.window.range(from..).map(|(_, event)| event);
            for event in events.take_while(|event| event.revision <= at) {
                put(&mut entries, &event.entry, event.kind == EventKind::Deleted);
            }
        }
        Ok(Snapshot { revision: at, entries })
    }

    /// The events that a watch from `after` has missed.
    pub(super) fn events_after(&self, after: Revision, current: Revision) -> Result<Vec<Arc<Event>>, Expired> {
        if after < self.window_start {
            return Err(Expired { oldest: self.window_start, current });
        }
        let from = self.window.partition_point(|(_, event)| event.revision <= after);
        Ok(self.window.range(from..).map(|(_, event)| Arc::clone(event)).collect())
    }

    pub(super) fn add_watch(&mut self, number: u64, queue: Arc<Queue>) {
        self.watches.push((number, queue));
    }

    pub(super) fn forget_watch(&mut self, number: u64) {
        self.watches.retain(|(known, _)| *known != number);
        if self.watches.is_empty() {
            self.watches.shrink_to_fit();
        }
    }

    pub(super) fn offer_progress(&self, wakers: &mut Vec<Waker>) {
        wakers.extend(self.watches.iter().filter_map(|(_, queue)| queue.offer_progress()));
    }

    pub(super) fn close_watches(&self) {
        for (_, queue) in &self.watches {
            queue.close();
        }
    }

    pub(super) fn count(&self, counts: &mut Counts) {
        counts.objects += self.entries.len();
        counts.watchers += self.watches.len();
        counts.window_events += self.window.len();
        counts.snapshots += self.history.len();
    }
}

/// Makes a write part of the state. Returns what was there before it.
fn put(entries: &mut Entries, entry: &Arc<Entry>, deleted: bool) -> Option<Arc<Entry>> {
    if deleted { entries.remove(&entry.key.namespace, &entry.key.name) } else { entries.insert(Arc::clone(entry)) }
}
