//! Decides which edition of the kinds a request sees: the whole table is swapped at once, and who follows it is told.
//!
//! In: a new [`Registry`]. Out: the current [`Edition`] with the documents made of it. It never reads a definition.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, OnceLock};

use apiserver_store::{ResourceId, Revision};
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use crate::endpoints::Documents;
use crate::registry::{Kind, Origin, Registry};

/// The kinds at one moment, with what is derived from them.
#[derive(Debug)]
pub(crate) struct Edition {
    pub(crate) registry: Arc<Registry>,
    /// Objects written after this revision have all defaults of their kind's present schema.
    since: BTreeMap<ResourceId, Revision>,
    /// Kinds whose definition is being deleted: nothing new is made of them.
    terminating: BTreeSet<ResourceId>,
    /// When it was published, in whole seconds; no two editions share one.
    pub(crate) modified: Timestamp,
    documents: OnceLock<Documents>,
}

impl Edition {
    pub(crate) fn new(
        registry: Registry,
        since: BTreeMap<ResourceId, Revision>,
        terminating: BTreeSet<ResourceId>,
    ) -> Self {
        let registry = Arc::new(registry);
        Self { registry, since, terminating, modified: Timestamp::UNIX_EPOCH, documents: OnceLock::new() }
    }

    /// Whether an object written at `revision` reads as it is stored.
    pub(crate) fn is_current(&self, kind: &Kind, revision: Revision) -> bool {
        kind.is_built_in() || self.since.get(&kind.resource()).is_some_and(|since| revision > *since)
    }

    /// The revision from which on a kind can be watched: what came before was another kind, or none.
    pub(crate) fn watchable_since(&self, kind: &Kind) -> Revision {
        self.since.get(&kind.resource()).copied().unwrap_or(Revision::ZERO)
    }

    pub(crate) fn is_terminating(&self, kind: &Kind) -> bool {
        !self.terminating.is_empty() && self.terminating.contains(&kind.resource())
    }

    /// Discovery and OpenAPI, made when first asked for.
    pub(crate) fn documents(&self) -> &Documents {
        self.documents.get_or_init(|| Documents::new(&self.registry))
    }

    /// Whether there is a kind of this name, written `plural.group`.
    pub(crate) fn knows(&self, resource: &str) -> bool {
        let (plural, group) = resource.split_once('.').unwrap_or((resource, ""));
        self.registry.kind(group, plural).is_some()
    }

    /// The kind that was meant at another time, if it is still there.
    pub(crate) fn same_kind(&self, kind: &Kind) -> Option<&Arc<Kind>> {
        self.registry.kind(&kind.group, &kind.plural).filter(|now| match (&now.origin, &kind.origin) {
            (Origin::Custom { uid: now }, Origin::Custom { uid: then }) => now == then,
            (now, then) => now == then,
        })
    }
}

/// The current edition, and a bell that rings for a new one.
#[derive(Debug)]
pub(crate) struct Catalog {
    current: ArcSwap<Edition>,
    bell: watch::Sender<()>,
}

impl Catalog {
    pub(crate) fn new(mut edition: Edition, now: Timestamp) -> Self {
        edition.modified = Timestamp::from_second(now.as_second()).unwrap_or(now);
        Self { current: ArcSwap::from_pointee(edition), bell: watch::Sender::new(()) }
    }

    pub(crate) fn edition(&self) -> Arc<Edition> {
        self.current.load_full()
    }

    /// Replaces the current edition. `now` dates it, but never like the one before: clients ask by that date.
    pub(crate) fn publish(&self, mut edition: Edition, now: Timestamp) {
        let second = SignedDuration::from_secs(1);
        let after = self.edition().modified + second;
        edition.modified = Timestamp::from_second(now.as_second()).unwrap_or(now).max(after);
        self.current.store(Arc::new(edition));
        self.bell.send_replace(());
    }

    /// Rings after every [`Catalog::publish`] from now on.
    pub(crate) fn follow(&self) -> watch::Receiver<()> {
        self.bell.subscribe()
    }
}
