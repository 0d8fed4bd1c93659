//! What the server does by itself: serves declared kinds, collects garbage, empties namespaces, drops old Events.
//!
//! Everything is driven by watches of the store. While nothing happens, nothing runs; what fails is tried again later.

mod aggregation;
mod collect;
pub(crate) mod definitions;
mod expiry;
mod feed;
mod graph;
mod namespaces;
mod queue;
mod quotas;
mod reports;
pub(crate) mod rules;
pub(crate) mod settled;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use apiserver_store::{Entry, EventKind, Key};
use futures::FutureExt;
use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt};

use crate::error::ApiError;
use crate::registry::builtin::admission;
use crate::state::State;
use crate::verbs::served::Served;
use definitions::Definitions;
use expiry::Expiry;
use feed::{Fed, Feed};
use graph::Graph;
use queue::Queue;

/// Pieces of work under way at the same time.
const CONCURRENT: usize = 16;

/// One piece of work. Each reads everything anew, so that doing it once more does no harm.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Work {
    /// Look at an object's owners and dependents.
    Collect(Key),
    /// Take a namespace that is being deleted as far as it gets.
    Namespace(String),
    /// Take a definition that is being deleted as far as it gets.
    Definition(String),
    /// Publish the declared kinds.
    Review,
    /// Drop an Event that is old.
    Expire(Key),
    /// Measure what a namespace uses of its quotas.
    Quotas(String),
    /// Say that a policy is known as it is.
    Policy(Key),
    /// Put ClusterRoles together of those that they select.
    Aggregate,
}

/// What the pieces of work share.
pub(crate) struct Lifecycle {
    state: Arc<State>,
    graph: Mutex<Graph>,
    /// Objects of whose owners something could not be found out, until other kinds are served.
    unjudged: Mutex<BTreeSet<Key>>,
    definitions: tokio::sync::Mutex<Definitions>,
}

impl Lifecycle {
    pub(crate) fn new(state: Arc<State>, definitions: Definitions) -> Self {
        Self {
            state,
            graph: Mutex::default(),
            unjudged: Mutex::default(),
            definitions: tokio::sync::Mutex::new(definitions),
        }
    }

    fn graph(&self) -> MutexGuard<'_, Graph> {
        self.graph.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unjudged(&self) -> MutexGuard<'_, BTreeSet<Key>> {
        self.unjudged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The kind of a stored object, in the version that it is stored in.
    fn served(&self, key: &Key) -> Option<Served> {
        let edition = self.state.catalog.edition();
        let kind = edition.registry.kind(&key.resource.group, &key.resource.plural)?;
        Some(Served::stored(&edition, kind))
    }

    /// Runs until the server shuts down.
    pub(crate) async fn run(self: Arc<Self>) {
        let shutdown = self.state.config.shutdown.clone();
        let mut driver = Driver {
            feed: Feed::new(self.state.storage().clone()),
            queue: Queue::new(),
            expiry: Expiry::default(),
            lifecycle: self,
        };
        tokio::select! {
            () = driver.run() => {}
            () = shutdown.cancelled() => {}
        }
    }

    async fn work(&self, work: &Work) -> Result<(), ApiError> {
        match work {
            Work::Collect(key) => self.collect(key).await,
            Work::Namespace(name) => self.empty_namespace(name).await,
            Work::Definition(name) => self.clear_definition(name).await,
            Work::Review => self.review_definitions().await,
            Work::Expire(key) => self.expire(key).await,
            Work::Quotas(namespace) => self.measure_quotas(namespace).await,
            Work::Policy(key) => self.note_policy(key).await,
            Work::Aggregate => self.aggregate_roles().await,
        }
    }

    /// Says in the status of a policy which of its generations is in force: the newest, from the moment it is stored. What
    /// types its expressions have nobody checks, so nothing is said of that.
    async fn note_policy(&self, key: &Key) -> Result<(), ApiError> {
        let Some(served) = self.served(key) else { return Ok(()) };
        self.edit(&served, key, |policy| {
            let generation = policy["metadata"]["generation"].clone();
            policy["status"]["observedGeneration"] = generation;
        })
        .await
    }

    /// Drops an Event, unless it has happened again since.
    async fn expire(&self, key: &Key) -> Result<(), ApiError> {
        let Some(served) = self.served(key) else { return Ok(()) };
        let lifetime = self.state.config.limits.event_lifetime;
        let lifetime = jiff::SignedDuration::try_from(lifetime).unwrap_or(jiff::SignedDuration::MAX);
        let Some(entry) = self.state.storage().get(key) else { return Ok(()) };
        let end = expiry::last_seen(&entry.value()).and_then(|last| last.checked_add(lifetime).ok());
        if end.is_none_or(|end| end > self.state.config.clock.now()) {
            return Ok(());
        }
        let change = apiserver_store::Change::Delete { body: entry.body.to_vec() };
        match crate::verbs::write::put(&self.state, &served, &entry, change).await {
            Err(crate::verbs::write::Failure::Refused(error)) if error.reason != crate::error::Reason::NotFound => {
                Err(error)
            }
            _ => Ok(()),
        }
    }
}

/// Turns what happens into work, and has the work done.
struct Driver {
    lifecycle: Arc<Lifecycle>,
    feed: Feed,
    queue: Queue<Work>,
    expiry: Expiry,
}

