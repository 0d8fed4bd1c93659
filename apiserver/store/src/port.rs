//! The database port: what [`crate::Storage`] needs of Postgres, SQLite or plain memory, and no more.
//!
//! A store orders writes and keeps them. It never interprets a body (which may be sealed) and never caches.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use uuid::Uuid;

use crate::{Key, Revision, Staging, Write};

/// One database.
///
/// # Guarantees
/// - Revisions are dense: each accepted write has the one after the last. A rolled back batch leaves no hole.
/// - A batch is one transaction: all its accepted writes become visible and durable together, numbered in order.
/// - Batches of all processes are serialised; whoever reads a revision sees everything up to it.
/// - What [`Store::commit`] reported as accepted survives the process.
///
/// # Errors
/// [`StoreError::OutcomeUnknown`] is returned by `commit` only. Any other error of it means that nothing was written.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// Where the store stands.
    async fn meta(&self) -> Result<Meta, StoreError>;

    /// Hands every current object to `each` and returns the revision at which that was the whole state.
    async fn load(&self, each: &mut (dyn FnMut(StoredObject) + Send)) -> Result<Meta, StoreError>;

    /// Checks each write against the state left by those before it, and commits the accepted ones.
    ///
    /// An empty batch is allowed: it waits until every commit that was under way has ended, one way or the other.
    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError>;

    /// The writes that follow `after`, oldest first, at most `limit` of them.
    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<StoredChange>, StoreError>;

    /// Forgets the log up to and including `through`; objects are untouched. Going backwards does nothing.
    async fn compact(&self, through: Revision) -> Result<(), StoreError>;

    /// Keeps `check` beside the meta data unless one is kept already, and returns the one that is kept.
    async fn keep_seal_check(&self, check: &[u8]) -> Result<Vec<u8>, StoreError>;

    /// Puts `new` in the place of the seal check `old`; `false` if another one is kept. From then on no batch that names
    /// `old` is committed.
    async fn replace_seal_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError>;

    /// Notes what was put back (`None`: it is confirmed), beside the meta data.
    async fn mark_restored(&self, note: Option<&str>) -> Result<(), StoreError>;

    /// Begins to put other content in the place of everything. Until [`Staging::commit`] nothing of it is seen.
    async fn stage(&self) -> Result<Box<dyn Staging>, StoreError>;

    /// Whether other processes may write too.
    fn sharing(&self) -> Sharing {
        Sharing::Exclusive
    }

    /// A stream that says when others have written. Only a hint: it may lose and repeat.
    async fn hints(&self) -> Result<Option<Hints>, StoreError> {
        Ok(None)
    }

    /// Lets go of the database. Later calls fail.
    async fn close(&self) {}
}

/// A stream of [`Hint`]s.
pub type Hints = BoxStream<'static, Hint>;

/// That somebody else may have written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// The store has reached this revision.
    Reached(Revision),
    /// Hints may have been lost: look.
    Look,
}

/// Who writes to the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Only this process.
    Exclusive,
    /// Any number of processes; each looks for writes of others at least this often.
    Shared {
        /// The longest time between two looks.
        poll: Duration,
    },
}

/// The one row that describes a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meta {
    /// The last committed revision.
    pub revision: Revision,
    /// The log is forgotten up to here.
    pub compacted: Revision,
    /// Changes when history is not a continuation of what was there before, as after a restore.
    pub epoch: Uuid,
    /// Made once, with the store; marks everything that this installation owns elsewhere.
    pub installation: Uuid,
    /// What [`Store::keep_seal_check`] keeps.
    pub seal_check: Option<Vec<u8>>,
    /// What [`Store::mark_restored`] noted.
    pub restored: Option<String>,
}

/// An object as a database keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredObject {
    /// Where it lives.
    pub key: Key,
    /// Its identity.
    pub uid: Uuid,
    /// Its last write.
    pub revision: Revision,
    /// What was written, without a revision inside, perhaps sealed.
    pub body: Vec<u8>,
}

/// A committed write as the log keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredChange {
    /// Its place in the order.
    pub revision: Revision,
    /// The object.
    pub key: Key,
    /// The object's identity.
    pub uid: Uuid,
    /// What was done.
    pub operation: Operation,
    /// The revision that it replaced; zero for a creation.
    pub previous: Revision,
    /// The new state; of a deletion the last one.
    pub body: Vec<u8>,
    /// On the first write of a batch, the batch's id.
    pub batch: Option<Uuid>,
}

/// What a committed write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Made an object.
    Create,
    /// Changed an object.
    Update,
    /// Removed an object.
    Delete,
}

impl Operation {
    /// The number in the database's `op` column.
    pub fn code(self) -> i16 {
        match self {
            Operation::Create => 1,
            Operation::Update => 2,
            Operation::Delete => 3,
        }
    }

