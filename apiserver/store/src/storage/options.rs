//! What can be set about a storage. The defaults are meant for production.

use std::time::Duration;

use crate::cache::Limits;
use crate::{ResourceId, Sealer};

/// How a [`crate::Storage`] behaves.
#[derive(Debug, Clone)]
pub struct StorageOptions {
    /// Seals the bodies of the resources in `sealed`.
    pub sealer: Option<Sealer>,
    /// The resources whose bodies no database may see in the clear.
    pub sealed: Vec<ResourceId>,
    /// Where data keys are kept, which the sealer seals and which seal all else: a private resource of their own. `None`: the
    /// sealer seals everything itself.
    pub data_keys: Option<ResourceId>,
    /// Resources of this very installation, which no backup takes along and every restore keeps.
    pub private: Vec<ResourceId>,
    /// The largest body that is taken, in bytes of JSON.
    pub max_object_bytes: usize,
    /// The largest number of writes in one transaction.
    pub batch_writes: usize,
    /// A transaction takes no further write once it holds this many bytes.
    pub batch_bytes: usize,
    /// How long events and snapshots are kept for watches and pages of lists.
    pub window: Duration,
    /// Events of one resource that are kept however old they are.
    pub window_min_events: usize,
    /// Events of one resource that are kept at most.
    pub window_max_events: usize,
    /// Bytes of events of one resource that are kept at most, but for the minimum of events.
    pub window_max_bytes: usize,
    /// Past states of one resource that are kept at most.
    pub max_snapshots: usize,
    /// Events that may wait for one watcher before it is cut off.
    pub watch_queue_events: usize,
    /// Bytes of events that may wait for one watcher before it is cut off.
    pub watch_queue_bytes: usize,
    /// The shortest time between two progress items of an idle watch.
    pub progress_interval: Duration,
    /// The time between two compactions of a store that is written to.
    pub compaction_interval: Duration,
    /// Changes younger than this stay in the log.
    pub keep_changes_for: Duration,
    /// So many of the last changes stay in the log, however old they are.
    pub keep_changes: u64,
    /// Bytes of bodies in the log from which on the oldest changes go, whatever else would keep them.
    pub keep_changes_bytes: u64,
}

impl Default for StorageOptions {
    fn default() -> StorageOptions {
        StorageOptions {
            sealer: None,
            sealed: Vec::new(),
            data_keys: None,
            private: Vec::new(),
            max_object_bytes: 3 << 19,
            batch_writes: 128,
            batch_bytes: 512 << 10,
            window: Duration::from_secs(75),
            window_min_events: 100,
            window_max_events: 100_000,
            window_max_bytes: 32 << 20,
            max_snapshots: 1_000,
            watch_queue_events: 1_000,
            watch_queue_bytes: 16 << 20,
            progress_interval: Duration::from_secs(1),
            compaction_interval: Duration::from_secs(60),
            keep_changes_for: Duration::from_secs(600),
            keep_changes: 100_000,
            keep_changes_bytes: 1 << 30,
        }
    }
}

impl StorageOptions {
    pub(crate) fn limits(&self) -> Limits {
        Limits {
            window: self.window,
            window_min_events: self.window_min_events,
            window_max_events: self.window_max_events,
            window_max_bytes: self.window_max_bytes,
            max_snapshots: self.max_snapshots,
            queue_max_events: self.watch_queue_events,
            queue_max_bytes: self.watch_queue_bytes,
        }
    }
}
