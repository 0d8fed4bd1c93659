//! Keeps what ResourceQuotas say is used true: writes count themselves, and this measures anew where that can't be all.
//!
//! At once after a quota was made or changed, a kind came, or an object that others are charged by; a while after
//! anything else that counts, for what was under way when a quota was made.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{Change, Entry, Event, EventKind};

use super::{Driver, Lifecycle, Work, rules};
use crate::error::ApiError;
use crate::quota::{self, Limit, Measure};
use crate::response::to_bytes;
use crate::verbs::write::{Failure, put};

/// A namespace where something happens is measured at most this often for that alone.
const RESYNC: Duration = Duration::from_secs(30);

impl Lifecycle {
    /// Measures what a namespace uses and corrects its quotas.
    pub(super) async fn measure_quotas(&self, namespace: &str) -> Result<(), ApiError> {
        loop {
            self.state.refresh().await?;
            let _turn = self.state.turns.take(namespace).await;
            if self.corrected(namespace).await? {
                return Ok(());
            }
        }
    }

    /// Whether every quota of the namespace says what is so; `false` if somebody was faster.
    async fn corrected(&self, namespace: &str) -> Result<bool, ApiError> {
        let edition = self.state.catalog.edition();
        // In this order: whatever is counted after the quotas were read makes the writes below lose.
        let limits: Vec<Limit> =
            quota::quotas(self.state.storage(), namespace).into_iter().filter_map(Limit::of).collect();
        let names: BTreeSet<&str> = limits.iter().flat_map(Limit::names).collect();
        let used = Measure::new(&self.state, &edition).usage(namespace, names.iter().copied());
        let mut changed = Vec::new();
        for mut limit in limits {
            limit.set_used(&used);
            changed.extend(limit.into_object());
        }
        for (entry, mut object) in changed {
            let Some(served) = self.served(&entry.key) else { continue };
            self.follow(&served, &entry.value(), &mut object);
            match put(&self.state, &served, &entry, Change::Put { uid: entry.uid, body: to_bytes(&object) }).await {
                Ok(_) => {}
                Err(Failure::Lost) => return Ok(false),
                Err(Failure::Refused(error)) if error.reason == crate::error::Reason::NotFound => {}
                Err(Failure::Refused(error)) => return Err(error),
            }
        }
        Ok(true)
    }
}

impl Driver {
    /// A quota is there, new or changed.
    pub(super) fn look_at_quota(&mut self, entry: &Arc<Entry>) {
        let namespace = entry.key.namespace.clone();
        let is_measured = Limit::of(Arc::clone(entry)).is_none_or(|limit| limit.is_in_force());
        if is_measured {
            self.queue.push_later(Work::Quotas(namespace), RESYNC);
        } else {
            self.queue.push(Work::Quotas(namespace));
        }
    }

    /// Something happened to an object that may count, or that others are charged by.
    pub(super) fn look_at_usage(&mut self, event: &Event) {
        let storage = self.lifecycle.state.storage();
        if storage.snapshot(&rules::quotas()).entries.is_empty() {
            return;
        }
        let resource = &event.entry.key.resource;
        let edition = self.lifecycle.state.catalog.edition();
        let Some(kind) = edition.registry.kind(&resource.group, &resource.plural) else { return };
        let is_counted = event.kind != EventKind::Modified || !kind.charges.is_empty();
        if is_counted && rules::counts_in_quotas(kind) && quota::has_quota(storage, &event.entry.key.namespace) {
            self.queue.push_later(Work::Quotas(event.entry.key.namespace.clone()), RESYNC);
        }
        let name = resource.to_string();
        let charges = edition.registry.kinds().flat_map(|kind| &kind.charges);
        let mut references = charges.flat_map(|charge| &charge.amount).filter_map(|source| source.of.as_ref());
        if references.any(|reference| reference.resource == name) {
            self.measure_all_quotas();
        }
    }

    /// Measures every namespace that has a quota.
    pub(super) fn measure_all_quotas(&mut self) {
        let snapshot = self.lifecycle.state.storage().snapshot(&rules::quotas());
        let namespaces: BTreeSet<String> = snapshot.entries.iter().map(|entry| entry.key.namespace.clone()).collect();
        for namespace in namespaces {
            self.queue.push(Work::Quotas(namespace));
        }
    }
}
