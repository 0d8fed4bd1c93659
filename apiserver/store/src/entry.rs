//! What readers get: one object at one revision, and the event that made it so.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use crate::{Key, Revision};

/// One object as the cache holds it.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Where it lives.
    pub key: Key,
    /// Which of the objects that ever had this key it is.
    pub uid: Uuid,
    /// The write that made this state.
    pub revision: Revision,
    /// Complete JSON in the storage version, with `metadata.resourceVersion` in its place.
    pub body: Bytes,
    /// `metadata.labels`, for selectors.
    pub labels: BTreeMap<String, String>,
}

impl Entry {
    /// The body, parsed.
    pub fn value(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("the body was rendered from JSON when it entered the cache")
    }
}

/// What a write did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The object is new.
    Added,
    /// The object was there and is different now.
    Modified,
    /// The object is gone.
    Deleted,
}

/// One committed write, as watchers see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Its place in the order.
    pub revision: Revision,
    /// What happened.
    pub kind: EventKind,
    /// The new state; for a deletion the last state, carrying the deletion's revision.
    pub entry: Arc<Entry>,
    /// The state before, if there was one.
    pub previous: Option<Arc<Entry>>,
}

impl Event {
    /// Roughly what holding this event keeps in memory.
    pub(crate) fn weight(&self) -> usize {
        const OVERHEAD: usize = 512;
        OVERHEAD + self.entry.body.len() + self.previous.as_ref().map_or(0, |previous| previous.body.len())
    }
}
