//! Decides which bearer token belongs to whom. Tokens are known by their SHA-256 only, and compared without a hint
//! in time of how much of one was right. It never keeps or logs a token.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::Rng;
use sha2::{Digest, Sha256};

use super::Identity;

/// The SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// The hash of a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Reads what [`fmt::Display`] wrote: 64 hexadecimal digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }

    /// Compares every byte, whatever the first ones were.
    pub(crate) fn is(&self, other: &Self) -> bool {
        let difference = self.0.iter().zip(other.0).fold(0_u8, |seen, (one, two)| seen | (one ^ two));
        std::hint::black_box(difference) == 0
    }
}

impl fmt::Display for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash(..)")
    }
}

/// Who owns which token.
#[derive(Debug, Clone, Default)]
pub struct TokenTable(Vec<(TokenHash, Arc<Identity>)>);

impl TokenTable {
    /// A table without tokens: nobody comes in.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the owner of a token.
    #[must_use]
    pub fn with(mut self, token: TokenHash, owner: Identity) -> Self {
        self.0.push((token, Arc::new(owner)));
        self
    }

    /// The owner of a token. Looks at every entry, whichever fits.
    #[must_use]
    pub fn owner(&self, token: &str) -> Option<&Arc<Identity>> {
        let presented = TokenHash::of(token);
        self.0.iter().fold(None, |found, (hash, owner)| if hash.is(&presented) { Some(owner) } else { found })
    }
}

/// A new token: 256 random bits from the operating system, in letters that fit a header and a file.
#[must_use]
pub fn generate_token() -> String {
    let mut bytes = [0_u8; 32];
    rand::rng().fill_bytes(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_finds_its_owner_and_nothing_else_does() {
        let token = generate_token();
        let table = TokenTable::new()
            .with(TokenHash::of("other"), Identity::new("bob", []))
            .with(TokenHash::of(&token), Identity::master("admin"));
        assert_eq!(table.owner(&token).unwrap().user, "admin");
        assert!(table.owner(&format!("{token}x")).is_none());
        assert!(table.owner("").is_none());
    }

    #[test]
    fn hash_survives_being_written_down() {
        let hash = TokenHash::of("secret");
        assert_eq!(TokenHash::parse(&format!("{hash}\n")), Some(hash));
        assert_eq!(TokenHash::parse("abc"), None);
        assert_eq!(format!("{hash:?}"), "TokenHash(..)");
    }

    #[test]
    fn generated_tokens_are_long_and_different() {
        let (one, two) = (generate_token(), generate_token());
        assert_ne!(one, two);
        assert_eq!(one.len(), 43);
    }
}
