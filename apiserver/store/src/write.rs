//! What a writer asks for, and why it may be refused.

use std::sync::Arc;

use uuid::Uuid;

use crate::{Key, Rejection, Revision, StoreError};

/// What the writer believes is there now; the write happens only if that is true.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expect {
    /// No object has the key.
    Absent,
    /// The object is at exactly this revision.
    Revision(Revision),
}

/// What becomes of the object.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// It has this state.
    Put {
        /// Its identity, which the body also names.
        uid: Uuid,
        /// JSON; any `metadata.resourceVersion` inside is dropped.
        body: Vec<u8>,
    },
    /// It is gone.
    Delete {
        /// JSON of its last state, for those who watch.
        body: Vec<u8>,
    },
}

impl Change {
    /// The JSON (sealed, once past [`crate::Storage`]) of either kind of change.
    pub fn body(&self) -> &[u8] {
        match self {
            Change::Put { body, .. } | Change::Delete { body } => body,
        }
    }
}

/// One compare-and-swap on one object.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    /// Which object.
    pub key: Key,
    /// What must be there.
    pub expect: Expect,
    /// What shall be there.
    pub change: Change,
}

/// Why a write did not happen.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// [`Expect::Absent`], and the key is taken.
    #[error("the object already exists")]
    AlreadyExists,
    /// [`Expect::Revision`], and there is no such object.
    #[error("the object does not exist")]
    NotFound,
    /// [`Expect::Revision`], and the object has moved on.
    #[error("the object is at revision {current}, not at the expected one")]
    Conflict {
        /// Where the object is.
        current: Revision,
    },
    /// The write was to happen only together with another, which did not happen.
    #[error("what it was to happen together with did not happen")]
    Bound,
    /// The body is larger than the store takes.
    #[error("the object has {size} bytes, more than the limit of {limit}")]
    TooLarge {
        /// Bytes of the body.
        size: usize,
        /// Bytes that are allowed.
        limit: usize,
    },
    /// The body is not the JSON of an object.
    #[error("the body is not an object in JSON: {reason}")]
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The database could not be asked, or it could not be learnt what became of the write.
    #[error("the store is unavailable")]
    Unavailable(#[source] Arc<StoreError>),
}

impl From<Rejection> for WriteError {
    fn from(rejection: Rejection) -> WriteError {
        match rejection {
            Rejection::AlreadyExists { .. } => WriteError::AlreadyExists,
            Rejection::NotFound => WriteError::NotFound,
            Rejection::Conflict { current } => WriteError::Conflict { current },
            Rejection::Bound => WriteError::Bound,
        }
    }
}
