//! One step at a time for each owner of a network, volume or snapshot.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use uuid::Uuid;

/// Who is busy. Cloning shares it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<BTreeMap<Uuid, Arc<tokio::sync::Mutex<()>>>>>);

/// The turn of one owner, until the last clone is dropped.
pub(crate) type Turn = Arc<tokio::sync::OwnedMutexGuard<()>>;

impl Turns {
    /// Waits for the owner's turn.
    pub(crate) async fn take(&self, owner: Uuid) -> Turn {
        let lock = {
            let mut busy = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that nobody holds or awaits are only in the map.
            busy.retain(|_, turn| Arc::strong_count(turn) > 1);
            busy.entry(owner).or_default().clone()
        };
        Arc::new(lock.lock_owned().await)
    }
}
