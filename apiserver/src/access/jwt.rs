//! How tokens are signed and read: JWTs signed with ES256. What they say is others' to judge.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::ServiceAccountKey;
use super::service_account::AUDIENCE;

/// How many tokens are remembered as proven.
const REMEMBERED: usize = 1_024;

/// The key that signs tokens and proves them.
pub(crate) struct Signer {
    key_id: String,
    signing: EncodingKey,
    proving: DecodingKey,
}

impl Signer {
    pub(crate) fn new(key: &ServiceAccountKey) -> Self {
        Self { key_id: key.id().to_owned(), signing: key.signing(), proving: key.proving() }
    }

    /// A token of a type that says this. `None` where the key can't sign.
    pub(crate) fn sign(&self, claims: &impl Serialize, typ: &str) -> Option<String> {
        let header =
            Header { kid: Some(self.key_id.clone()), typ: Some(typ.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &self.signing).ok()
    }

    /// What a token says, if it was signed here and says it in this form. When and for whom it counts is not looked at.
    pub(crate) fn read<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        let mut rules = Validation::new(Algorithm::ES256);
        // The clock is ours to ask, and so is the audience.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.set_issuer(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        jsonwebtoken::decode(token, &self.proving, &rules).ok().map(|token| token.claims)
    }
}

/// What tokens whose signatures were found good say, by their hashes: to look again costs more than all the rest.
pub(crate) struct Proven<T>(Mutex<HashMap<[u8; 32], Arc<T>>>);

impl<T> Default for Proven<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Proven<T> {
    /// What is remembered of a token, or else what `read` finds in it.
    pub(crate) fn of(&self, token: &str, read: impl FnOnce() -> Option<T>) -> Option<Arc<T>> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let remembered = || self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(proven) = remembered().get(&hash) {
            return Some(Arc::clone(proven));
        }
        let proven = Arc::new(read()?);
        let mut remembered = remembered();
        if remembered.len() >= REMEMBERED {
            remembered.clear();
        }
        remembered.insert(hash, Arc::clone(&proven));
        Some(proven)
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use serde_json::{Value, json};

    use super::*;

    fn claims() -> Value {
        json!({"iss": AUDIENCE, "sub": "ann", "exp": 2})
    }

    #[test]
    fn only_the_key_that_signed_a_token_proves_it() {
        let (signer, other) = (ServiceAccountKey::generate(), ServiceAccountKey::generate());
        let (signer, other) = (Signer::new(&signer), Signer::new(&other));
        let token = signer.sign(&claims(), "JWT").unwrap();
        assert_eq!(signer.read(&token), Some(claims()));
        assert_eq!(other.read::<Value>(&token), None);
    }

    #[test]
    fn a_token_that_was_tampered_with_is_none() {
        let key = ServiceAccountKey::generate();
        let signer = Signer::new(&key);
        let token = signer.sign(&claims(), "JWT").unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let raised = json!({"iss": AUDIENCE, "sub": "ann", "exp": 9_999_999_999_i64});
        let body = URL_SAFE_NO_PAD.encode(raised.to_string());
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        // The public key as the secret of another algorithm is an old trick.
        let symmetric = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &raised,
            &EncodingKey::from_secret(key.proving().try_get_as_bytes().unwrap()),
        )
        .unwrap();
        for forged in [
            format!("{}.{body}.{}", parts[0], parts[2]),
            format!("{unsigned}.{body}."),
            format!("{unsigned}.{body}.{}", parts[2]),
            symmetric,
            format!("{}.{}", parts[0], parts[1]),
            "..".to_owned(),
        ] {
            assert_eq!(signer.read::<Value>(&forged), None, "{forged}");
        }
    }

    #[test]
    fn another_issuers_token_is_none() {
        let signer = Signer::new(&ServiceAccountKey::generate());
        let token = signer.sign(&json!({"iss": "https://elsewhere", "sub": "ann", "exp": 2}), "JWT").unwrap();
        assert_eq!(signer.read::<Value>(&token), None);
    }

    #[test]
    fn what_is_proven_is_remembered_up_to_a_bound() {
        let proven = Proven::default();
        for number in 0..=REMEMBERED {
            assert_eq!(proven.of(&number.to_string(), || Some(number)).as_deref(), Some(&number));
        }
        assert_eq!(proven.of("bad", || None), None);
        assert!(proven.0.lock().unwrap().len() <= REMEMBERED);
        assert_eq!(proven.of(&REMEMBERED.to_string(), || None).as_deref(), Some(&REMEMBERED), "it isn't read again");
    }
}
