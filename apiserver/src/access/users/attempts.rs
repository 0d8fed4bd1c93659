//! Decides whether a password may be tried: not by an address that tries many, and not for a name that has been tried
//! wrongly often, whether there is such a user or not. What is known is of this process and bounded: strangers must not be
//! able to make the store write. In: a name, an address, the time. It never knows a password.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Wrong tries in a row that cost nothing but their time.
const FREE: u32 = 5;
/// The longest that a name stays locked.
const LONGEST: SignedDuration = SignedDuration::from_secs(300);
/// After this without a try a name's wrong ones are forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_mins(30);
/// Tries that an address has at once, and the time in which it gets one back.
const BURST: i64 = 30;
const REFILL: SignedDuration = SignedDuration::from_secs(2);
/// The longest name of an object.
const LONGEST_NAME: usize = 253;
/// Names and addresses that are remembered; the longest unused go first.
const REMEMBERED: usize = 10_000;

/// Tries of the recent past.
#[derive(Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    names: HashMap<String, Failures>,
    /// When an address has all its tries back.
    addresses: HashMap<IpAddr, Timestamp>,
}

#[derive(Clone, Copy)]
struct Failures {
    count: u32,
    last: Timestamp,
}

impl Failures {
    /// Until when the name is locked.
    fn until(self) -> Timestamp {
        let Some(doublings) = self.count.checked_sub(FREE) else { return Timestamp::MIN };
        self.last + SignedDuration::from_secs(1 << doublings.min(20)).min(LONGEST)
    }
}

impl Attempts {
    /// Begins a try, which counts as a wrong one until it is known to be right.
    ///
    /// # Errors
    /// How long to wait before the next.
    pub(super) fn begin(&self, name: &str, from: Option<IpAddr>, now: Timestamp) -> Result<(), SignedDuration> {
        // No User has such a name, and nobody fills the memory with them.
        let name = if name.len() > LONGEST_NAME { "" } else { name };
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let State { names, addresses } = &mut *state;
        let address = from.map(network);
        if let Some(address) = address {
            let full = addresses.get(&address).copied().unwrap_or(now).max(now);
            let owed = now.duration_until(full) + REFILL;
            let allowed = REFILL * i32::try_from(BURST).unwrap_or(i32::MAX);
            if owed > allowed {
                return Err(owed - allowed);
            }
            make_room(addresses, &address, |full| *full);
            addresses.insert(address, full + REFILL);
        }
        let known = names.get(name).filter(|known| now.duration_since(known.last) < FORGOTTEN);
        if let Some(wait) = known.map(|known| now.duration_until(known.until())).filter(SignedDuration::is_positive) {
            return Err(wait);
        }
        let count = known.map_or(0, |known| known.count).saturating_add(1);
        make_room(names, name, |known| known.last);
        names.insert(name.to_owned(), Failures { count, last: now });
        Ok(())
    }

    /// The last try for a name was right: the wrong ones before it don't count any more.
    pub(super) fn succeeded(&self, name: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).names.remove(name);
    }
}

/// What one household of IPv6 addresses shares.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64))),
        address => address,
    }
}

/// Forgets the longest unused eighth where a new one has no room.
fn make_room<K, Q, V>(known: &mut HashMap<K, V>, new: &Q, used: impl Fn(&V) -> Timestamp)
where
    K: Eq + Hash + std::borrow::Borrow<Q>,
    Q: Eq + Hash + ?Sized,
{
    if known.len() < REMEMBERED || known.contains_key(new) {
        return;
    }
    let mut times: Vec<Timestamp> = known.values().map(&used).collect();
    let (_, bound, _) = times.select_nth_unstable(REMEMBERED / 8);
    let bound = *bound;
    known.retain(|_, value| used(value) > bound);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn wait(attempts: &Attempts, name: &str, from: Option<&str>, now: i64) -> Option<i64> {
        let from = from.map(|from| from.parse().unwrap());
        attempts.begin(name, from, at(now)).err().map(|wait| wait.as_secs())
    }

    #[test]
    fn a_name_that_is_tried_wrongly_is_locked_for_ever_longer_up_to_five_minutes() {
        let attempts = Attempts::default();
        let mut now = 0;
        let mut waits = Vec::new();
        for _ in 0..16 {
            match wait(&attempts, "ann", None, now) {
                None => {}
                Some(seconds) => {
                    waits.push(seconds);
                    now += seconds;
                    assert_eq!(wait(&attempts, "ann", None, now), None);
                }
            }
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(wait(&attempts, "bob", None, now), None, "others don't wait");
        assert_eq!(wait(&attempts, "ann", None, now + 31 * 60), None);
        assert_eq!(wait(&attempts, "ann", None, now + 31 * 60), None, "what is long ago is forgotten");
    }

    #[test]
    fn the_right_password_makes_the_wrong_ones_forgotten() {
        let attempts = Attempts::default();
        for _ in 0..3 {
            for _ in 0..5 {
                assert_eq!(wait(&attempts, "ann", None, 0), None);
            }
            attempts.succeeded("ann");
        }
    }

    #[test]
    fn an_address_has_thirty_tries_and_gets_one_back_every_two_seconds() {
        let attempts = Attempts::default();
        let try_next = |number: i64, now| wait(&attempts, &format!("user{number}"), Some("192.0.2.1"), now);
        assert!((0..30).all(|number| try_next(number, 0).is_none()));
        assert_eq!(try_next(30, 0), Some(2));
        assert_eq!(wait(&attempts, "user31", Some("192.0.2.2"), 0), None);
        assert_eq!(try_next(30, 2), None);
        assert_eq!(try_next(31, 2), Some(2));
        assert!((40..70).all(|number| try_next(number, 1_000).is_none()));
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        let attempts = Attempts::default();
        for number in 0..30 {
            let from = format!("2001:db8::{number:x}");
            assert_eq!(wait(&attempts, &format!("user{number}"), Some(&from), 0), None);
        }
        assert_eq!(wait(&attempts, "user30", Some("2001:db8::ffff"), 0), Some(2));
        assert_eq!(wait(&attempts, "user31", Some("2001:db8:0:1::1"), 0), None);
    }

    #[test]
    fn names_that_no_user_can_have_take_no_room() {
        let attempts = Attempts::default();
        for number in 0..4 {
            assert_eq!(wait(&attempts, &format!("{number}{}", "x".repeat(8_000)), None, 0), None);
        }
        assert!(attempts.0.lock().unwrap().names.keys().map(String::len).sum::<usize>() <= LONGEST_NAME);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_the_newest_is_kept() {
        let attempts = Attempts::default();
        for number in 0..(REMEMBERED as i64 + 10) {
            assert_eq!(wait(&attempts, &format!("user{number}"), None, number), None);
        }
        let names = &attempts.0.lock().unwrap().names;
        assert!(names.len() <= REMEMBERED, "{}", names.len());
        assert!(names.contains_key(&format!("user{}", REMEMBERED + 9)) && !names.contains_key("user0"));
    }
}
