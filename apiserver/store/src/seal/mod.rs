//! Encrypts the bodies of secret resources before a database sees them, and opens them again.
//!
//! AES-256-GCM with a random nonce. The address and identity of the object are authenticated with it, so that a
//! sealed body moved to another object does not open. Never logs or formats a key or what it protects.

mod envelope;
mod key_file;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use aes_gcm::aead::{Aead, Generate, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::Key;

pub use key_file::load_or_create_keys;

const CHECK: &[u8] = b"the cloud seal check";

/// A 256-bit key.
#[derive(Clone)]
pub struct SealKey {
    bytes: [u8; 32],
}

impl SealKey {
    /// A new random key.
    pub fn generate() -> SealKey {
        SealKey { bytes: aes_gcm::Key::<Aes256Gcm>::generate().into() }
    }

    /// The key with these bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> SealKey {
        SealKey { bytes }
    }

    /// Reads one line of a key file.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<SealKey, &'static str> {
        key_file::parse(text)
    }

    /// Reads the keys of a key file, one a line: the oldest first, at least one.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse_all(text: &str) -> Result<Vec<SealKey>, &'static str> {
        key_file::parse_all(text)
    }

    /// The line of a key file.
    pub fn to_text(&self) -> String {
        key_file::text(self)
    }

    /// Names the key in envelopes and messages without telling anything about it.
    pub fn id(&self) -> KeyId {
        let mut digest = Sha256::new();
        digest.update(b"the cloud seal key id\0");
        digest.update(self.bytes);
        let mut id = [0; 8];
        id.copy_from_slice(&digest.finalize()[..8]);
        KeyId(id)
    }
}

impl fmt::Debug for SealKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealKey({})", self.id())
    }
}

/// The name of a [`SealKey`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 8]);

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

/// Seals with one key and opens with that and others.
#[derive(Clone)]
pub struct Sealer {
    /// The newest is the last.
    keys: Arc<Vec<(KeyId, Aes256Gcm)>>,
    /// The place of the one that seals.
    sealing: usize,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids: Vec<String> = self.known().map(|id| id.to_string()).collect();
        write!(formatter, "Sealer({} of {})", self.key_id(), ids.join(", "))
    }
}

impl Sealer {
    /// Seals and opens with `key`.
    pub fn new(key: &SealKey) -> Sealer {
        Sealer { keys: Arc::new(vec![named_cipher(key)]), sealing: 0 }
    }

    /// Opens with any of these keys, and seals with the last, the newest; `None` if there is none.
    pub fn of_all(keys: &[SealKey]) -> Option<Sealer> {
        let sealing = keys.len().checked_sub(1)?;
        Some(Sealer { keys: Arc::new(keys.iter().map(named_cipher).collect()), sealing })
    }

    /// The same keys, of which another one seals; `None` if it is none of them.
    pub(crate) fn sealing_with(&self, id: KeyId) -> Option<Sealer> {
        let sealing = self.known().position(|known| known == id)?;
        Some(Sealer { keys: Arc::clone(&self.keys), sealing })
    }

    /// The name of the key that this seals with.
    pub fn key_id(&self) -> KeyId {
        self.keys[self.sealing].0
    }

    /// The names of all keys, the newest last.
    pub(crate) fn known(&self) -> impl DoubleEndedIterator<Item = KeyId> + ExactSizeIterator {
        self.keys.iter().map(|(id, _)| *id)
    }

    /// The name of the newest key.
    pub(crate) fn newest(&self) -> KeyId {
        self.keys[self.keys.len() - 1].0
    }

    /// Whether this key, and no other one, has sealed these bytes.
    pub(crate) fn has_sealed(&self, bytes: &[u8]) -> bool {
        sealed_by(bytes) == Some(self.key_id())
    }

    /// Seals the body of an object.
    pub fn seal(&self, key: &Key, uid: Uuid, plain: &[u8]) -> Vec<u8> {
        self.encrypt(plain, associated_data(key, uid).as_bytes())
    }

