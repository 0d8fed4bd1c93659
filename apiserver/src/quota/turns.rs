//! Lets the writers of one process into a namespace's quotas one after the other, in the order in which they came.
//! Without it all but one of those who come at once would compute in vain.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// Namespaces that are remembered before those that nobody waits for are forgotten.
const REMEMBERED: usize = 64;

/// Who may write next, by namespace.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    namespaces: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl Turns {
    /// Waits for one's turn, which lasts as long as the guard.
    pub(crate) async fn take(&self, namespace: &str) -> OwnedMutexGuard<()> {
        self.of(namespace).lock_owned().await
    }

    fn of(&self, namespace: &str) -> Arc<tokio::sync::Mutex<()>> {
        let mut namespaces = self.namespaces.lock().unwrap_or_else(PoisonError::into_inner);
        if namespaces.len() >= REMEMBERED && !namespaces.contains_key(namespace) {
            namespaces.retain(|_, turn| Arc::strong_count(turn) > 1);
        }
        Arc::clone(namespaces.entry(namespace.to_owned()).or_default())
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn only_those_of_one_namespace_wait_for_each_other() {
        let turns = Turns::default();
        let first = turns.take("a").await;
        assert!(turns.take("b").now_or_never().is_some());
        assert!(turns.take("a").now_or_never().is_none());
        for number in 0..2 * REMEMBERED {
            drop(turns.take(&number.to_string()).await);
        }
        assert!(turns.namespaces.lock().unwrap().len() <= REMEMBERED);
        assert!(turns.take("a").now_or_never().is_none(), "what is held is not forgotten");
        drop(first);
        assert!(turns.take("a").now_or_never().is_some());
    }
}
