//! How passwords are hashed and checked: argon2id, on threads of its own, a few at a time, so that nobody who logs in
//! keeps other requests waiting. Never keeps or logs a password.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use argon2::{Algorithm, Argon2, Params, Version};
use tokio::sync::Semaphore;

/// What it costs to try a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PasswordCost {
    /// KiB of memory.
    pub memory: u32,
    /// How often that is gone through.
    pub passes: u32,
}

impl Default for PasswordCost {
    /// More than the 19 MiB and two passes that OWASP asks for at least, and about a tenth of a second.
    fn default() -> Self {
        Self { memory: 32 << 10, passes: 2 }
    }
}

impl PasswordCost {
    /// For tests: as cheap as the algorithm allows.
    #[must_use]
    pub fn least() -> Self {
        Self { memory: Params::MIN_M_COST, passes: Params::MIN_T_COST }
    }
}

/// A password that somebody typed. It is never shown.
#[derive(Clone, serde::Deserialize)]
#[serde(transparent)]
pub(crate) struct Password(String);

impl Password {
    /// What is wrong with it as a new one of a user; `None` where nothing is.
    pub(crate) fn problem(&self, user: &str) -> Option<&'static str> {
        match self.0.chars().count() {
            ..SHORTEST => Some("a password has at least 12 letters"),
            _ if self.0.len() > LONGEST => Some("a password has at most 256 bytes"),
            _ if self.0.trim().eq_ignore_ascii_case(user) => Some("a password is another than the user's name"),
            _ => None,
        }
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(..)")
    }
}

const SHORTEST: usize = 12;
/// Bytes; longer ones are nobody's, and are not hashed.
const LONGEST: usize = 256;
/// Passwords that wait for their turn.
const QUEUE: usize = 32;

/// Whether a password is the right one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Wrong,
    Right,
    /// Right, but hashed at another cost than now: to be hashed anew.
    Outdated,
}

/// Too many passwords wait to be looked at.
#[derive(Debug)]
pub(super) struct Busy;

/// Hashes passwords.
pub(super) struct Hasher {
    argon: Argon2<'static>,
    /// Takes as long as anybody's.
    dummy: Arc<str>,
    turns: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// KiB that hashes were computed over so far.
    #[cfg(test)]
    pub(super) computed: Arc<AtomicUsize>,
}

impl Hasher {
    pub(super) fn new(cost: PasswordCost) -> Self {
        let params = Params::new(cost.memory, cost.passes, 1, None).expect("the cost is within the algorithm's bounds");
        let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
        // A hash of nothing that anybody knows, made without its cost.
        let dummy = PasswordHash {
            hash: Some(argon2::password_hash::phc::Output::new(&rand::random::<[u8; 32]>()).expect("32 bytes fit")),
            ..Argon2::new(Algorithm::Argon2id, Version::V0x13, least())
                .hash_password(b"")
                .expect("the operating system has random numbers")
        };
        let dummy = PasswordHash { params: argon.params().try_into().expect("the cost can be written"), ..dummy };
        let half = std::thread::available_parallelism().map_or(1, |cores| (cores.get() / 2).max(1));
        Self {
            argon,
            dummy: dummy.to_string().into(),
            turns: Arc::new(Semaphore::new(half)),
            waiting: AtomicUsize::new(0),
            #[cfg(test)]
            computed: Arc::default(),
        }
    }

    /// The hash of a password, with all that is needed to check it.
    pub(super) async fn hash(&self, password: &Password) -> Result<String, Busy> {
        let (argon, password) = (self.argon.clone(), password.clone());
        self.in_turn(move || {
            let hash = argon.hash_password(password.0.as_bytes());
            hash.expect("the operating system has random numbers and the password is short").to_string()
        })
        .await
    }

    /// Compares a password with a hash. Without one it takes the same time, and is wrong.
    pub(super) async fn check(&self, password: &Password, hash: Option<&str>) -> Result<Verdict, Busy> {
        let (argon, password) = (self.argon.clone(), password.clone());
        let is_known = hash.is_some();
        let hash: Arc<str> = hash.map_or_else(|| Arc::clone(&self.dummy), Arc::from);
        #[cfg(test)]
        let computed = Arc::clone(&self.computed);
        self.in_turn(move || {
            let Ok(kept) = PasswordHash::new(&hash) else { return Verdict::Wrong };
            #[cfg(test)]
            computed.fetch_add(Params::try_from(&kept).map_or(0, |params| params.m_cost() as usize), Ordering::Relaxed);
            let fits = password.0.len() <= LONGEST && argon.verify_password(password.0.as_bytes(), &kept).is_ok();
            match (fits && is_known, Params::try_from(&kept)) {
                (false, _) => Verdict::Wrong,
                (true, Ok(params)) if cost(&params) == cost(argon.params()) => Verdict::Right,
                (true, _) => Verdict::Outdated,
            }
        })
        .await
    }

