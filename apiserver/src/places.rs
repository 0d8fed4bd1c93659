//! Decides who gets a place: how much is done at the same time, and how much of that for one user, so that nobody who
//! asks for much keeps the others out.
//!
//! In: a user and how many places they need. Out: a [`Place`] for as long as it is held, or why there is none. Nobody
//! waits here.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::access::Identity;
use crate::error::{ApiError, Reason};
use crate::response::retry_later;

/// Users who hold nothing and are remembered all the same.
const REMEMBERED: usize = 256;

/// How many places one user may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Share {
    /// As many as everybody else who is here, and one who may come: a user alone gets half of all.
    Equal,
    /// So many, whoever else is here: for what is held long.
    Fixed(usize),
}

/// A number of places.
#[derive(Debug)]
pub(crate) struct Places {
    all: usize,
    share: Share,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    /// Users who hold at least one.
    present: usize,
    users: HashMap<String, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// All are taken.
    All,
    /// The user holds so many already.
    Share(usize),
}

impl Places {
    pub(crate) fn new(all: usize, share: Share) -> Arc<Self> {
        Arc::new(Self { all, share, taken: Mutex::default() })
    }

    /// Takes places for a user. Who holds none gets what they need if it is there, however small the shares are.
    pub(crate) fn take(self: &Arc<Self>, who: &Arc<Identity>, count: usize) -> Result<Place, Full> {
        let user = &who.user;
        let count = count.min(self.all);
        let mut taken = self.lock();
        let held = taken.users.get(user).copied().unwrap_or(0);
        let newcomer = usize::from(held == 0);
        let share = match self.share {
            Share::Equal => self.all / (taken.present + newcomer + 1),
            Share::Fixed(share) => share,
        };
        if held > 0 && held + count > share {
            return Err(Full::Share(held));
        }
        if taken.all + count > self.all {
            return Err(Full::All);
        }
        taken.all += count;
        taken.present += newcomer;
        match taken.users.get_mut(user) {
            Some(held) => *held += count,
            None => {
                if taken.users.len() >= taken.present + REMEMBERED {
                    taken.users.retain(|_, held| *held > 0);
                }
                taken.users.insert(user.clone(), count);
            }
        }
        Ok(Place { places: Arc::clone(self), who: Arc::clone(who), count })
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Places that are taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    who: Arc<Identity>,
    count: usize,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.all -= self.count;
        let Some(held) = taken.users.get_mut(&self.who.user) else { return };
        *held -= self.count;
        let has_left = *held == 0;
        taken.present -= usize::from(has_left);
    }
}

impl Full {
    /// 429: come back in a moment.
    pub(crate) fn into_error(self, user: &str, what: &str) -> ApiError {
        let message = match self {
            Self::All => "too many requests, please try again later.".to_owned(),
            Self::Share(held) => {
                format!("too many requests, please try again later: user {user:?} has {held} {what} open already.")
            }
        };
        retry_later(Reason::TooManyRequests, &message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> Arc<Identity> {
        Arc::new(Identity::new(name, []))
    }

    fn take(places: &Arc<Places>, name: &str, count: usize) -> Result<Place, Full> {
        places.take(&user(name), count)
    }

    fn fill(places: &Arc<Places>, name: &str) -> Vec<Place> {
        std::iter::from_fn(|| take(places, name, 1).ok()).collect()
    }

    #[test]
    fn user_alone_leaves_room_for_the_next_and_shares_become_equal() {
        let places = Places::new(12, Share::Equal);
        let mut first = fill(&places, "a");
        assert_eq!(first.len(), 6);
        assert_eq!(take(&places, "a", 1).unwrap_err(), Full::Share(6));
        let second = fill(&places, "b");
        assert_eq!(second.len(), 4, "a third of all, as one more may come");
        first.truncate(3);
        assert_eq!(take(&places, "a", 2).unwrap_err(), Full::Share(3));
        assert!(take(&places, "c", 1).is_ok());
        drop((first, second));
        assert_eq!(fill(&places, "b").len(), 6);
    }

    #[test]
    fn who_holds_none_gets_what_is_needed_if_it_is_there() {
        let places = Places::new(8, Share::Equal);
        let large = take(&places, "a", 7).unwrap();
        assert_eq!(take(&places, "a", 1).unwrap_err(), Full::Share(7));
        let last = take(&places, "b", 1).unwrap();
        assert_eq!(take(&places, "c", 1).unwrap_err(), Full::All);
        drop((large, last));
        assert!(take(&places, "c", 100).is_ok(), "nobody needs more than there is");
    }

    #[test]
    fn fixed_share_does_not_depend_on_others() {
        let places = Places::new(10, Share::Fixed(3));
        let held = (fill(&places, "a"), fill(&places, "b"));
        assert_eq!((held.0.len(), held.1.len()), (3, 3));
    }

    #[test]
    fn users_who_left_are_forgotten() {
        let places = Places::new(4, Share::Equal);
        for number in 0..3 * REMEMBERED {
            drop(take(&places, &number.to_string(), 1).unwrap());
        }
        let taken = places.lock();
        assert!(taken.users.len() <= REMEMBERED + 1);
        assert_eq!((taken.all, taken.present), (0, 0));
    }
}
