//! The store on SQLite: one file, one process, the default of an installation on one machine.
//!
//! Write-ahead log with `synchronous=FULL`: a commit that was reported survives a power cut. A lock file keeps a
//! second process out; it is an advisory lock of the system, so it goes with the process however that ends.

mod commit;
mod lock;
mod migrate;
mod stage;
mod store;
#[cfg(test)]
mod tests;

pub use store::SqliteStore;
