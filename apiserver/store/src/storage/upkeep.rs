//! What happens beside reading and writing: telling idle watchers how far they are, and forgetting what is old.
//!
//! Both tasks sleep until something is written, so that an idle storage uses no processor time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
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
    past.note(now(), core.cache.revision(), &core);
    let mut ages = false;
    loop {
        if !ages {
            tokio::select! {
                changed = revisions.changed() => if changed.is_err() { return },
                () = core.stop.cancelled() => return,
            }
        }
        tokio::select! {
            go_on = pause(&core, core.options.compaction_interval) => if !go_on { return },
            () = core.logged.much.notified() => {}
        }
        let revision = *revisions.borrow_and_update();
        ages = core.cache.trim(now());
        past.note(now(), revision, &core);
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
pub(super) async fn pause(core: &Core, length: Duration) -> bool {
    tokio::select! {
        () = tokio::time::sleep(length) => true,
        () = core.stop.cancelled() => false,
    }
}

/// How much went into the log since this process began.
#[derive(Debug, Default)]
pub(super) struct Logged {
    bytes: AtomicU64,
    /// What there was at the last look.
    seen: AtomicU64,
    /// It is time to look before the interval is over.
    much: Notify,
}

/// The part of the bound after which the log is looked at early: so much it may hold beyond the bound.
const EARLY: u64 = 8;

impl Logged {
    /// Counts what was written.
    pub(super) fn add(&self, bytes: u64, bound: u64) {
        let all = self.bytes.fetch_add(bytes, Ordering::Relaxed).saturating_add(bytes);
        if all.saturating_sub(self.seen.load(Ordering::Relaxed)) >= bound / EARLY {
            self.much.notify_one();
        }
    }

    fn look(&self) -> u64 {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.seen.store(bytes, Ordering::Relaxed);
        bytes
    }
}

/// Which revision the store had when.
#[derive(Default)]
struct Past {
    notes: VecDeque<Note>,
}

/// The store at one moment.
struct Note {
    at: Instant,
    revision: Revision,
    /// What had gone into the log by then.
    bytes: u64,
}

impl Past {
    /// Keeps of the notes older than `keep` only the youngest, which is the one that will be asked for.
    fn note(&mut self, at: Instant, revision: Revision, core: &Core) {
        self.notes.push_back(Note { at, revision, bytes: core.logged.look() });
        while self.notes.get(1).is_some_and(|next| at.duration_since(next.at) >= core.options.keep_changes_for) {
            self.notes.pop_front();
        }
    }

    /// Everything up to here is older than the time and further back than the number of changes to keep, or more than
    /// the log may hold.
    fn oldest_to_forget(&self, at: Instant, revision: Revision, core: &Core) -> Revision {
        let by_age = match self.notes.front() {
            Some(note) if at.duration_since(note.at) >= core.options.keep_changes_for => note.revision,
            _ => Revision::ZERO,
        };
        let by_count = Revision(revision.0.saturating_sub(core.options.keep_changes));
        let bytes = self.notes.back().map_or(0, |note| note.bytes);
        let too_much = bytes.saturating_sub(core.options.keep_changes_bytes);
        // The first note is where this process began: what was there before is counted as nothing.
        let by_bytes = self.notes.iter().skip(1).rev().find(|note| note.bytes <= too_much);
        by_age.min(by_count).max(by_bytes.map_or(Revision::ZERO, |note| note.revision))
    }
}