    async fn in_turn<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        let waiting = Waiting::begin(&self.waiting)?;
        let turn = Arc::clone(&self.turns).acquire_owned().await.map_err(|_| Busy)?;
        drop(waiting);
        let done = tokio::task::spawn_blocking(move || {
            // Held by the work, not by who waits for it: who goes away leaves the thread at work.
            let _turn = turn;
            work()
        });
        done.await.map_err(|_| Busy)
    }
}

fn least() -> Params {
    let PasswordCost { memory, passes } = PasswordCost::least();
    Params::new(memory, passes, 1, None).expect("the least cost is allowed")
}

fn cost(params: &Params) -> (u32, u32, u32) {
    (params.m_cost(), params.t_cost(), params.p_cost())
}

/// A place in the queue.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn begin(count: &'a AtomicUsize) -> Result<Self, Busy> {
        let waiting = Self(count);
        if count.fetch_add(1, Ordering::Relaxed) >= QUEUE { Err(Busy) } else { Ok(waiting) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn password(text: &str) -> Password {
        Password(text.to_owned())
    }

    #[tokio::test]
    async fn a_password_fits_its_hash_and_no_other() {
        let hasher = Hasher::new(PasswordCost::least());
        let hash = hasher.hash(&password("correct horse")).await.unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=8,t=1,p=1$"), "{hash}");
        assert_ne!(hasher.hash(&password("correct horse")).await.unwrap(), hash, "each has a salt of its own");
        assert_eq!(hasher.check(&password("correct horse"), Some(&hash)).await.unwrap(), Verdict::Right);
        assert_eq!(hasher.check(&password("battery staple"), Some(&hash)).await.unwrap(), Verdict::Wrong);
        assert_eq!(hasher.check(&password("correct horse"), None).await.unwrap(), Verdict::Wrong);
        assert_eq!(hasher.check(&password("correct horse"), Some("$nonsense")).await.unwrap(), Verdict::Wrong);
    }

    #[tokio::test]
    async fn a_hash_of_another_cost_is_right_and_to_be_made_anew() {
        let (cheap, dear) = (PasswordCost::least(), PasswordCost { passes: 2, ..PasswordCost::least() });
        let hash = Hasher::new(cheap).hash(&password("correct horse")).await.unwrap();
        let hasher = Hasher::new(dear);
        assert_eq!(hasher.check(&password("correct horse"), Some(&hash)).await.unwrap(), Verdict::Outdated);
        assert_eq!(hasher.check(&password("battery staple"), Some(&hash)).await.unwrap(), Verdict::Wrong);
    }

    #[test]
    fn the_hash_that_stands_for_unknown_users_costs_what_others_cost() {
        let hasher = Hasher::new(PasswordCost { memory: 64, passes: 2 });
        let dummy = PasswordHash::new(&hasher.dummy).unwrap();
        assert_eq!(cost(&Params::try_from(&dummy).unwrap()), (64, 2, 1));
    }

    #[test]
    fn passwords_are_not_shown_and_poor_ones_are_refused() {
        let long = password(&"x".repeat(300));
        assert_eq!(format!("{:?}", password("secret")), "Password(..)");
        assert!(password("too short").problem("ann").is_some());
        assert!(long.problem("ann").is_some());
        assert!(password("Ann-of-Example").problem("ann-of-example").is_some());
        assert_eq!(password("correct horse battery").problem("ann"), None);
    }

    #[tokio::test]
    async fn no_more_wait_than_there_are_places() {
        let hasher = Arc::new(Hasher::new(PasswordCost::least()));
        let held = Arc::clone(&hasher.turns).acquire_many_owned(hasher.turns.available_permits() as u32).await.unwrap();
        let waiting: Vec<_> = (0..QUEUE)
            .map(|_| {
                let hasher = Arc::clone(&hasher);
                tokio::spawn(async move { hasher.check(&password("x"), None).await.is_ok() })
            })
            .collect();
        while hasher.waiting.load(Ordering::Relaxed) < QUEUE {
            tokio::task::yield_now().await;
        }
        assert!(hasher.check(&password("x"), None).await.is_err());
        drop(held);
        for one in waiting {
            assert!(one.await.unwrap());
        }
        assert!(hasher.check(&password("x"), None).await.is_ok());
    }
}
