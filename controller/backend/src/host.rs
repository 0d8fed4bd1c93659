//! The port for the engine itself: which one it is, whether it answers, what it can hold.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::Error;

/// The engine that this backend drives.
#[async_trait]
pub trait Host: Send + Sync {
    /// Which engine this is. The controller records it and refuses another one.
    async fn identity(&self) -> Result<Identity, Error>;

    /// `Ok` if the engine answers, `Unavailable` if not.
    async fn reachable(&self) -> Result<(), Error>;

    /// What the engine's machine has.
    async fn capacity(&self) -> Result<Capacity, Error>;
}

/// Which engine this is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Made by the engine once and kept.
    pub id: String,
    /// The machine's name.
    pub name: String,
    /// The engine's version, for people.
    pub version: String,
}

/// What the engine's machine has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capacity {
    /// Processor cores.
    pub cpus: u32,
    /// Memory.
    pub memory_bytes: u64,
}
