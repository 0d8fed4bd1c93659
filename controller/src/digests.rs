//! Tells whether a Secret's content is another one, without keeping or showing it: a digest under a key that nobody but
//! the controllers has, so that no value can be guessed by it. The key is in the Secret `controller` of the namespace
//! `thecloud-system` and is made once; a digest names its key, and says nothing under another.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use hmac::{Hmac, KeyInit as _, Mac as _};
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::PostParams;
use kube::{Api, Client};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::host::{NAME, NAMESPACE};
use crate::runtime::failure::is_already_exists;

/// The key of the Secret that the digests' key is at.
const KEY: &str = "digest-key";
/// Between the name of the key and the digest.
const SEPARATOR: char = '-';

/// Makes digests, once the key is known.
#[derive(Default)]
pub(crate) struct Digests(OnceLock<Vec<u8>>);

impl Digests {
    /// Learns the key, which is made when there is none.
    pub(crate) async fn learn(&self, client: &Client) -> Result<(), kube::Error> {
        let api: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
        if let Some(key) = api.get_opt(NAME).await?.and_then(key_of) {
            let _ = self.0.set(key);
            return Ok(());
        }
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let secret = Secret {
            metadata: ObjectMeta { name: Some(NAME.to_owned()), ..ObjectMeta::default() },
            data: Some(BTreeMap::from([(KEY.to_owned(), ByteString(key.clone()))])),
            ..Secret::default()
        };
        let made = match api.create(&PostParams::default(), &secret).await {
            Err(error) if is_already_exists(&error) => api.get_opt(NAME).await?,
            made => Some(made?),
        };
        // One without the key is somebody else's: then digests count until this process ends.
        let _ = self.0.set(made.and_then(key_of).unwrap_or(key));
        Ok(())
    }

    /// The digest of what somebody takes from a Secret; the same content gives another one to anybody else.
    pub(crate) fn of<'a>(
        &self,
        owner: Uuid,
        secret: &str,
        content: impl Iterator<Item = (&'a str, &'a [u8])>,
    ) -> Option<String> {
        let key = self.0.get()?;
        let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
        mac.update(owner.as_bytes());
        let mut add = |part: &[u8]| {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        };
        add(secret.as_bytes());
        for (name, value) in content {
            add(name.as_bytes());
            add(value);
        }
        let digest = mac.finalize().into_bytes();
        let id = Sha256::new_with_prefix("id").chain_update(key).finalize();
        Some(format!("{}{SEPARATOR}{}", hex(&id[..4]), hex(&digest[..16])))
    }
}

/// Whether two digests are of different content: of two under different keys that can't be told.
pub(crate) fn differ(one: &str, other: &str) -> bool {
    one != other && key_id(one) == key_id(other)
}

/// Whether two digests are under the same key.
pub(crate) fn comparable(one: &str, other: &str) -> bool {
    key_id(one) == key_id(other)
}

fn key_id(digest: &str) -> Option<&str> {
    digest.split_once(SEPARATOR).map(|(id, _)| id)
}

fn key_of(secret: Secret) -> Option<Vec<u8>> {
    secret.data?.remove(KEY).map(|bytes| bytes.0).filter(|key| !key.is_empty())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Digests under this key.
    pub(crate) fn under(key: &str) -> Digests {
        Digests(OnceLock::from(key.as_bytes().to_vec()))
    }

    #[test]
    fn the_same_content_gives_the_same_digest_to_the_same_owner_under_the_same_key_only() {
        let digest = |key: &str, owner, secret: &str, content: &[(&str, &str)]| {
            let content = content.iter().map(|(name, value)| (*name, value.as_bytes()));
            under(key).of(Uuid::from_u128(owner), secret, content).unwrap()
        };
        let one = digest("k", 1, "db", &[("a", "hush")]);
        assert_eq!(one, digest("k", 1, "db", &[("a", "hush")]));
        for other in [
            digest("k", 2, "db", &[("a", "hush")]),
            digest("k", 1, "other", &[("a", "hush")]),
            digest("k", 1, "db", &[("a", "loud")]),
            digest("k", 1, "db", &[("ah", "ush")]),
            digest("k", 1, "db", &[]),
        ] {
            assert!(differ(&one, &other), "{other}");
        }
        let elsewhere = digest("l", 1, "db", &[("a", "hush")]);
        assert!(elsewhere != one && !differ(&one, &elsewhere) && !comparable(&one, &elsewhere));
    }

    #[test]
    fn without_a_key_there_is_no_digest() {
        assert_eq!(Digests::default().of(Uuid::nil(), "db", std::iter::empty()), None);
    }
}