impl Driver {
    async fn run(&mut self) {
        let mut kinds = self.lifecycle.state.catalog.follow();
        self.follow_kinds();
        let mut under_way: FuturesUnordered<BoxFuture<'static, (Work, Result<(), ApiError>)>> = FuturesUnordered::new();
        loop {
            let clock = Arc::clone(&self.lifecycle.state.config.clock);
            let expires = self.expiry.next(clock.now());
            tokio::select! {
                // In this order: work begins only when everything that has happened so far is known.
                biased;
                _ = kinds.changed() => self.follow_kinds(),
                fed = self.feed.next() => self.take_in(fed),
                Some((work, result)) = under_way.next(), if !under_way.is_empty() => self.finish(&work, result),
                () = std::future::ready(()), if !self.queue.is_empty() && under_way.len() < CONCURRENT => {
                    if let Some(work) = self.queue.take() {
                        let lifecycle = Arc::clone(&self.lifecycle);
                        under_way.push(async move {
                            let result = lifecycle.work(&work).await;
                            (work, result)
                        }.boxed());
                    }
                }
                () = self.queue.wait() => {}
                () = pause(expires) => {
                    for key in self.expiry.take_due(clock.now()) {
                        self.queue.push(Work::Expire(key));
                    }
                }
            }
        }
    }

    fn follow_kinds(&mut self) {
        let edition = self.lifecycle.state.catalog.edition();
        for fed in self.feed.follow(&edition.registry) {
            self.take_in(fed);
        }
        let unjudged = std::mem::take(&mut *self.lifecycle.unjudged());
        self.collect(unjudged);
        // Kinds came or went, or are charged differently now.
        self.measure_all_quotas();
    }

    fn finish(&mut self, work: &Work, result: Result<(), ApiError>) {
        match result {
            Ok(()) => self.queue.done(work),
            Err(error) => {
                tracing::warn!(?work, error = %error, "background work failed and is tried again");
                self.queue.failed(work);
            }
        }
    }

    fn take_in(&mut self, fed: Fed) {
        match fed {
            Fed::State(resource, snapshot) => {
                let known = self.lifecycle.graph().keys_of(&resource);
                for (key, uid) in known {
                    let now = snapshot.entries.get(&key.namespace, &key.name);
                    if now.is_none_or(|entry| entry.uid.to_string() != uid) {
                        self.queue.push(Work::Collect(key));
                    }
                }
                if resource == rules::definitions() {
                    self.queue.push(Work::Review);
                }
                for entry in snapshot.entries.iter() {
                    self.present(entry);
                }
            }
            Fed::Event(event) if event.kind == EventKind::Deleted => {
                self.look_at_usage(&event);
                self.gone(&event.entry);
            }
            Fed::Event(event) => {
                self.look_at_usage(&event);
                if event.entry.key.resource == rules::definitions() {
                    self.queue.push(Work::Review);
                }
                self.present(&event.entry);
            }
        }
    }

    /// An object is there, new or changed.
    fn present(&mut self, entry: &Arc<Entry>) {
        let resource = &entry.key.resource;
        if *resource == rules::events() {
            self.expiry.observe(entry, self.lifecycle.state.config.limits.event_lifetime);
        }
        if *resource == rules::quotas() {
            self.look_at_quota(entry);
        }
        if *resource == aggregation::cluster_roles() {
            self.queue.push(Work::Aggregate);
        }
        if resource.group == admission::GROUP && resource.plural == admission::POLICIES {
            self.queue.push(Work::Policy(entry.key.clone()));
        }
        if is_marked(entry) {
            if *resource == rules::namespaces() {
                self.queue.push(Work::Namespace(entry.key.name.clone()));
            } else if *resource == rules::definitions() {
                self.queue.push(Work::Definition(entry.key.name.clone()));
            }
        }
        self.look_at_namespace(&entry.key, Arrival::Present);
        let look = self.lifecycle.graph().observe(entry);
        self.collect(look);
    }

    /// An object is gone.
    fn gone(&mut self, entry: &Arc<Entry>) {
        let resource = &entry.key.resource;
        if *resource == rules::events() {
            self.expiry.forget(&entry.key);
        }
        if *resource == rules::definitions() {
            self.queue.push(Work::Review);
        }
        if *resource == aggregation::cluster_roles() {
            self.queue.push(Work::Aggregate);
        }
        let edition = self.lifecycle.state.catalog.edition();
        let kind = edition.registry.kind(&resource.group, &resource.plural);
        if kind.is_some_and(|kind| edition.is_terminating(kind)) {
            self.queue.push(Work::Definition(resource.to_string()));
        }
        self.look_at_namespace(&entry.key, Arrival::Gone);
        let look = self.lifecycle.graph().gone(entry);
        self.collect(look);
    }

    /// A namespace that waits for its content hears of every change, and what is in no namespace is swept.
    fn look_at_namespace(&mut self, key: &Key, arrival: Arrival) {
        if key.namespace.is_empty() {
            return;
        }
        let namespace = Key::new(rules::namespaces(), "", &key.namespace);
        match self.lifecycle.state.storage().get(&namespace) {
            Some(entry) if is_marked(&entry) => self.queue.push(Work::Namespace(key.namespace.clone())),
            None if arrival == Arrival::Present => self.queue.push(Work::Collect(key.clone())),
            _ => {}
        }
    }

    fn collect(&mut self, look: impl IntoIterator<Item = Key>) {
        for key in look {
            self.queue.push(Work::Collect(key));
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Arrival {
    Present,
    Gone,
}

/// Whether an object is being deleted, without parsing those that are not.
fn is_marked(entry: &Entry) -> bool {
    const WORD: &[u8] = b"\"deletionTimestamp\"";
    entry.body.windows(WORD.len()).any(|window| window == WORD)
        && crate::admission::metadata::is_deleting(&entry.value())
}

async fn pause(time: Option<Duration>) {
    match time {
        Some(time) => tokio::time::sleep(time).await,
        None => std::future::pending().await,
    }
}
