//! What happens beside reading and writing: telling idle watchers how far they are, and forgetting what is old.
//!
//! Both tasks sleep until something is written, so that an idle storage uses no processor time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::time::Instant;

use crate::Revision;

use super::core::Core;
use super::now;

pub(super) async fn offer_progress(core: Arc<Core>) {
    let mut revisions = core.cache.revisions();
    loop {
        tokio::select! {
            changed = revisions.changed() => if changed.is_err() { return },
            () = core.stop.cancelled() => return,
        }
        if !pause(&core, core.options.progress_interval).await {
            return;
        }
        revisions.mark_unchanged();
        core.cache.offer_progress();
    }
}

pub(super) async fn compact(core: Arc<Core>) {
    let mut revisions = core.cache.revisions();
    let mut past = Past::default();
    past.note(now(), core.cache.revision(), core.options.keep_changes_for);
    let mut ages = false;
    loop {
        if !ages {
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                () = core.stop.cancelled() => return,
            }
        }
        if !pause(&core, core.options.compaction_interval).await {
            return;
        }
        let revision = *revisions.borrow_and_update();
        ages = core.cache.trim(now());
        past.note(now(), revision, core.options.keep_changes_for);
        let target = past.oldest_to_forget(now(), revision, &core);
        if target > Revision(core.counters.compacted.load(Ordering::Relaxed)) {
            match core.store.compact(target).await {
                Ok(()) => core.counters.compacted.store(target.0, Ordering::Relaxed),
                Err(error) => tracing::warn!(error = %error, "the log could not be compacted"),
            }
        }
    }
}

/// `false`: the storage stopped meanwhile.
async fn pause(core: &Core, length: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(length) => true,
        () = core.stop.cancelled() => false,
    }
}

/// Which revision the store had when.
#[derive(Default)]
struct Past {
    notes: VecDeque<(Instant, Revision)>,
}

impl Past {
    /// Keeps of the notes older than `keep` only the youngest, which is the one that will be asked for.
    fn note(&mut self, at: Instant, revision: Revision, keep: Duration) {
        self.notes.push_back((at, revision));
        while self.notes.get(1).is_some_and(|(next, _)| at.duration_since(*next) >= keep) {
            self.notes.pop_front();
        }
    }

    /// Everything up to here is older than the time and further back than the number of changes to keep.
    fn oldest_to_forget(&self, at: Instant, revision: Revision, core: &Core) -> Revision {
        let by_age = match self.notes.front() {
            Some((then, revision)) if at.duration_since(*then) >= core.options.keep_changes_for => *revision,
            _ => Revision::ZERO,
        };
        by_age.min(Revision(revision.0.saturating_sub(core.options.keep_changes)))
    }
}
