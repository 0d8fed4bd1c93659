//! Decides how often one user may ask: so many requests a second over time, and more at once after a pause. It is counted by
//! user, whatever address or token they come with, so that nobody is kept out by others and nobody gets more by having
//! many keys. Nobody waits here.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::access::{Identity, MASTERS};
use crate::error::{ApiError, Reason};
use crate::response::retry_later;

/// Users who asked lately and are remembered before those are looked for who may ask freely again.
const REMEMBERED: usize = 1024;

/// How often each user may ask.
#[derive(Debug)]
pub(crate) struct Rates {
    /// The time that a request takes of what a user has; nothing where nobody counts.
    each: Duration,
    /// What a user has who hasn't asked for long.
    all: Duration,
    /// When a user will have asked no more often than they may.
    even: Mutex<HashMap<String, Instant>>,
}

impl Rates {
    /// `per_second` requests, and `burst` at once. No limit where that is 0.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        let each = Duration::from_secs(1).checked_div(per_second).unwrap_or_default();
        Self { each, all: each * burst.max(1), even: Mutex::default() }
    }

    /// Counts a request. Members of `system:masters` may ask as often as they like, so that whoever has to end an attack can.
    ///
    /// # Errors
    /// 429, with when to come back.
    pub(crate) fn count(&self, who: &Identity) -> Result<(), ApiError> {
        if self.each.is_zero() || who.is_in(MASTERS) {
            return Ok(());
        }
        self.count_at(&who.user, Instant::now()).map_err(|wait| {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            let message =
                format!("too many requests, please try again in {seconds}s: user {:?} asks too often.", who.user);
            let mut error = retry_later(Reason::TooManyRequests, &message);
            error.details.insert("retryAfterSeconds".into(), seconds.into());
            error
        })
    }

    /// How long to wait, if it is too early.
    fn count_at(&self, user: &str, now: Instant) -> Result<(), Duration> {
        let mut even = self.even.lock().unwrap_or_else(PoisonError::into_inner);
        if even.len() >= REMEMBERED && !even.contains_key(user) {
            even.retain(|_, even| *even > now);
        }
        let until = even.entry(user.to_owned()).or_insert(now);
        let next = (*until).max(now) + self.each;
        match next.saturating_duration_since(now).checked_sub(self.all) {
            Some(over) if !over.is_zero() => Err(over),
            _ => {
                *until = next;
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(rates: &Rates, user: &str, now: Instant) -> usize {
        (0..1000).take_while(|_| rates.count_at(user, now).is_ok()).count()
    }

    #[tokio::test(start_paused = true)]
    async fn user_may_ask_often_at_once_and_then_evenly() {
        let rates = Rates::new(10, 50);
        let now = Instant::now();
        assert_eq!(taken(&rates, "a", now), 50);
        assert_eq!(rates.count_at("a", now), Err(Duration::from_millis(100)));
        assert_eq!(taken(&rates, "a", now + Duration::from_secs(1)), 10);
        assert_eq!(taken(&rates, "b", now), 50, "it is nobody else's business");
        assert_eq!(taken(&rates, "a", now + Duration::from_secs(60)), 50);
    }

    #[tokio::test(start_paused = true)]
    async fn masters_and_servers_without_a_limit_do_not_count() {
        let (rates, none) = (Rates::new(1, 1), Rates::new(0, 1));
        for _ in 0..100 {
            rates.count(&Identity::master("admin")).unwrap();
            none.count(&Identity::new("bob", [])).unwrap();
        }
        rates.count(&Identity::new("bob", [])).unwrap();
        let refused = rates.count(&Identity::new("bob", [])).unwrap_err();
        assert_eq!((refused.reason, &refused.details["retryAfterSeconds"]), (Reason::TooManyRequests, &1.into()));
    }

    #[tokio::test(start_paused = true)]
    async fn users_who_may_ask_freely_again_are_forgotten() {
        let rates = Rates::new(10, 10);
        let now = Instant::now();
        for number in 0..5 * REMEMBERED {
            let later = now + Duration::from_secs(number as u64);
            rates.count_at(&number.to_string(), later).unwrap();
        }
        assert!(rates.even.lock().unwrap().len() <= REMEMBERED);
    }
}
