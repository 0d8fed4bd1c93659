//! The store on Postgres, for any number of apiservers on one database.
//!
//! Writers are serialised by the lock on one row, which is held until the transaction is durable; each writes one
//! batch at a time, so that the lock changes hands between batches. Followers are woken by `NOTIFY`, with a poll
//! behind it. The `changes` table is one plain table: compaction deletes from it in slices.

mod commit;
mod listen;
mod migrate;
mod read;
mod stage;
mod store;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
mod tests;

pub use store::PostgresStore;
