//! Remembers whose removal this process has carried out. What is half made can't be observed, so that removing is repeated
//! once in the life of a process instead.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use uuid::Uuid;

/// The uids of the objects whose real things this process has removed.
#[derive(Debug, Default)]
pub(crate) struct Removals(Mutex<BTreeSet<Uuid>>);

impl Removals {
    /// Whether this process has removed what this object had.
    pub(crate) fn contains(&self, uid: Uuid) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(&uid)
    }

    /// It has.
    pub(crate) fn remember(&self, uid: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
    }

    /// The object is gone: nobody asks again.
    pub(crate) fn forget(&self, uid: Uuid) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
}
