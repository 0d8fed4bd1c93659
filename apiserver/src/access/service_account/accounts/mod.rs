//! Decides whether a service account's token still counts: it was signed here, its time has come and not gone, and
//! what it is bound to is still there.

use std::sync::Arc;

use apiserver_store::{Entry, Key, ResourceId, Storage};
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use uuid::Uuid;

use super::claims::{Bound, Claims, Reference};
use super::{groups, user};
use crate::access::Identity;
use crate::access::authenticate::Found;
use crate::access::signing::{self, Signer};
use crate::clock::Clock;

/// Clocks of apiservers differ a little.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);
/// How long a token outlives the beginning of its account's deletion, so that what ends with it can still say so.
const GRACE: SignedDuration = SignedDuration::from_secs(60);

/// Tells which token it was, as upstream does.
pub(crate) const CREDENTIAL: &str = "authentication.kubernetes.io/credential-id";

/// The service accounts of an installation, with the key that makes and proves their tokens.
pub(crate) struct Accounts {
    storage: Storage,
    clock: Arc<dyn Clock>,
    signer: Arc<Signer>,
    proven: signing::Proven<Proven>,
}

/// A token whose signature is good.
struct Proven {
    claims: Claims,
    identity: Arc<Identity>,
}

impl Accounts {
    pub(crate) fn new(signer: Arc<Signer>, storage: Storage, clock: Arc<dyn Clock>) -> Self {
        Self { storage, clock, signer, proven: signing::Proven::default() }
    }

    /// Makes a token. `None` where the key can't sign.
    pub(crate) fn issue(&self, wish: Wish) -> Option<String> {
        let Wish { namespace, account, secret, audiences, begins, ends, id } = wish;
        let claims = Claims {
            aud: audiences,
            exp: ends.as_second(),
            iat: begins.as_second(),
            iss: self.signer.issuers.issuer().to_owned(),
            jti: id,
            nbf: begins.as_second(),
            sub: user(&namespace, &account.name),
            bound: Bound { namespace, secret, serviceaccount: account },
        };
        self.signer.sign(&claims, "JWT")
    }

    /// Whose a token is, if it counts for one of the audiences that are asked for (this API if there are none).
    ///
    /// # Errors
    /// Why it doesn't, in upstream's words; `None` for what is no token of a service account of ours.
    pub(crate) async fn owner(&self, token: &str, asked: &[String]) -> Result<Found, Option<String>> {
        let proven = self.prove(token).ok_or(None)?;
        let Claims { aud, exp, nbf, bound, .. } = &proven.claims;
        let asked = if asked.is_empty() { self.signer.issuers.names() } else { asked };
        let audiences: Vec<String> = aud.iter().filter(|audience| asked.contains(audience)).cloned().collect();
        if audiences.is_empty() {
            let (of, asked) = (listed(aud), listed(asked));
            return Err(Some(format!("token audiences {of} is invalid for the target audiences {asked}")));
        }
        let now = self.clock.now();
        if now.as_second() >= *exp {
            return Err(Some("service account token has expired".to_owned()));
        }
        if (now + LEEWAY).as_second() < *nbf {
            return Err(Some("service account token is not valid yet".to_owned()));
        }
        let Bound { namespace, secret, serviceaccount: account } = bound;
        match self.find("serviceaccounts", namespace, account, now).await {
            Bind::There => {}
            Bind::Missing => return Err(Some(format!("serviceaccounts {:?} not found", account.name))),
            Bind::Deleted => {
                return Err(Some(format!("service account {namespace}/{} has been deleted", account.name)));
            }
            Bind::Another(uid) => {
                return Err(Some(format!("service account UID ({uid}) does not match claim ({})", account.uid)));
            }
        }
        if let Some(secret) = secret {
            match self.find("secrets", namespace, secret, now).await {
                Bind::There => {}
                Bind::Missing | Bind::Deleted => {
                    return Err(Some("service account token has been invalidated".to_owned()));
                }
                Bind::Another(uid) => {
                    let claim = &secret.uid;
                    let why = format!("secret UID ({uid}) does not match service account secret ref claim ({claim})");
                    return Err(Some(why));
                }
            }
        }
        Ok(Found { identity: Arc::clone(&proven.identity), audiences })
    }

    fn prove(&self, token: &str) -> Option<Arc<Proven>> {
        self.proven.of(self.signer.revision(), token, || {
            let claims: Claims = self.signer.read(token)?;
            let Bound { namespace, serviceaccount, .. } = &claims.bound;
            let user = user(namespace, &serviceaccount.name);
            if claims.sub != user {
                return None;
            }
            let mut identity = Identity::new(user, groups(namespace));
            identity.uid.clone_from(&serviceaccount.uid);
            identity.extra.insert(CREDENTIAL.to_owned(), vec![format!("JTI={}", claims.jti)]);
            Some(Proven { claims, identity: Arc::new(identity) })
        })
    }

    /// Whether the very object that a token is bound to is still there.
    async fn find(&self, plural: &str, namespace: &str, bound: &Reference, now: Timestamp) -> Bind {
        let key = Key::new(ResourceId::new("", plural), namespace, &bound.name);
        let mut found = self.storage.get(&key);
        if found.as_ref().is_none_or(|entry| entry.uid.to_string() != bound.uid) {
            // Another apiserver may have made it just now.
            let _stays_unknown = self.storage.fresh().await;
            found = self.storage.get(&key);
        }
        match found {
            None => Bind::Missing,
            Some(entry) if is_gone(&entry, now) => Bind::Deleted,
            Some(entry) if entry.uid.to_string() != bound.uid => Bind::Another(entry.uid),
            Some(_) => Bind::There,
        }
    }
}

/// What has the name of an object that a token is bound to.
enum Bind {
    There,
    Missing,
    /// It, or another, that is about to go.
    Deleted,
    Another(Uuid),
}

/// Texts as Go writes them with `%q`.
fn listed(texts: &[String]) -> String {
    let quoted: Vec<String> = texts.iter().map(|text| format!("{text:?}")).collect();
    format!("[{}]", quoted.join(" "))
}

/// Whether the deletion of an object began more than a moment ago.
fn is_gone(entry: &Entry, now: Timestamp) -> bool {
    const WORD: &[u8] = b"\"deletionTimestamp\"";
    // Nearly no object has it: parsing is only for those that mention it.
    if !entry.body.windows(WORD.len()).any(|window| window == WORD) {
        return false;
    }
    let object = entry.value();
    let began = object.pointer("/metadata/deletionTimestamp").and_then(Value::as_str);
    began.and_then(|began| began.parse::<Timestamp>().ok()).is_some_and(|began| now.duration_since(began) > GRACE)
}

/// A token to be made.
pub(crate) struct Wish {
    pub(crate) namespace: String,
    pub(crate) account: Reference,
    /// A secret that the token lives and dies with, too.
    pub(crate) secret: Option<Reference>,
    pub(crate) audiences: Vec<String>,
    pub(crate) begins: Timestamp,
    pub(crate) ends: Timestamp,
    pub(crate) id: String,
}

#[cfg(test)]
mod tests;
