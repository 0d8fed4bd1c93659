//! Which machines are held still for a snapshot, and until when they were: one that doesn't answer then is not ill.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::MachineId;

/// Nobody waits longer than this for an answer, and asks afterwards why there was none.
const REMEMBERED: Duration = Duration::from_secs(2 * 3600);

/// The machines that are held still, for an adapter to keep.
#[derive(Debug, Default)]
pub struct Stillness {
    spells: Mutex<BTreeMap<MachineId, Spell>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Spell {
    /// How many hold it.
    holders: usize,
    /// When the last one let go.
    ended: Option<Instant>,
}

/// A machine that is held still until this is dropped.
#[derive(Debug)]
pub struct Still {
    stillness: Arc<Stillness>,
    machine: MachineId,
}

impl Stillness {
    /// From now on the machine is held still.
    pub fn begin(self: &Arc<Self>, machine: &MachineId) -> Still {
        let now = Instant::now();
        let mut spells = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        let is_recent = |ended: Instant| now.duration_since(ended) < REMEMBERED;
        spells.retain(|_, spell| spell.holders > 0 || spell.ended.is_some_and(is_recent));
        spells.entry(machine.clone()).or_default().holders += 1;
        Still { stillness: self.clone(), machine: machine.clone() }
    }

    /// Whether the machine was held still at any moment since then.
    pub fn was_since(&self, machine: &MachineId, since: Instant) -> bool {
        let spells = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        let spell = spells.get(machine);
        spell.is_some_and(|spell| spell.holders > 0 || spell.ended.is_some_and(|ended| ended >= since))
    }
}

impl Drop for Still {
    fn drop(&mut self) {
        let mut spells = self.stillness.spells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spell) = spells.get_mut(&self.machine) {
            spell.holders = spell.holders.saturating_sub(1);
            spell.ended = Some(Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn machine_is_still_while_anybody_holds_it_and_was_for_whoever_asks_since() {
        let (stillness, machine) = (Arc::new(Stillness::default()), MachineId("web".to_owned()));
        let before = Instant::now();
        assert!(!stillness.was_since(&machine, before));
        let (first, second) = (stillness.begin(&machine), stillness.begin(&machine));
        drop(first);
        tokio::time::advance(Duration::from_secs(1)).await;
        let amid = Instant::now();
        assert!(stillness.was_since(&machine, amid), "the other one holds it");
        drop(second);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(stillness.was_since(&machine, before) && stillness.was_since(&machine, amid));
        assert!(!stillness.was_since(&machine, Instant::now()), "it goes on");
        assert!(!stillness.was_since(&MachineId("other".to_owned()), before));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_long_ago_is_forgotten() {
        let stillness = Arc::new(Stillness::default());
        drop(stillness.begin(&MachineId("old".to_owned())));
        tokio::time::advance(REMEMBERED).await;
        let _held = stillness.begin(&MachineId("new".to_owned()));
        assert_eq!(stillness.spells.lock().unwrap().len(), 1);
    }
}
