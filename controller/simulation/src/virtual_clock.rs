//! A wall clock that follows tokio's time, which a test pauses: hours pass in milliseconds.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// When every simulation begins.
const BEGINNING: i64 = 1_800_000_000;

/// Tokio's time as a wall clock.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock(Instant);

impl VirtualClock {
    /// A clock that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// What it shows.
    #[must_use]
    pub fn time(self) -> Timestamp {
        let beginning = Timestamp::from_second(BEGINNING).expect("the beginning is a time");
        let elapsed = SignedDuration::try_from(self.elapsed()).unwrap_or(SignedDuration::ZERO);
        beginning.checked_add(elapsed).unwrap_or(beginning)
    }

    /// How long it has run.
    #[must_use]
    pub fn elapsed(self) -> Duration {
        self.0.elapsed()
    }
}

impl controller::Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.time()
    }
}

impl apiserver::Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        self.time()
    }
}
