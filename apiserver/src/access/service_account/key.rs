//! The key that tokens of service accounts and of users are signed with. Every apiserver of an installation has the same.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData};
use sha2::{Digest, Sha256};

/// A P-256 key, private part and all.
pub struct ServiceAccountKey {
    pair: KeyPair,
    /// Tells keys apart, in the header of a token.
    id: String,
}

/// The text holds no key that tokens can be signed with.
#[derive(Debug, thiserror::Error)]
#[error("no P-256 key in PKCS #8")]
pub struct UnusableKey;

impl ServiceAccountKey {
    /// A new key, which nobody else has.
    ///
    /// # Panics
    /// Where the operating system has no random numbers.
    #[must_use]
    pub fn generate() -> Self {
        Self::of(KeyPair::generate().expect("the operating system has random numbers"))
    }

    /// Reads what [`ServiceAccountKey::to_pem`] wrote.
    ///
    /// # Errors
    /// For what is no such key.
    pub fn from_pem(pem: &str) -> Result<Self, UnusableKey> {
        let pair = KeyPair::from_pem(pem).map_err(|_| UnusableKey)?;
        if !pair.is_compatible(&PKCS_ECDSA_P256_SHA256) {
            return Err(UnusableKey);
        }
        Ok(Self::of(pair))
    }

    /// The private key as text: to be kept where only its owner reads it.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.pair.serialize_pem()
    }

    fn of(pair: KeyPair) -> Self {
        let id = URL_SAFE_NO_PAD.encode(Sha256::digest(pair.subject_public_key_info()));
        Self { pair, id }
    }

    pub(in crate::access) fn id(&self) -> &str {
        &self.id
    }

    /// The public key, as a point that isn't compressed.
    pub(in crate::access) fn point(&self) -> &[u8] {
        self.pair.public_key_raw()
    }

    pub(in crate::access) fn signing(&self) -> EncodingKey {
        EncodingKey::from_ec_der(self.pair.serialized_der())
    }

    pub(in crate::access) fn proving(&self) -> DecodingKey {
        DecodingKey::from_ec_der(self.pair.public_key_raw())
    }
}

impl fmt::Debug for ServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceAccountKey").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_survives_being_written_down_and_is_not_shown() {
        let key = ServiceAccountKey::generate();
        let again = ServiceAccountKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(again.id(), key.id());
        assert_ne!(ServiceAccountKey::generate().id(), key.id());
        assert_eq!(format!("{key:?}"), format!("ServiceAccountKey {{ id: {:?}, .. }}", key.id()));
    }

    #[test]
    fn other_keys_are_refused() {
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        assert!(ServiceAccountKey::from_pem(&other.serialize_pem()).is_err());
        assert!(ServiceAccountKey::from_pem("nonsense").is_err());
    }
}