    /// Opens what [`Sealer::seal`] made for the same object.
    pub fn open(&self, key: &Key, uid: Uuid, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        self.decrypt(sealed, associated_data(key, uid).as_bytes())?
            .ok_or_else(|| SealError::Altered { object: key.to_string() })
    }

    /// A value that opens only with the right key and for this installation; kept beside the data.
    pub(crate) fn make_check(&self, installation: Uuid) -> Vec<u8> {
        self.encrypt(CHECK, check_data(installation).as_bytes())
    }

    /// The same keys, of which that seals which has made `check`.
    ///
    /// # Errors
    /// It was made with none of them.
    pub(crate) fn present(&self, installation: Uuid, check: &[u8]) -> Result<Sealer, SealError> {
        self.verify_check(installation, check)?;
        Ok(sealed_by(check).and_then(|id| self.sealing_with(id)).expect("what has opened it is known"))
    }

    /// Refuses unless `check` was made with one of the keys.
    fn verify_check(&self, installation: Uuid, check: &[u8]) -> Result<(), SealError> {
        let opened = match self.decrypt(check, check_data(installation).as_bytes()) {
            Ok(opened) => opened,
            Err(SealError::UnknownKey { key }) => {
                let given: Vec<String> = self.known().map(|id| id.to_string()).collect();
                return Err(SealError::WrongKey { given: given.join("`, `"), needed: key });
            }
            Err(other) => return Err(other),
        };
        match opened.as_deref() {
            Some(CHECK) => Ok(()),
            _ => Err(SealError::Altered { object: "the seal check".to_owned() }),
        }
    }

    fn encrypt(&self, plain: &[u8], associated: &[u8]) -> Vec<u8> {
        let (id, cipher) = &self.keys[self.sealing];
        let nonce = Nonce::generate();
        let payload = Payload { msg: plain, aad: associated };
        let sealed = cipher.encrypt(&nonce, payload).expect("encryption fails only past 64 GiB");
        envelope::write(id.0, nonce.into(), &sealed)
    }

    /// `None`: the key is right, the content is not what it sealed.
    fn decrypt(&self, sealed: &[u8], associated: &[u8]) -> Result<Option<Vec<u8>>, SealError> {
        let envelope = envelope::read(sealed)?;
        let id = KeyId(envelope.key_id);
        let Some((_, cipher)) = self.keys.iter().find(|(known, _)| *known == id) else {
            return Err(SealError::UnknownKey { key: id.to_string() });
        };
        let payload = Payload { msg: envelope.sealed, aad: associated };
        Ok(cipher.decrypt(&envelope.nonce.into(), payload).ok())
    }
}

fn named_cipher(key: &SealKey) -> (KeyId, Aes256Gcm) {
    (key.id(), Aes256Gcm::new(&key.bytes.into()))
}

/// Whether `body` is in an envelope. JSON never is.
pub fn is_sealed(body: &[u8]) -> bool {
    body.starts_with(envelope::MAGIC)
}

/// The name of the key that has sealed `body`; `None` if it is not sealed.
pub(crate) fn sealed_by(body: &[u8]) -> Option<KeyId> {
    envelope::key_id(body).map(KeyId)
}

fn associated_data(key: &Key, uid: Uuid) -> String {
    let Key { resource, namespace, name } = key;
    format!("{}/{}/{namespace}/{name}/{uid}", resource.group, resource.plural)
}

fn check_data(installation: Uuid) -> String {
    format!("seal-check/{installation}")
}

