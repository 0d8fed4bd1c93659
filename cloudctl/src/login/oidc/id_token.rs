//! What an ID token says, and whether it was made for us. Who signed it isn't looked at here: see the module above.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The claims of a token.
pub(super) struct IdToken(Map<String, Value>);

impl IdToken {
    pub(super) fn read(token: &str) -> Option<Self> {
        let mut parts = token.split('.');
        let (_, claims, _) = (parts.next()?, parts.next()?, parts.next()?);
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok().map(Self)
    }

    /// A claim that is a text.
    pub(super) fn text(&self, claim: &str) -> Option<&str> {
        self.0.get(claim)?.as_str()
    }

    /// When it ends, if it is of that issuer and for that client. Whether that is past is the server's to say, whose clock counts.
    pub(super) fn check(&self, issuer: &str, client: &str) -> Result<Timestamp, &'static str> {
        if self.text("iss") != Some(issuer) {
            return Err("it is of another issuer");
        }
        let is_ours = match self.0.get("aud") {
            Some(Value::Array(all)) => all.iter().any(|one| one == client),
            Some(one) => one == client,
            None => false,
        };
        if !is_ours {
            return Err("it is meant for another client");
        }
        let seconds = self.0.get("exp").and_then(Value::as_f64).map(|seconds| seconds as i64);
        let ends = seconds.and_then(|seconds| Timestamp::from_second(seconds).ok());
        ends.ok_or("it does not say when it ends")
    }
}
