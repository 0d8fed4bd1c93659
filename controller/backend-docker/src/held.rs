//! The machines that the engine holds still for a moment, to copy what they have written. It calls them paused; to
//! everybody else they run, and whoever wants something of them waits until they do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use controller_backend::{MachineId, Still, Stillness};
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

#[derive(Default)]
pub(crate) struct Held {
    turns: Mutex<BTreeMap<MachineId, Arc<RwLock<()>>>>,
    frozen: Mutex<BTreeSet<MachineId>>,
    pub(crate) stillness: Arc<Stillness>,
}

/// Nobody else does anything to the machine until this is dropped.
pub(crate) struct Hold<'a> {
    held: &'a Held,
    id: MachineId,
    _turn: OwnedRwLockWriteGuard<()>,
    _still: Still,
}

impl Held {
    /// Waits until nobody does anything to the machine, and lets nobody begin.
    pub(crate) async fn hold(&self, id: &MachineId) -> Hold<'_> {
        // Whoever comes now waits already.
        let still = self.stillness.begin(id);
        let turn = self.turn(id).write_owned().await;
        Hold { held: self, id: id.clone(), _turn: turn, _still: still }
    }

    /// Waits until the machine isn't held, and keeps it from being so until what is given is dropped.
    pub(crate) async fn released(&self, id: &MachineId) -> OwnedRwLockReadGuard<()> {
        self.turn(id).read_owned().await
    }

    /// Whether the machine is frozen because it is held.
    pub(crate) fn is_frozen(&self, id: &MachineId) -> bool {
        self.frozen.lock().unwrap_or_else(PoisonError::into_inner).contains(id)
    }

    fn turn(&self, id: &MachineId) -> Arc<RwLock<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        // Those that nobody holds or awaits are only in the map.
        turns.retain(|_, turn| Arc::strong_count(turn) > 1);
        turns.entry(id.clone()).or_default().clone()
    }
}

impl Hold<'_> {
    /// It is about to be frozen.
    pub(crate) fn freeze(&self) {
        self.held.frozen.lock().unwrap_or_else(PoisonError::into_inner).insert(self.id.clone());
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        self.held.frozen.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.id);
    }
}
