//! Decides how often Events about one object may be written: thirty at once, then one every twenty seconds. Whatever
//! goes round in circles, the database isn't filled by telling of it. Pure: the time is an argument.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// How many may be written at once.
const BURST: u32 = 30;
/// One more may be written after this.
const REFILL: SignedDuration = SignedDuration::from_secs(20);
/// How many objects are remembered.
const REMEMBERED: usize = 4096;

/// How much was told about each object lately, by uid.
#[derive(Debug, Default)]
pub(crate) struct Restraint(BTreeMap<String, Allowance>);

#[derive(Debug)]
struct Allowance {
    left: u32,
    /// Up to when refills were counted.
    counted: Timestamp,
}

impl Restraint {
    /// Whether one more may be written about this object now; counts it if so.
    pub(crate) fn allows(&mut self, uid: &str, now: Timestamp) -> bool {
        if self.0.len() >= REMEMBERED && !self.0.contains_key(uid) {
            // Who could have it all back by now needs no memory; under more than that, everybody begins anew.
            let full = REFILL.saturating_mul(i32::try_from(BURST).unwrap_or(i32::MAX));
            self.0.retain(|_, allowance| now.duration_since(allowance.counted) < full);
            if self.0.len() >= REMEMBERED {
                self.0.clear();
            }
        }
        let allowance = self.0.entry(uid.to_owned()).or_insert(Allowance { left: BURST, counted: now });
        let earned = now.duration_since(allowance.counted).as_secs().div_euclid(REFILL.as_secs()).max(0);
        if earned > 0 {
            allowance.left = allowance.left.saturating_add(u32::try_from(earned).unwrap_or(u32::MAX)).min(BURST);
            let step = REFILL.saturating_mul(i32::try_from(earned).unwrap_or(i32::MAX));
            allowance.counted = allowance.counted.checked_add(step).unwrap_or(now);
        }
        if now < allowance.counted {
            // The clock was set back.
            allowance.counted = now;
        }
        let allowed = allowance.left > 0;
        allowance.left = allowance.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a_burst_passes_and_then_one_every_twenty_seconds() {
        let mut restraint = Restraint::default();
        let passed = (0..100).filter(|_| restraint.allows("a", at(0))).count();
        assert_eq!(passed, 30);
        assert!(!restraint.allows("a", at(19)));
        assert!(restraint.allows("a", at(20)));
        assert!(!restraint.allows("a", at(39)));
        assert!(restraint.allows("b", at(39)), "another object has its own allowance");
        let passed = (0..3600).filter(|second| restraint.allows("a", at(40 + second))).count();
        assert_eq!(passed, 180);
        let passed = (0..100).filter(|_| restraint.allows("a", at(100_000))).count();
        assert_eq!(passed, 30);
    }

    #[test]
    fn a_clock_that_was_set_back_silences_nobody_for_long() {
        let mut restraint = Restraint::default();
        while restraint.allows("a", at(100_000)) {}
        assert!(!restraint.allows("a", at(0)));
        assert!(restraint.allows("a", at(20)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut restraint = Restraint::default();
        for number in 0..10_000 {
            assert!(restraint.allows(&number.to_string(), at(0)));
        }
        assert!(restraint.0.len() <= REMEMBERED);
    }
}
