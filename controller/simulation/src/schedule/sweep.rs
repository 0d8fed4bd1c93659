//! Plays the schedules of many seeds, as many at a time as there are threads, and tells of those that fail.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Failure, draw, judge, script, shrink};

/// Schedules that are played to make a failing one smaller.
const SHRINKING: usize = 300;

/// Which seeds are played.
#[derive(Debug, Clone, Copy)]
pub struct Sweep {
    /// The first seed.
    pub from: u64,
    /// How many seeds.
    pub seeds: u64,
    /// No new one is begun after this time.
    pub limit: Duration,
    /// How many at a time.
    pub threads: usize,
    /// Whether the others are played after one has failed.
    pub keep_going: bool,
}

/// A schedule that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// Its seed.
    pub seed: u64,
    /// What is wrong with how the script ends.
    pub failure: Failure,
    /// A part of its schedule that fails too, as small as it could be made.
    pub script: String,
}

impl std::fmt::Display for Failed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { seed, failure, script } = self;
        writeln!(formatter, "seed {seed}: {}", failure.what)?;
        writeln!(formatter, "Keep these lines in a file and play them with `just simulate --script FILE`:")?;
        write!(formatter, "# seed {seed}\n{script}")
    }
}

/// Plays the seeds; how many were played.
///
/// # Errors
/// One that failed, made smaller. All are told on stderr.
pub fn sweep(wanted: Sweep) -> Result<u64, Box<Failed>> {
    let (begin, next, played) = (Instant::now(), AtomicU64::new(wanted.from), AtomicU64::new(0));
    let (stop, failed) = (AtomicBool::new(false), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..wanted.threads.max(1) {
            scope.spawn(|| {
                while begin.elapsed() < wanted.limit && !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= wanted.from.saturating_add(wanted.seeds) {
                        return;
                    }
                    if let Err(failure) = judge(&draw(seed)) {
                        stop.store(!wanted.keep_going, Ordering::Relaxed);
                        eprintln!("seed {seed}: {}", failure.what);
                        failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert((seed, failure));
                    }
                    played.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    match failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
        None => Ok(played.into_inner()),
        Some((seed, failure)) => {
            eprintln!("looking for a smaller schedule that fails like that of seed {seed}...");
            let steps = shrink(&draw(seed), &failure, SHRINKING);
            let failure = judge(&steps).err().unwrap_or(failure);
            Err(Box::new(Failed { seed, failure, script: script(&steps) }))
        }
    }
}
