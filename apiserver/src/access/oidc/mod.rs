//! Decides who comes in by an ID token of the OpenID issuer that the operator trusts: signed by one of its keys, meant for us, in
//! its time. Who that is here is a matter of [`OidcOptions`].

mod fetch;
mod keys;
mod options;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::{SignedDuration, Timestamp};
use jsonwebtoken::{Algorithm, Validation};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Map, Value, json};
use tokio_util::task::TaskTracker;

use self::keys::{IssuerKeys, Known};
pub use self::options::OidcOptions;
use super::authenticate::Found;
use super::signing::Proven;
use super::{Identity, ServiceAccountIssuers};
use crate::clock::Clock;

/// How tokens may be signed: never by a secret that both sides know, nor not at all.
const ALGORITHMS: [Algorithm; 2] = [Algorithm::RS256, Algorithm::ES256];
/// Clocks differ a little; what has ended has ended.
const LEEWAY: SignedDuration = SignedDuration::from_secs(60);

/// An issuer that can be asked.
#[derive(Debug, Clone)]
pub struct Oidc {
    options: OidcOptions,
    tls: Arc<ClientConfig>,
    /// Those that the operator named.
    authorities: Vec<CertificateDer<'static>>,
}

/// Why an issuer can't be asked, whatever it says.
#[derive(Debug, thiserror::Error)]
pub enum UnusableOidc {
    /// Its address is none.
    #[error("the issuer `{0}` is not an https:// address without query and fragment")]
    Issuer(String),
    /// The authorities to trust are none.
    #[error("no authority is known by which the issuer could prove who it is")]
    Authorities,
    /// TLS can't be set up.
    #[error("failed to set up TLS")]
    Tls(#[source] rustls::Error),
}

impl Oidc {
    /// `authorities` are PEM; without them those of the system count. Nothing is asked yet.
    ///
    /// # Errors
    /// What the operator said can't be meant so.
    pub fn new(options: OidcOptions, authorities: Option<&str>) -> Result<Self, UnusableOidc> {
        let url = url::Url::parse(&options.issuer_url).ok();
        let is_one = |url: &url::Url| url.scheme() == "https" && url.query().is_none() && url.fragment().is_none();
        if !url.as_ref().is_some_and(is_one) {
            return Err(UnusableOidc::Issuer(options.issuer_url));
        }
        let mut roots = RootCertStore::empty();
        let named: Vec<_> = authorities
            .map(|pem| CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok).collect())
            .unwrap_or_default();
        match authorities {
            Some(_) => roots.add_parsable_certificates(named.iter().cloned()),
            None => roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs),
        };
        if roots.is_empty() {
            return Err(UnusableOidc::Authorities);
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(UnusableOidc::Tls)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { options, tls: Arc::new(tls), authorities: named })
    }

    /// What whoever wants to log in has to know: the issuer, by which name it knows this cloud, and the authorities (DER,
    /// base64) by which it proves who it is, unless those are the system's. Nothing of it is a secret.
    pub(crate) fn told(&self) -> Value {
        let authorities: Vec<String> = self.authorities.iter().map(|der| STANDARD.encode(der)).collect();
        json!({
            "issuer": self.options.issuer_url,
            "clientId": self.options.client_id,
            "certificateAuthorities": authorities,
        })
    }
}

/// Knows the tokens of an issuer.
pub(crate) struct IdTokens {
    options: OidcOptions,
    /// Which audiences this API is.
    issuers: Arc<ServiceAccountIssuers>,
    keys: Arc<IssuerKeys>,
    clock: Arc<dyn Clock>,
    tasks: TaskTracker,
    proven: Proven<ProvenToken>,
}

/// A token whose signature is good.
struct ProvenToken {
    /// Whose it is, or why nobody's.
    identity: Result<Arc<Identity>, String>,
    begins: Option<i64>,
    ends: Option<i64>,
}