    /// The operation that `code` stands for.
    pub fn from_code(code: i16) -> Option<Operation> {
        match code {
            1 => Some(Operation::Create),
            2 => Some(Operation::Update),
            3 => Some(Operation::Delete),
            _ => None,
        }
    }
}

/// Writes that are committed together.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Recorded with the first accepted write, so that a lost answer can be found again.
    pub id: Uuid,
    /// The history that the writes belong to; in another one none of them happens.
    pub epoch: Uuid,
    /// The seal check that the writer knows. If the store keeps another one, its keys have changed, and nothing of the
    /// batch happens. `None`: whichever it is.
    pub seal_check: Option<Vec<u8>>,
    /// In order of arrival.
    pub writes: Vec<Write>,
    /// Places of writes that all happen or none: each to a key of its own, in order, without overlap.
    pub bonds: Vec<Range<usize>>,
}

impl Batch {
    /// A batch of writes of which each stands for itself.
    pub fn of(epoch: Uuid, writes: Vec<Write>) -> Batch {
        Batch { id: Uuid::new_v4(), epoch, seal_check: None, writes, bonds: Vec::new() }
    }

    /// Whether this belongs to a store that keeps `seal_check`.
    #[must_use]
    pub fn knows(&self, seal_check: Option<&[u8]>) -> bool {
        self.seal_check.is_none() || self.seal_check.as_deref() == seal_check
    }

    /// The places of the write at `place` and of those that stand or fall with it, where one begins there.
    pub fn unit_at(&self, place: usize) -> Option<Range<usize>> {
        if place >= self.writes.len() {
            return None;
        }
        // In order, so that the bonds can be searched.
        let found = self.bonds.binary_search_by_key(&place, |bond| bond.start);
        Some(found.map_or(place..place + 1, |bond| self.bonds[bond].clone()))
    }
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The store's revision just before.
    pub base: Revision,
    /// The store's revision just after: `base` plus the accepted writes.
    pub revision: Revision,
    /// One for each write, in order.
    pub results: Vec<Result<Accepted, Rejection>>,
}

/// A write that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// Its revision.
    pub revision: Revision,
    /// The revision that it replaced; zero for a creation.
    pub previous: Revision,
    /// The object's identity.
    pub uid: Uuid,
    /// What it did.
    pub operation: Operation,
}

/// A write that did not happen because its expectation was wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// Expected nothing, found an object.
    AlreadyExists {
        /// The object's revision.
        current: Revision,
    },
    /// Expected an object, found nothing.
    NotFound,
    /// Expected another revision.
    Conflict {
        /// The object's revision.
        current: Revision,
    },
    /// A write that it is bound to did not happen.
    Bound,
}

/// Why the database did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached or refused to work just now.
    #[error("failed to {step}")]
    Unavailable {
        /// What was tried.
        step: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// There is no room left for what is written; what is there can be read.
    #[error("failed to {step}: the disk of the store is full")]
    Full {
        /// What was tried.
        step: &'static str,
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The connection was lost while committing: the batch happened or did not.
    #[error("the outcome of the commit is unknown")]
    OutcomeUnknown {
        /// What the database said.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Something else was put in the place of everything: what is known of the store is about its past.
    #[error("the store was restored from a backup, and what was known of it is void")]
    NewHistory,
    /// The keys of the store have changed since the writer last looked: nothing was written.
    #[error("the keys that the store is sealed with have changed")]
    NewKeys,
    /// The log no longer reaches back that far.
    #[error("the changes up to revision {compacted} are compacted")]
    Compacted {
        /// The oldest revision to ask from.
        compacted: Revision,
    },
    /// The database was written by a newer program.
    #[error(
        "the database has schema version {found} and this program knows versions up to {known}: a newer one has \
         upgraded the database, and only that one or one newer still can use it; to go back, restore a backup that was \
         made before the upgrade into an empty database"
    )]
    NewerSchema {
        /// The version in the database.
        found: i64,
        /// The newest that this program can make.
        known: i64,
    },
    /// Another process has the database.
    #[error("another process uses this database: it holds the lock file `{path}`")]
    Locked {
        /// The lock file.
        path: String,
    },
    /// The database holds something that cannot be.
    #[error("the database is damaged: {what}")]
    Damaged {
        /// What was found.
        what: String,
    },
    /// A body could not be sealed or opened.
    #[error("failed to handle a sealed object")]
    Seal(#[source] crate::seal::SealError),
    /// The storage is shut down.
    #[error("the storage is shut down")]
    Closed,
}

impl StoreError {
    /// [`StoreError::Unavailable`] at `step`.
    pub fn unavailable(step: &'static str, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> StoreError {
        StoreError::Unavailable { step, source: source.into() }
    }
}
