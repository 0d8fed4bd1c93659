//! How tokens are signed and read: JWTs signed with ES256, by whichever key signs at the moment. What they say is others' to
//! judge.

mod keys;
mod proven;
mod rotate;

use std::sync::Arc;

use apiserver_store::{Key, ResourceId, Revision, Storage};
use arc_swap::ArcSwap;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, Header, Validation};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::users::records;
use super::{ServiceAccountIssuers, ServiceAccountKey};
use crate::clock::Clock;

pub(crate) use keys::{CACHED, Keys, Old, TooMany};
pub(crate) use proven::Proven;
pub(crate) use rotate::NotRotated;

/// Where the keys are, once the first was replaced.
pub(crate) fn resource() -> ResourceId {
    ResourceId::new("internal.thecloud.dev", "signingkeys")
}

fn key() -> Key {
    Key::new(resource(), "", "shared")
}

/// The keys that sign tokens and prove them, as the store has them.
pub(crate) struct Signer {
    storage: Storage,
    clock: Arc<dyn Clock>,
    first: Arc<Keys>,
    key: Key,
    known: ArcSwap<Keys>,
    /// By which names tokens go.
    pub(crate) issuers: Arc<ServiceAccountIssuers>,
}

impl Signer {
    /// `first` signs as long as the store has no other.
    pub(crate) fn new(
        first: &ServiceAccountKey,
        issuers: Arc<ServiceAccountIssuers>,
        storage: Storage,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let first = Arc::new(Keys::first(first));
        Self { storage, clock, known: ArcSwap::new(Arc::clone(&first)), first, key: key(), issuers }
    }

    /// The keys as they are now.
    pub(crate) fn keys(&self) -> Arc<Keys> {
        let entry = self.storage.get(&self.key);
        let known = self.known.load();
        if known.revision == entry.as_ref().map_or(Revision::ZERO, |entry| entry.revision) {
            return Arc::clone(&known);
        }
        let Some(entry) = entry else { return Arc::clone(&self.first) };
        let kept = records::read(&entry);
        let keys = kept.and_then(|kept| Keys::of(entry.revision, kept).ok()).unwrap_or_else(|| {
            tracing::error!("the keys that sign tokens can't be read, so no token counts until they are rotated");
            Keys::none(entry.revision)
        });
        let keys = Arc::new(keys);
        self.known.store(Arc::clone(&keys));
        keys
    }

    /// The revision of the keys: what others have proven may count no more.
    pub(crate) fn revision(&self) -> Revision {
        self.storage.get(&self.key).map_or(Revision::ZERO, |entry| entry.revision)
    }

    /// A token of a type that says this. `None` where no key can sign.
    pub(crate) fn sign(&self, claims: &impl Serialize, typ: &str) -> Option<String> {
        self.keys().sign(claims, typ, self.clock.now())
    }

    /// What a token says, if it was signed here and says it in this form. When and for whom it counts is not looked at.
    pub(crate) fn read<C: DeserializeOwned>(&self, token: &str) -> Option<C> {
        self.keys().read(token, &self.issuers, self.clock.now())
    }
}

impl Keys {
    /// A token of a type that says this, signed now.
    pub(crate) fn sign(&self, claims: &impl Serialize, typ: &str, now: Timestamp) -> Option<String> {
        let key = self.signing(now)?;
        let header =
            Header { kid: Some(key.id().to_owned()), typ: Some(typ.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, claims, &key.signing).ok()
    }

    /// What a token of one of the issuers says that is proven now.
    pub(crate) fn read<C: DeserializeOwned>(
        &self,
        token: &str,
        issuers: &ServiceAccountIssuers,
        now: Timestamp,
    ) -> Option<C> {
        let id = jsonwebtoken::decode_header(token).ok()?.kid?;
        let key = self.proving(&id, now)?;
        let mut rules = Validation::new(Algorithm::ES256);
        // The clock is ours to ask, and so is the audience.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.set_issuer(issuers.names());
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        jsonwebtoken::decode(token, &key.proving, &rules).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use apiserver_store::StorageOptions;
    use apiserver_store::memory::MemoryStore;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::EncodingKey;
    use serde_json::{Value, json};

    use super::*;
    use crate::access::SERVICE_ACCOUNT_ISSUER;
    use crate::clock::SystemClock;

    fn claims() -> Value {
        json!({"iss": SERVICE_ACCOUNT_ISSUER, "sub": "ann", "exp": 2})
    }

    async fn signer() -> Signer {
        let store = Arc::new(MemoryStore::new(uuid::Uuid::nil()));
        let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
        Signer::new(&ServiceAccountKey::generate(), Arc::default(), storage, Arc::new(SystemClock))
    }

    #[tokio::test]
    async fn only_the_key_that_signed_a_token_proves_it() {
        let (signer, other) = (signer().await, signer().await);
        let token = signer.sign(&claims(), "JWT").unwrap();
        assert_eq!(signer.read(&token), Some(claims()));
        assert_eq!(other.read::<Value>(&token), None);
    }

    #[tokio::test]
    async fn a_token_that_was_tampered_with_is_none() {
        let signer = signer().await;
        let token = signer.sign(&claims(), "JWT").unwrap();
        let keys = signer.keys();
        let key = keys.signing(SystemClock.now()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let raised = json!({"iss": SERVICE_ACCOUNT_ISSUER, "sub": "ann", "exp": 9_999_999_999_i64});
        let body = URL_SAFE_NO_PAD.encode(raised.to_string());
        let unsigned = URL_SAFE_NO_PAD.encode(json!({"alg": "none", "kid": key.id()}).to_string());
        // The public key as the secret of another algorithm is an old trick.
        let symmetric = jsonwebtoken::encode(
            &Header { kid: Some(key.id().to_owned()), ..Header::new(Algorithm::HS256) },
            &raised,
            &EncodingKey::from_secret(key.proving.try_get_as_bytes().unwrap()),
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

    #[tokio::test]
    async fn another_issuers_token_is_none() {
        let signer = signer().await;
        let token = signer.sign(&json!({"iss": "https://elsewhere", "sub": "ann", "exp": 2}), "JWT").unwrap();
        assert_eq!(signer.read::<Value>(&token), None);
    }
}