/// Why something could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store was sealed with another key.
    #[error(
        "the store is sealed with the key `{needed}`, not with the given key `{given}`: give the key that belongs to \
         this store"
    )]
    WrongKey {
        /// The key that was offered.
        given: String,
        /// The key that the store was sealed with.
        needed: String,
    },
    /// There are sealed resources or a sealed store, and no key.
    #[error("the store holds sealed objects and no key was given")]
    NoKey,
    /// One object is sealed with a key that is not there.
    #[error("sealed with the key `{key}`, which is not among the given ones")]
    UnknownKey {
        /// The missing key.
        key: String,
    },
    /// The sealed bytes, or the object that they belong to, are not the original ones.
    #[error("the sealed content of `{object}` was altered or belongs to another object")]
    Altered {
        /// Where it was found.
        object: String,
    },
    /// What should be an envelope is not.
    #[error("the envelope of a sealed object is malformed: {reason}")]
    Envelope {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// The key file cannot be read or made.
    #[error("failed to {step} the key file `{path}`")]
    KeyFile {
        /// What was tried.
        step: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The key file holds something else.
    #[error("the key file `{path}` does not hold a key: {reason}")]
    KeyFileMalformed {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Others can read the key file.
    #[error("the key file `{path}` has mode {mode:04o}, so that others can read it: set it to 0600")]
    KeyFileExposed {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ResourceId;

    fn key(name: &str) -> Key {
        Key::new(ResourceId::new("", "secrets"), "default", name)
    }

    #[test]
    fn sealed_body_opens_for_the_same_object_only() {
        let sealer = Sealer::new(&SealKey::generate());
        let uid = Uuid::from_u128(1);
        let sealed = sealer.seal(&key("a"), uid, b"{\"hush\":1}");
        assert!(is_sealed(&sealed));
        assert!(!sealed.windows(4).any(|window| window == b"hush"));
        assert_eq!(sealer.open(&key("a"), uid, &sealed).unwrap(), b"{\"hush\":1}");
        assert!(matches!(sealer.open(&key("b"), uid, &sealed), Err(SealError::Altered { .. })));
        assert!(matches!(sealer.open(&key("a"), Uuid::from_u128(2), &sealed), Err(SealError::Altered { .. })));
    }

    #[test]
    fn same_body_is_sealed_differently_each_time() {
        let sealer = Sealer::new(&SealKey::generate());
        let seal = || sealer.seal(&key("a"), Uuid::nil(), b"same");
        assert_ne!(seal(), seal());
    }

    #[test]
    fn every_flipped_bit_is_noticed() {
        let sealer = Sealer::new(&SealKey::generate());
        let sealed = sealer.seal(&key("a"), Uuid::nil(), b"body");
        for place in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[place] ^= 1;
            assert!(sealer.open(&key("a"), Uuid::nil(), &altered).is_err(), "byte {place}");
        }
        for length in 0..sealed.len() {
            assert!(sealer.open(&key("a"), Uuid::nil(), &sealed[..length]).is_err());
        }
    }

    #[test]
    fn older_key_still_opens() {
        let (old, new) = (SealKey::generate(), SealKey::generate());
        let sealed = Sealer::new(&old).seal(&key("a"), Uuid::nil(), b"body");
        let rotated = Sealer::of_all(&[old, new.clone()]).unwrap();
        assert_eq!(rotated.open(&key("a"), Uuid::nil(), &sealed).unwrap(), b"body");
        assert!(matches!(Sealer::new(&new).open(&key("a"), Uuid::nil(), &sealed), Err(SealError::UnknownKey { .. })));
    }

    #[test]
    fn check_tells_a_wrong_key() {
        let installation = Uuid::from_u128(5);
        let sealer = Sealer::new(&SealKey::generate());
        let check = sealer.make_check(installation);
        sealer.verify_check(installation, &check).unwrap();
        let other = Sealer::new(&SealKey::generate());
        let error = other.verify_check(installation, &check).unwrap_err();
        assert!(matches!(error, SealError::WrongKey { .. }), "{error}");
        assert!(sealer.verify_check(Uuid::from_u128(6), &check).is_err());
    }

    #[test]
    fn debug_output_holds_no_key() {
        let key = SealKey::from_bytes([0xab; 32]);
        let text = format!("{key:?} {:?}", Sealer::new(&key));
        assert!(!text.contains("abab") && !text.contains("171, 171"), "{text}");
    }
}
