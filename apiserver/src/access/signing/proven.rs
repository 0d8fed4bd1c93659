//! What tokens say whose signatures were found good, by their hashes: to look again costs more than all the rest.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use apiserver_store::Revision;
use sha2::{Digest, Sha256};

/// How many tokens are remembered as proven.
const REMEMBERED: usize = 1_024;

/// The tokens that are proven by the keys of one revision.
pub(crate) struct Proven<T>(Mutex<Remembered<T>>);

struct Remembered<T> {
    keys: Revision,
    tokens: HashMap<[u8; 32], Arc<T>>,
}

impl<T> Default for Proven<T> {
    fn default() -> Self {
        Self(Mutex::new(Remembered { keys: Revision::ZERO, tokens: HashMap::new() }))
    }
}

impl<T> Proven<T> {
    /// What is remembered of a token, or else what `read` finds in it. Other keys than those of `keys` may have proven
    /// what they prove no more.
    pub(crate) fn of(&self, keys: Revision, token: &str, read: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let remembered = || {
            let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if remembered.keys != keys {
                *remembered = Remembered { keys, tokens: HashMap::new() };
            }
            remembered
        };
        if let Some(proven) = remembered().tokens.get(&hash) {
            return Some(Arc::clone(proven));
        }
        let proven = Arc::new(read()?);
        let mut remembered = remembered();
        if remembered.tokens.len() >= REMEMBERED {
            remembered.tokens.clear();
        }
        remembered.tokens.insert(hash, Arc::clone(&proven));
        Some(proven)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_proven_is_remembered_up_to_a_bound() {
        let proven = Proven::default();
        let of = |number: usize, found| proven.of(Revision(1), &number.to_string(), || found).as_deref().copied();
        for number in 0..=REMEMBERED {
            assert_eq!(of(number, Some(number)), Some(number));
        }
        assert_eq!(of(9_999, None), None);
        assert!(proven.0.lock().unwrap().tokens.len() <= REMEMBERED);
        assert_eq!(of(REMEMBERED, None), Some(REMEMBERED), "it isn't read again");
    }

    #[test]
    fn what_other_keys_have_proven_is_forgotten() {
        let proven = Proven::default();
        assert!(proven.of(Revision(1), "token", || Some(())).is_some());
        assert!(proven.of(Revision(2), "token", || None).is_none());
    }
}
