//! One stream of what happens to every kind, following kinds that come and go.
//!
//! A watch that was cut off is begun again with the whole state, so that nothing stays unseen.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{Event, ResourceId, Snapshot, Storage, WatchItem};
use futures::stream::{SelectAll, Stream, StreamExt};
use tokio_util::sync::CancellationToken;

use crate::registry::Registry;

/// What the feed tells.
pub(super) enum Fed {
    /// The whole state of a resource: at first, and after events were missed.
    State(ResourceId, Snapshot),
    /// One change.
    Event(Arc<Event>),
}

/// Between the end of a watch and its new beginning.
const PAUSE: Duration = Duration::from_millis(100);

type Tagged = Pin<Box<dyn Stream<Item = (ResourceId, Option<Arc<Event>>)> + Send>>;

/// The watches of all kinds.
pub(super) struct Feed {
    storage: Storage,
    streams: SelectAll<Tagged>,
    followed: BTreeMap<ResourceId, CancellationToken>,
}

impl Feed {
    pub(super) fn new(storage: Storage) -> Self {
        Self { storage, streams: SelectAll::new(), followed: BTreeMap::new() }
    }

    /// Follows the kinds of this registry and no others. Returns the state of those that are new.
    pub(super) fn follow(&mut self, registry: &Registry) -> Vec<Fed> {
        let wanted: Vec<ResourceId> =
            registry.kinds().filter(|kind| kind.review.is_none()).map(|kind| kind.resource()).collect();
        self.followed.retain(|resource, end| {
            let stays = wanted.contains(resource);
            if !stays {
                end.cancel();
            }
            stays
        });
        let mut states = Vec::new();
        for resource in wanted {
            if !self.followed.contains_key(&resource) {
                states.push(self.begin(resource));
            }
        }
        states
    }

    fn begin(&mut self, resource: ResourceId) -> Fed {
        let (snapshot, watch) = self.storage.snapshot_and_watch(&resource);
        let end = CancellationToken::new();
        let tag = resource.clone();
        let events = watch.filter_map(|item| async move {
            match item {
                WatchItem::Event(event) => Some(Some(event)),
                WatchItem::Progress(_) => None,
            }
        });
        let tagged = events
            .chain(futures::stream::once(async { None }))
            .map(move |event| (tag.clone(), event))
            .take_until(end.clone().cancelled_owned());
        self.streams.push(Box::pin(tagged));
        self.followed.insert(resource.clone(), end);
        Fed::State(resource, snapshot)
    }

    /// The next thing that happens.
    pub(super) async fn next(&mut self) -> Fed {
        loop {
            match self.streams.next().await {
                None => std::future::pending().await,
                Some((_, Some(event))) => return Fed::Event(event),
                Some((resource, None)) => {
                    if self.followed.contains_key(&resource) {
                        // A closed storage ends every watch at once, until we are told to stop.
                        tokio::time::sleep(PAUSE).await;
                        return self.begin(resource);
                    }
                }
            }
        }
    }
}
