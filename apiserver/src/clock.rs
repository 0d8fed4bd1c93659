//! Decides what time it is and what is random: both come in from outside, so that a simulation can own them.
//!
//! Nothing else in this crate reads the wall clock or the system's entropy.

use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use uuid::Uuid;

/// Where time stamps come from.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The wall clock of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// Writes a moment as `metav1.Time` does: RFC 3339 in UTC, whole seconds.
#[must_use]
pub fn whole_seconds(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Writes a moment as `metav1.MicroTime` does: RFC 3339 in UTC, with microseconds.
#[must_use]
pub fn micro_seconds(moment: Timestamp) -> String {
    moment.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// A source of uids and name suffixes.
#[derive(Debug)]
pub(crate) struct Dice(Mutex<StdRng>);

/// What `metadata.generateName` appends: no vowels, so no words; nothing that is easily misread.
const SUFFIX_LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
const SUFFIX_LENGTH: usize = 5;

impl Dice {
    /// Dice that follow the seed, or the system's entropy without one.
    pub(crate) fn new(seed: Option<u64>) -> Self {
        Self(Mutex::new(seed.map_or_else(rand::make_rng, StdRng::seed_from_u64)))
    }

    pub(crate) fn uuid(&self) -> Uuid {
        let mut bytes = [0; 16];
        self.lock().fill_bytes(&mut bytes);
        uuid::Builder::from_random_bytes(bytes).into_uuid()
    }

    pub(crate) fn name_suffix(&self) -> String {
        let mut dice = self.lock();
        (0..SUFFIX_LENGTH).map(|_| char::from(SUFFIX_LETTERS[dice.random_range(0..SUFFIX_LETTERS.len())])).collect()
    }

    /// A whole number of seconds within the range.
    pub(crate) fn seconds(&self, range: std::ops::Range<u64>) -> std::time::Duration {
        std::time::Duration::from_secs(self.lock().random_range(range))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, StdRng> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_in_whole_seconds() {
        let moment: Timestamp = "2026-11-22T21:18:41.987654Z".parse().unwrap();
        assert_eq!(whole_seconds(moment), "2026-11-22T21:18:41Z");
    }

    #[test]
    fn seeded_dice_repeat_themselves() {
        let (one, two) = (Dice::new(Some(7)), Dice::new(Some(7)));
        assert_eq!((one.uuid(), one.name_suffix()), (two.uuid(), two.name_suffix()));
        assert_eq!(one.name_suffix().len(), SUFFIX_LENGTH);
        assert_ne!(one.uuid(), one.uuid());
    }
}
