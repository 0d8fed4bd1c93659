//! The issuer's public keys: fetched when a token needs one that isn't known, at most so often; and now and then, so that one
//! that the issuer has withdrawn counts no more. While the issuer is away the keys that are known go on.

use std::sync::Arc;

use apiserver_store::Revision;
use arc_swap::ArcSwap;
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio_util::task::TaskTracker;

use super::fetch::{FetchError, document};
use crate::clock::Clock;

/// Between two looks at the issuer, whatever tokens come.
const PAUSE: SignedDuration = SignedDuration::from_secs(10);
/// After this the keys are fetched anew.
const FRESH: SignedDuration = SignedDuration::from_secs(3600);

/// The keys of an issuer.
pub(super) struct IssuerKeys {
    issuer: String,
    tls: Arc<ClientConfig>,
    clock: Arc<dyn Clock>,
    known: ArcSwap<Known>,
    /// When the issuer was last asked. Who asks holds it.
    asked: Mutex<Option<Timestamp>>,
}

/// What was fetched last.
#[derive(Default)]
pub(super) struct Known {
    /// Counts what was fetched.
    pub(super) revision: Revision,
    at: Option<Timestamp>,
    keys: Vec<IssuerKey>,
}

struct IssuerKey {
    id: Option<String>,
    algorithm: Algorithm,
    proving: DecodingKey,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("failed to fetch what the issuer says of itself")]
    Discover(#[source] FetchError),
    #[error("failed to fetch the issuer's keys")]
    Fetch(#[source] FetchError),
    #[error("the issuer calls itself `{0}`")]
    Another(String),
    #[error("the issuer names no keys")]
    NoKeys,
}

impl Known {
    /// The keys that may have signed a token of this kind. One without a key's id may be of any.
    pub(super) fn of<'a>(&'a self, id: Option<&'a str>, algorithm: Algorithm) -> impl Iterator<Item = &'a DecodingKey> {
        let fits = move |key: &&IssuerKey| key.algorithm == algorithm && (id.is_none() || key.id.as_deref() == id);
        self.keys.iter().filter(fits).map(|key| &key.proving)
    }
}

impl IssuerKeys {
    pub(super) fn new(issuer: &str, tls: Arc<ClientConfig>, clock: Arc<dyn Clock>) -> Self {
        Self { issuer: issuer.to_owned(), tls, clock, known: ArcSwap::default(), asked: Mutex::new(None) }
    }

    /// The keys that are known now. Old ones are fetched anew meanwhile.
    pub(super) fn known(self: &Arc<Self>, tasks: &TaskTracker) -> Arc<Known> {
        let known = self.known.load_full();
        let is_old = known.at.is_some_and(|at| self.clock.now().duration_since(at) > FRESH);
        if is_old && self.asked.try_lock().is_ok() {
            let (keys, revision) = (Arc::clone(self), known.revision);
            tasks.spawn(async move { keys.newer(revision).await });
        }
        known
    }

    /// Keys that were fetched after those of a revision, if the issuer may be asked again.
    pub(super) async fn newer(&self, than: Revision) -> Arc<Known> {
        let mut asked = self.asked.lock().await;
        let (known, now) = (self.known.load_full(), self.clock.now());
        if known.revision > than || asked.is_some_and(|asked| now.duration_since(asked) < PAUSE) {
            return known;
        }
        *asked = Some(now);
        match self.fetch().await {
            Ok(keys) => {
                let known = Arc::new(Known { revision: known.revision.next(), at: Some(now), keys });
                self.known.store(Arc::clone(&known));
                known
            }
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, issuer = self.issuer, "the keys of the OpenID issuer can't be fetched");
                known
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<IssuerKey>, Failure> {
        let address = format!("{}/.well-known/openid-configuration", self.issuer.trim_end_matches('/'));
        let about = document(Arc::clone(&self.tls), &address).await.map_err(Failure::Discover)?;
        let issuer = about["issuer"].as_str().unwrap_or_default();
        if issuer != self.issuer {
            return Err(Failure::Another(issuer.chars().take(200).collect()));
        }
        let address = about["jwks_uri"].as_str().ok_or(Failure::NoKeys)?;
        let mut keys = document(Arc::clone(&self.tls), address).await.map_err(Failure::Fetch)?;
        let Value::Array(keys) = keys["keys"].take() else { return Err(Failure::NoKeys) };
        Ok(keys.into_iter().filter_map(IssuerKey::of).collect())
    }
}

impl IssuerKey {
    /// A key that signs in a way that is taken here. Others are none of ours.
    fn of(key: Value) -> Option<Self> {
        let key: Jwk = serde_json::from_value(key).ok()?;
        if key.common.public_key_use.as_ref().is_some_and(|meant| *meant != PublicKeyUse::Signature) {
            return None;
        }
        let algorithm = match &key.algorithm {
            AlgorithmParameters::RSA(_) => Algorithm::RS256,
            AlgorithmParameters::EllipticCurve(curve) if curve.curve == EllipticCurve::P256 => Algorithm::ES256,
            _ => return None,
        };
        Some(Self { proving: DecodingKey::from_jwk(&key).ok()?, algorithm, id: key.common.key_id })
    }
}
