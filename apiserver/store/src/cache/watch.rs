//! One watcher: a bounded queue that the cache fills and that the watcher empties at its own pace.
//!
//! A full queue cuts off its watcher and nobody else; the writer never waits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use futures::Stream;

use crate::{Event, ResourceId, Revision};

use super::{Cache, Limits};

/// What a watcher learns.
#[derive(Debug, Clone)]
pub enum WatchItem {
    /// Something happened to an object of the resource.
    Event(Arc<Event>),
    /// Every event up to this revision has been handed out: what a bookmark says.
    Progress(Revision),
}

/// The events of one resource from some revision on, each once and in order.
///
/// Also a [`Stream`]. It ends when the watcher was too slow or the storage shuts down; a client then starts again
/// from the last revision that it saw.
pub struct Watch {
    cache: Arc<Cache>,
    resource: ResourceId,
    number: u64,
    queue: Arc<Queue>,
    backlog: std::vec::IntoIter<Arc<Event>>,
    /// The last revision that the watcher has heard of.
    told: Revision,
}

impl Watch {
    pub(super) fn new(
        cache: Arc<Cache>,
        resource: ResourceId,
        number: u64,
        queue: Arc<Queue>,
        after: Revision,
        backlog: Vec<Arc<Event>>,
    ) -> Watch {
        Watch { cache, resource, number, queue, backlog: backlog.into_iter(), told: after }
    }

    /// Waits for the next item. `None`: cut off for being too slow, or the storage shuts down.
    ///
    /// May be dropped while waiting without losing anything. [`WatchItem::Progress`] comes about once a second while
    /// other resources change; [`Watch::progress`] tells the same at any moment.
    pub async fn next(&mut self) -> Option<WatchItem> {
        std::future::poll_fn(|context| self.poll_item(context)).await
    }

    /// The revision up to which everything has been handed out.
    pub fn progress(&self) -> Revision {
        // The order matters: events up to this revision are in the queue before the revision can be read.
        let applied = self.cache.revision();
        if self.backlog.len() == 0 && self.queue.lock().is_drained() { self.told.max(applied) } else { self.told }
    }

    fn poll_item(&mut self, context: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        let applied = self.cache.revision();
        let mut queue = self.queue.lock();
        if queue.ended {
            return Poll::Ready(None);
        }
        if let Some(event) = self.backlog.next() {
            self.told = event.revision;
            return Poll::Ready(Some(WatchItem::Event(event)));
        }
        if let Some(event) = queue.events.pop_front() {
            queue.bytes -= event.weight();
            self.told = event.revision;
            return Poll::Ready(Some(WatchItem::Event(event)));
        }
        if queue.progress_due {
            queue.progress_due = false;
            if applied > self.told {
                self.told = applied;
                return Poll::Ready(Some(WatchItem::Progress(applied)));
            }
        }
        match &mut queue.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Stream for Watch {
    type Item = WatchItem;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<WatchItem>> {
        self.get_mut().poll_item(context)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.cache.forget_watch(&self.resource, self.number);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Watch")
            .field("resource", &self.resource)
            .field("told", &self.told)
            .finish_non_exhaustive()
    }
}

/// The cache's end of a watch.
pub(super) struct Queue {
    after: Revision,
    content: Mutex<Content>,
}

struct Content {
    events: VecDeque<Arc<Event>>,
    bytes: usize,
    ended: bool,
    progress_due: bool,
    waker: Option<Waker>,
}

/// What became of an event that was offered.
pub(super) enum Offer {
    Taken(Option<Waker>),
    CutOff(Option<Waker>),
}

impl Queue {
    pub(super) fn new(after: Revision, ended: bool) -> Queue {
        Queue {
            after,
            content: Mutex::new(Content { events: VecDeque::new(), bytes: 0, ended, progress_due: false, waker: None }),
        }
    }

    pub(super) fn offer(&self, event: &Arc<Event>, limits: &Limits) -> Offer {
        if event.revision <= self.after {
            return Offer::Taken(None);
        }
        let mut content = self.lock();
        let weight = event.weight();
        let is_full = content.events.len() >= limits.queue_max_events
            || (!content.events.is_empty() && content.bytes + weight > limits.queue_max_bytes);
        if is_full {
            return Offer::CutOff(content.end());
        }
        content.bytes += weight;
        content.events.push_back(Arc::clone(event));
        Offer::Taken(content.waker.take())
    }

    pub(super) fn offer_progress(&self) -> Option<Waker> {
        let mut content = self.lock();
        content.progress_due = true;
        content.waker.take()
    }

    pub(super) fn close(&self) {
        let waker = self.lock().end();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Content {
    fn is_drained(&self) -> bool {
        self.events.is_empty() && !self.ended
    }

    /// Gives back at once the memory of what nobody will read.
    fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.events = VecDeque::new();
        self.waker.take()
    }
}
