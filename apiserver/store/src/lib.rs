//! The storage layer of the apiserver: a small database port and, above it, the one writer and the watch cache.
//!
//! What flows in: [`Write`]s, each a compare-and-swap on one object. What flows out: durable, totally ordered
//! [`Revision`]s, snapshots of a resource and watches. Nothing here knows a kind, HTTP or a schema.
//!
//! - [`Store`] is the port that a database implements ([`memory`], and the crates for SQLite and Postgres).
//! - [`Storage`] is what the apiserver uses: it batches writes into transactions and answers every read from memory.
//! - [`seal`] encrypts the bodies of secret resources before a database sees them.
//! - [`conformance`] is the suite that every adapter runs.

mod body;
mod cache;
pub mod conformance;
mod decide;
mod entry;
mod key;
pub mod memory;
pub mod migration;
mod port;
mod replace;
mod revision;
pub mod seal;
mod storage;
mod write;

pub use cache::{Entries, Expired, Snapshot, Watch, WatchItem};
pub use decide::{Decision, decide};
pub use entry::{Entry, Event, EventKind};
pub use key::{Key, ResourceId};
pub use port::{
    Accepted, Batch, Committed, Hint, Hints, Meta, Operation, Rejection, Sharing, Store, StoreError, StoredChange,
    StoredObject,
};
pub use replace::{Replacement, Staging};
pub use revision::Revision;
pub use seal::Sealer;
pub use storage::{
    Content, DataKeyRule, Export, Incoming, MasterKeys, Restore, RestoreError, RotateError, RotationRun,
    RotationStatus, RotationStep, Source, Stats, Storage, StorageOptions,
};
pub use write::{Change, Expect, Write, WriteError};
