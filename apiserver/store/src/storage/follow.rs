//! Keeps up with what other processes write to the same database.
//!
//! Revisions are dense, so that completeness is plain to see: the next change is the one after the last. Hints only
//! save time; a poll behind them finds what they lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::StreamExt;

use crate::{Hint, Hints, Revision, StoreError};

use super::core::Core;
use super::now;
use super::stats::add;

/// Changes that are fetched at a time.
const PAGE: usize = 500;

/// Lets many readers share one look at the database.
#[derive(Default)]
pub(super) struct Looks {
    begun: AtomicU64,
    /// The last look that has ended, and what it brought.
    ended: tokio::sync::Mutex<(u64, Revision)>,
}

impl Core {
    /// Applies what was committed up to `target` at least. The caller holds `applying`.
    pub(super) async fn catch_up(&self, target: Revision) -> Result<(), StoreError> {
        while self.cache.revision() < target {
            let after = self.cache.revision();
            let changes = match self.store.changes(after, PAGE).await {
                Ok(changes) => changes,
                Err(StoreError::Compacted { compacted }) => {
                    tracing::warn!(
                        revision = after.0,
                        compacted = compacted.0,
                        "the log no longer reaches back to what is known, reading everything anew"
                    );
                    return self.reload().await;
                }
                Err(error) => return Err(error),
            };
            let mut expected = after.next();
            let mut applied = Vec::with_capacity(changes.len());
            for change in changes {
                if change.revision != expected {
                    return Err(StoreError::Damaged {
                        what: format!("the log has revision {} where {expected} belongs", change.revision),
                    });
                }
                expected = expected.next();
                applied.push(self.applied_of_change(change)?);
            }
            if applied.is_empty() {
                return Err(StoreError::Damaged { what: format!("the log ends at revision {after}, before {target}") });
            }
            add(&self.counters.followed_changes, applied.len() as u64);
            let bytes = applied.iter().map(|applied| applied.entry.body.len() as u64).sum();
            self.logged.add(bytes, self.options.keep_changes_bytes);
            self.cache.apply(applied, now());
        }
        Ok(())
    }

    async fn reload(&self) -> Result<(), StoreError> {
        add(&self.counters.reloads, 1);
        self.fill().await
    }

    /// Asks the database where it stands and goes there.
    async fn look(&self) -> Result<Revision, StoreError> {
        let meta = self.learn_keys().await?;
        self.learn_restored(meta.restored);
        Ok(meta.revision)
    }

    pub(super) async fn advance(&self, target: Revision) -> Result<(), StoreError> {
        if self.cache.revision() >= target {
            return Ok(());
        }
        let _guard = self.applying.lock().await;
        self.catch_up(target).await
    }
}

/// A look that began after this call, one's own or another reader's.
pub(super) async fn fresh(core: &Core) -> Result<Revision, StoreError> {
    let wanted = core.looks.begun.load(Ordering::SeqCst) + 1;
    let mut ended = core.looks.ended.lock().await;
    if ended.0 < wanted {
        let number = core.looks.begun.fetch_add(1, Ordering::SeqCst) + 1;
        let revision = core.look().await?;
        *ended = (number, revision);
    }
    Ok(ended.1)
}

/// Follows until the storage stops.
pub(super) async fn follow(core: Arc<Core>, poll: Duration) {
    let mut hints = None;
    let mut is_failing = false;
    loop {
        if hints.is_none() {
            hints = core.store.hints().await.unwrap_or_default();
        }
        let hint = tokio::select! {
            hint = next_hint(&mut hints) => hint,
            () = tokio::time::sleep(poll) => Hint::Look,
            () = core.stop.cancelled() => return,
            () = core.replaced.cancelled() => return,
        };
        let result = match hint {
            Hint::Reached(revision) => match core.advance(revision).await {
                // The keys may have changed.
                Err(StoreError::Seal(_)) => core.look().await.map(drop),
                other => other,
            },
            Hint::Look => core.look().await.map(drop),
        };
        match result {
            Ok(()) if is_failing => {
                is_failing = false;
                tracing::info!(revision = core.cache.revision().0, "the store can be followed again");
            }
            Err(error) if !is_failing => {
                is_failing = true;
                tracing::warn!(error = %error, "the store cannot be followed, reads may be stale");
            }
            _ => {}
        }
    }
}

/// Waits for a hint; a stream that has ended is forgotten, to be opened again after the next poll.
async fn next_hint(hints: &mut Option<Hints>) -> Hint {
    if let Some(stream) = hints {
        if let Some(hint) = stream.next().await {
            return hint;
        }
        *hints = None;
    }
    std::future::pending().await
}
