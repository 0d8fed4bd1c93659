//! Counters that cost next to nothing to keep, for whoever exports metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::Revision;
use crate::cache::Counts;

/// What a [`crate::Storage`] has done since it was opened, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stats {
    /// Transactions that were committed.
    pub commits: u64,
    /// Transactions that failed, or whose outcome was lost.
    pub failed_commits: u64,
    /// Time spent in transactions.
    pub commit_time: Duration,
    /// Committed transactions by the number of writes that they carried: at most
    /// [`Stats::BATCH_SIZES`]`[i]`, and more than the size before.
    pub batch_sizes: [u64; Stats::BATCH_SIZES.len()],
    /// Writes that were accepted.
    pub writes: u64,
    /// Bytes of JSON in the accepted writes.
    pub written_bytes: u64,
    /// Writes whose expectation was wrong.
    pub rejected_writes: u64,
    /// Changes that other processes made.
    pub followed_changes: u64,
    /// How often everything was read anew because the log did not reach back far enough.
    pub reloads: u64,
    /// Watchers that were too slow.
    pub watchers_cut_off: u64,
    /// The revision that the cache has applied.
    pub revision: Revision,
    /// The revision up to which this process has compacted the log.
    pub compacted: Revision,
    /// Objects in the cache.
    pub objects: usize,
    /// Watches that are open.
    pub watchers: usize,
    /// Events kept for watches that resume.
    pub window_events: usize,
    /// Past states kept for pages of lists.
    pub snapshots: usize,
}

impl Stats {
    /// The upper bounds of [`Stats::batch_sizes`]; the last one is open.
    pub const BATCH_SIZES: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, u64::MAX];
}

#[derive(Default)]
pub(super) struct Counters {
    pub(super) commits: AtomicU64,
    pub(super) failed_commits: AtomicU64,
    pub(super) commit_nanos: AtomicU64,
    pub(super) batch_sizes: [AtomicU64; Stats::BATCH_SIZES.len()],
    pub(super) writes: AtomicU64,
    pub(super) written_bytes: AtomicU64,
    pub(super) rejected_writes: AtomicU64,
    pub(super) followed_changes: AtomicU64,
    pub(super) reloads: AtomicU64,
    pub(super) compacted: AtomicU64,
}

impl Counters {
    pub(super) fn committed(&self, size: usize, took: Duration) {
        add(&self.commits, 1);
        add(&self.commit_nanos, u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
        let bucket = Stats::BATCH_SIZES.partition_point(|bound| *bound < size as u64);
        add(&self.batch_sizes[bucket], 1);
    }

    pub(super) fn read(&self, counts: Counts, revision: Revision) -> Stats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Stats {
            commits: get(&self.commits),
            failed_commits: get(&self.failed_commits),
            commit_time: Duration::from_nanos(get(&self.commit_nanos)),
            batch_sizes: std::array::from_fn(|bucket| get(&self.batch_sizes[bucket])),
            writes: get(&self.writes),
            written_bytes: get(&self.written_bytes),
            rejected_writes: get(&self.rejected_writes),
            followed_changes: get(&self.followed_changes),
            reloads: get(&self.reloads),
            watchers_cut_off: counts.cut_off,
            revision,
            compacted: Revision(get(&self.compacted)),
            objects: counts.objects,
            watchers: counts.watchers,
            window_events: counts.window_events,
            snapshots: counts.snapshots,
        }
    }
}

pub(super) fn add(counter: &AtomicU64, amount: u64) {
    counter.fetch_add(amount, Ordering::Relaxed);
}