impl IdTokens {
    pub(crate) fn new(
        oidc: &Oidc,
        issuers: Arc<ServiceAccountIssuers>,
        clock: Arc<dyn Clock>,
        tasks: TaskTracker,
    ) -> Self {
        let keys = IssuerKeys::new(&oidc.options.issuer_url, Arc::clone(&oidc.tls), Arc::clone(&clock));
        Self { options: oidc.options.clone(), issuers, keys: Arc::new(keys), clock, tasks, proven: Proven::default() }
    }

    /// Whose a token is, if it counts for this API and that is among the audiences that are asked for.
    ///
    /// # Errors
    /// Why it doesn't; `None` for what is no token of the issuer.
    pub(crate) async fn owner(&self, token: &str, asked: &[String]) -> Result<Found, Option<String>> {
        // Before the issuer is asked for anything: what others made up is no reason to.
        let claims =
            unproven(token).filter(|claims| claims.get("iss") == Some(&self.options.issuer_url.as_str().into()));
        let claims = claims.ok_or(None)?;
        if !is_meant_for(&claims, &self.options.client_id) {
            return Err(Some(format!("oidc: the token is not meant for {:?}", self.options.client_id)));
        }
        let (begins, ends) = times(&claims);
        self.check(begins, ends)?;
        let not_meant = || Some(format!("oidc: a token of the issuer is not meant for {asked:?}"));
        let audiences = self.issuers.meant(asked).ok_or_else(not_meant)?;
        let unproven = || Some("oidc: the issuer has no key that proves the token".to_owned());
        let proven = self.prove(token).await.ok_or_else(unproven)?;
        self.check(proven.begins, proven.ends)?;
        let identity = proven.identity.clone().map_err(Some)?;
        Ok(Found { identity, audiences })
    }

    fn check(&self, begins: Option<i64>, ends: Option<i64>) -> Result<(), Option<String>> {
        let now: Timestamp = self.clock.now();
        if ends.is_none_or(|ends| now.as_second() >= ends) {
            return Err(Some("oidc: the token has expired".to_owned()));
        }
        if begins.is_some_and(|begins| (now + LEEWAY).as_second() < begins) {
            return Err(Some("oidc: the token is not valid yet".to_owned()));
        }
        Ok(())
    }

    async fn prove(&self, token: &str) -> Option<Arc<ProvenToken>> {
        let header = jsonwebtoken::decode_header(token).ok()?;
        let (id, algorithm) = (header.kid.as_deref(), header.alg);
        if !ALGORITHMS.contains(&algorithm) {
            return None;
        }
        let read = |known: &Known| self.proven.of(known.revision, token, || self.read(token, known, id, algorithm));
        let known = self.keys.known(&self.tasks);
        if let Some(proven) = read(&known) {
            return Some(proven);
        }
        if id.is_some() && known.of(id, algorithm).next().is_some() {
            return None;
        }
        read(&*self.keys.newer(known.revision).await)
    }

    fn read(&self, token: &str, known: &Known, id: Option<&str>, algorithm: Algorithm) -> Option<ProvenToken> {
        let mut rules = Validation::new(algorithm);
        // The clock is ours to ask, and so are issuer and audience, which were looked at in these very claims.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.set_required_spec_claims::<&str>(&[]);
        let claims = known.of(id, algorithm).find_map(|key| {
            jsonwebtoken::decode::<Map<String, Value>>(token, key, &rules).ok().map(|token| token.claims)
        })?;
        let (begins, ends) = times(&claims);
        Some(ProvenToken { identity: self.options.identity(&claims).map(Arc::new), begins, ends })
    }
}

/// What a token says, whoever made it.
fn unproven(token: &str) -> Option<Map<String, Value>> {
    let mut parts = token.split('.');
    let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn is_meant_for(claims: &Map<String, Value>, client: &str) -> bool {
    match claims.get("aud") {
        Some(Value::Array(all)) => all.iter().any(|one| one == client),
        Some(one) => one == client,
        None => false,
    }
}

/// When it begins and ends, in seconds.
fn times(claims: &Map<String, Value>) -> (Option<i64>, Option<i64>) {
    // What is out of range becomes the nearest that isn't.
    let seconds = |claim: &str| claims.get(claim).and_then(Value::as_f64).map(|seconds| seconds as i64);
    (seconds("nbf"), seconds("exp"))
}
