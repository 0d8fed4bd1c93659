//! Waits for a level, with a limit, and says what it waited for.

use std::fmt::Debug;
use std::time::{Duration, Instant};

/// Waits at most a minute until `look` finds what is wanted.
///
/// # Panics
/// It doesn't within that time; the message names what was awaited and what was there instead.
#[track_caller]
pub fn eventually<T, E: Debug>(awaited: &str, look: impl FnMut() -> Result<T, E>) -> T {
    eventually_within(Duration::from_secs(60), awaited, look)
}

/// Waits at most `limit` until `look` finds what is wanted.
///
/// # Panics
/// It doesn't within that time; the message names what was awaited and what was there instead.
#[track_caller]
pub fn eventually_within<T, E: Debug>(limit: Duration, awaited: &str, mut look: impl FnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match look() {
            Ok(found) => return found,
            Err(instead) if start.elapsed() > limit => {
                panic!("waited {limit:?} for {awaited}; instead there was {instead:?}")
            }
            Err(_) => std::thread::park_timeout(Duration::from_millis(100)),
        }
    }
}
