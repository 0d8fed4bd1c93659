//! Decides whether a namespace's ResourceQuotas leave room for a write, and counts it: the write and the new
//! `status.used` are committed together or not at all, so that no two writers get the last place, in one process or in
//! several.
//!
//! In: a write that has passed everything else. Out: the written object, or upstream's refusal. What an object costs is
//! data of its kind ([`crate::registry::Charge`]). Where a namespace has no quota, nothing is done but to see that.

mod cost;
mod limit;
mod quantity;
mod turns;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver_store::{Change, Entry, Storage, Write, WriteError};

use crate::error::ApiError;
use crate::history;
use crate::lifecycle::rules;
use crate::state::State;
use crate::verbs::served::Served;

pub(crate) use self::limit::Limit;
pub(crate) use self::quantity::{MALFORMED, Quantity};
pub(crate) use self::turns::Turns;
pub(crate) use self::usage::Measure;

use self::cost::Cost;

/// How often a write is tried on ever newer quotas before somebody else's luck is taken for granted.
const ATTEMPTS: usize = 20;

/// Amounts by the names that quotas limit.
pub(crate) type Amounts = BTreeMap<String, Quantity>;

/// Whether a write may be refused for what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Judged {
    /// It asks for something.
    ByLimits,
    /// It only says what is so: a status, or the end of an object.
    Never,
}

/// Why a write did not happen.
pub(crate) enum Failure {
    /// A quota has no room for it.
    Refused(ApiError),
    /// The store says so.
    Store(WriteError),
}

/// What a write is about.
pub(crate) struct Charged<'a> {
    pub(crate) served: &'a Served,
    /// The object before, if there was one.
    pub(crate) old: Option<&'a Entry>,
    pub(crate) judged: Judged,
}

impl Charged<'_> {
    /// Writes, and counts what is written in the quotas of its namespace.
    pub(crate) async fn write(&self, state: &State, write: Write) -> Result<Arc<Entry>, Failure> {
        let now = || state.timestamp();
        let history = history::bound_to(state.storage(), &self.served.kind, self.old, &write, now);
        let beside = Vec::from_iter(history);
        if !self.concerns_a_quota(state.storage(), &write) {
            return state.write(write, beside).await.map_err(Failure::Store);
        }
        // Apart, so that requests without a quota are no larger for it.
        Box::pin(self.write_counted(state, write, beside)).await
    }

    async fn write_counted(&self, state: &State, write: Write, beside: Vec<Write>) -> Result<Arc<Entry>, Failure> {
        // Others would lose the race against this one, and again against the next.
        let _turn = state.turns.take(&write.key.namespace).await;
        for _ in 0..ATTEMPTS {
            let mut counted = self.count(state, &write)?;
            counted.extend_from_slice(&beside);
            match state.write(write.clone(), counted).await {
                // Another server was faster.
                Err(WriteError::Bound) => state.refresh().await.map_err(Failure::Refused)?,
                written => return written.map_err(Failure::Store),
            }
        }
        if self.judged == Judged::ByLimits {
            let why = "the quotas of its namespace changed too often meanwhile; please try again";
            let served = self.served;
            let error = ApiError::conflict(&served.kind.group, &served.kind.plural, &write.key.name, why);
            return Err(Failure::Refused(error));
        }
        // What is so must be said; the quotas are measured again soon.
        state.write(write, beside).await.map_err(Failure::Store)
    }

    /// Says what [`Charged::write`] would, and writes nothing.
    pub(crate) fn check(&self, state: &State, write: &Write) -> Result<(), ApiError> {
        if !self.concerns_a_quota(state.storage(), write) {
            return Ok(());
        }
        match self.count(state, write) {
            Err(Failure::Refused(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// Whether it can change what a quota of its namespace counts.
    fn concerns_a_quota(&self, storage: &Storage, write: &Write) -> bool {
        let kind = &self.served.kind;
        let is_update = self.old.is_some() && matches!(write.change, Change::Put { .. });
        // Of most kinds only the number is counted, which no update changes.
        let may_matter = !is_update || !kind.charges.is_empty();
        may_matter && rules::counts_in_quotas(kind) && has_quota(storage, &write.key.namespace)
    }

    /// The writes that count a write in the quotas of its namespace.
    fn count(&self, state: &State, write: &Write) -> Result<Vec<Write>, Failure> {
        let measure = Measure::new(state, &self.served.edition);
        let kind = &self.served.kind;
        let namespace = &write.key.namespace;
        let new = match &write.change {
            Change::Put { body, .. } => measure.cost_of_body(kind, namespace, body),
            Change::Delete { .. } => Cost::default(),
        };
        let old = self.old.map(|old| measure.cost_of_body(kind, namespace, &old.body)).unwrap_or_default();
        if let Some(name) = new.negative().filter(|_| self.judged == Judged::ByLimits) {
            return Err(self.refuse(write, &format!("quota usage is negative for resource(s): {name}")));
        }
        let mut counted = Vec::new();
        for entry in quotas(state.storage(), namespace) {
            // A quota that goes or changes doesn't count itself while it does.
            if entry.key == write.key {
                continue;
            }
            let Some(mut limit) = Limit::of(entry) else { continue };
            if !limit.knows_its_usage() {
                let used = measure.usage(namespace, limit.names());
                limit.set_used(&used);
            }
            if self.judged == Judged::ByLimits {
                limit.check(&new, &old).map_err(|why| self.refuse(write, &why))?;
            }
            limit.add(&new, &old);
            counted.extend(limit.into_write());
        }
        Ok(counted)
    }

    fn refuse(&self, write: &Write, why: &str) -> Failure {
        Failure::Refused(self.served.forbidden(&write.key.name, why))
    }
}

impl Failure {
    /// In the words of the wire, unless the store's refusal means something to the caller.
    pub(crate) fn into_error(self, served: &Served, name: &str) -> ApiError {
        match self {
            Self::Refused(error) => error,
            Self::Store(error) => served.refused(name, &error),
        }
    }
}

/// The quotas of a namespace.
pub(crate) fn quotas(storage: &Storage, namespace: &str) -> Vec<Arc<Entry>> {
    storage.snapshot(&rules::quotas()).entries.within(namespace).cloned().collect()
}

/// Whether a namespace has quotas.
pub(crate) fn has_quota(storage: &Storage, namespace: &str) -> bool {
    let snapshot = storage.snapshot(&rules::quotas());
    !snapshot.entries.is_empty() && snapshot.entries.within(namespace).next().is_some()
}
