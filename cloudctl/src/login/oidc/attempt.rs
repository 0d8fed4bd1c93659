//! One login that is under way: the random texts that tie its steps together, and what the browser brings back. Nobody else can
//! bring an answer (state), use a code that they saw (PKCE, RFC 7636), or give us a token of another login (nonce).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};
use url::form_urlencoded;

use super::IssuerError;
use super::error::plain;

/// The texts that nobody else knows.
pub(crate) struct Attempt {
    state: String,
    nonce: String,
    verifier: String,
}

/// What a request to our address means.
#[derive(Debug)]
pub(super) enum Brought {
    /// An answer to this login: a code, or why there is none.
    Answer(Result<String, IssuerError>),
    /// Something else, and what is said to whoever sent it.
    Stray(&'static str),
}

impl Attempt {
    pub(crate) fn new() -> Result<Self, IssuerError> {
        Ok(Self { state: random()?, nonce: random()?, verifier: random()? })
    }

    pub(super) fn state(&self) -> &str {
        &self.state
    }

    pub(super) fn nonce(&self) -> &str {
        &self.nonce
    }

    pub(super) fn verifier(&self) -> &str {
        &self.verifier
    }

    /// What shows later that whoever has the verifier began this (S256).
    pub(super) fn challenge(&self) -> String {
        URL_SAFE_NO_PAD.encode(Sha256::digest(&self.verifier))
    }

    /// Reads the query that the browser brought.
    pub(super) fn judge(&self, query: &str, issuer: &str) -> Brought {
        let value = |name: &str| {
            form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if value("state").as_deref() != Some(self.state()) {
            return Brought::Stray("this is the answer to another login (its state differs)");
        }
        // RFC 9207
        if value("iss").is_some_and(|from| from != issuer) {
            return Brought::Stray("this is the answer of another issuer");
        }
        if let Some(code) = value("error") {
            let description = value("error_description").map(|text| plain(&text));
            return Brought::Answer(Err(IssuerError::of_words(issuer, plain(&code), description)));
        }
        match value("code") {
            Some(code) => Brought::Answer(Ok(code)),
            None => Brought::Stray("there is neither a code nor an error in this"),
        }
    }
}

/// 256 bits.
fn random() -> Result<String, IssuerError> {
    let mut bytes = [0_u8; 32];
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| IssuerError::NoRandom)?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}
