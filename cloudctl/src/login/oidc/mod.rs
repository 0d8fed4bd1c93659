//! Logins at an OpenID issuer: what is known of it, how its tokens are had, renewed and given back. Tokens come over TLS from the
//! issuer itself, so who signed them is left to the server, which looks.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use serde_json::Value;

mod attempt;
mod browser;
mod callback;
mod device;
mod error;
mod http_client;
mod id_token;
mod proof;
mod provider;

pub(crate) use attempt::Attempt;
pub(crate) use browser::Browser;
pub(crate) use callback::Callback;
pub(crate) use error::IssuerError;
use id_token::IdToken;
pub(crate) use proof::ClientSecret;
pub(crate) use provider::Provider;

/// An issuer, and as whom cloudctl asks it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Issuer {
    /// Its address, exactly as its tokens name it.
    #[serde(rename = "issuer")]
    pub(crate) url: String,
    /// The name by which it knows the cloud.
    pub(crate) client_id: String,
    /// What some issuers want beside it. The server never has it, or everybody would.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) client_secret: Option<ClientSecret>,
    /// Those by which it proves who it is, DER in base64; without any the system's count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) certificate_authorities: Vec<String>,
}

/// What the issuer gave.
pub(crate) struct Granted {
    pub(crate) id_token: String,
    pub(crate) ends: Timestamp,
    pub(crate) refresh_token: Option<String>,
}

/// The certificates of a PEM file, as [`Issuer`] has them.
pub(crate) fn authorities(pem: &str) -> Vec<String> {
    let certificates = CertificateDer::pem_slice_iter(pem.as_bytes()).filter_map(Result::ok);
    certificates.map(|der| STANDARD.encode(der)).collect()
}

impl Issuer {
    /// What the issuer says of itself.
    pub(crate) async fn discover(&self) -> Result<Provider, IssuerError> {
        let address = format!("{}/.well-known/openid-configuration", self.url.trim_end_matches('/'));
        let (status, document) = http_client::get(self, &address).await?;
        if status != StatusCode::OK {
            return Err(IssuerError::NoDocument { address, status });
        }
        Provider::read(&self.url, &document)
    }

    /// Tokens for the code that the browser brought back to `redirect`.
    pub(crate) async fn redeem(
        &self,
        provider: &Provider,
        code: &str,
        attempt: &Attempt,
        redirect: &str,
    ) -> Result<Granted, IssuerError> {
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", redirect),
            ("code_verifier", attempt.verifier()),
        ];
        self.redeemed(&self.token(provider, &form).await?, attempt.nonce())
    }

    /// What was given for a code, if that is for the login with this nonce.
    fn redeemed(&self, answer: &Value, nonce: &str) -> Result<Granted, IssuerError> {
        let granted = self.granted(answer)?.ok_or_else(|| self.no_id_token())?;
        if claim(&granted.id_token, "nonce").as_deref() != Some(nonce) {
            return Err(self.odd("it is of another login (its nonce differs)"));
        }
        Ok(granted)
    }

    /// New tokens for those of before.
    pub(crate) async fn renew(&self, id_token: &str, refresh_token: Option<&str>) -> Result<Granted, IssuerError> {
        let none = || self.ended("it gave nothing to renew the login by".to_owned());
        let refresh_token = refresh_token.ok_or_else(none)?;
        let provider = self.discover().await?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        let answer = self.token(&provider, &form).await.map_err(|error| match error {
            IssuerError::Refused { code, why, .. } if code == "invalid_grant" => self.ended(why),
            error => error,
        })?;
        self.renewed(&answer, id_token, refresh_token)
    }

    /// What was given for a refresh token, if that is for the same user. An issuer that gives no other goes on with the old one.
    fn renewed(&self, answer: &Value, id_token: &str, refresh_token: &str) -> Result<Granted, IssuerError> {
        let none = || self.ended("it renews no ID tokens, by which the cloud knows its users".to_owned());
        let granted = self.granted(answer)?.ok_or_else(none)?;
        if claim(&granted.id_token, "sub") != claim(id_token, "sub") {
            return Err(self.odd("it is of another user than the login"));
        }
        let refresh_token = granted.refresh_token.or_else(|| Some(refresh_token.to_owned()));
        Ok(Granted { refresh_token, ..granted })
    }

    /// Has the issuer forget a login, if it can.
    pub(crate) async fn revoke(&self, refresh_token: &str) -> Result<(), IssuerError> {
        let provider = self.discover().await?;
        let Some(address) = &provider.revocation else { return Ok(()) };
        let form = [("token", refresh_token), ("token_type_hint", "refresh_token")];
        self.accepted(http_client::post(self, address, &form, self.proof(provider.secret_in)).await?).map(|_| ())
    }

    async fn token(&self, provider: &Provider, form: &[(&str, &str)]) -> Result<Value, IssuerError> {
        self.accepted(http_client::post(self, &provider.token, form, self.proof(provider.secret_in)).await?)
    }

    /// The answer, unless it is a refusal.
    fn accepted(&self, (status, answer): (StatusCode, Value)) -> Result<Value, IssuerError> {
        if status.is_success() { Ok(answer) } else { Err(IssuerError::refused(&self.url, status, &answer)) }
    }

    /// The tokens in an answer; `None` where there is no ID token.
    fn granted(&self, answer: &Value) -> Result<Option<Granted>, IssuerError> {
        let Some(text) = answer["id_token"].as_str() else { return Ok(None) };
        let token = IdToken::read(text).ok_or_else(|| self.odd("it is no JWT"))?;
        let ends = token.check(&self.url, &self.client_id).map_err(|why| self.odd(why))?;
        let refresh_token = answer["refresh_token"].as_str().map(str::to_owned);
        Ok(Some(Granted { id_token: text.to_owned(), ends, refresh_token }))
    }

    fn ended(&self, why: String) -> IssuerError {
        IssuerError::Ended { issuer: self.url.clone(), why }
    }

    fn no_id_token(&self) -> IssuerError {
        IssuerError::NoIdToken { issuer: self.url.clone(), client: self.client_id.clone() }
    }

    fn odd(&self, why: &'static str) -> IssuerError {
        IssuerError::OddIdToken { issuer: self.url.clone(), why }
    }
}

/// A claim of a token that is a text.
fn claim(token: &str, name: &str) -> Option<String> {
    IdToken::read(token)?.text(name).map(str::to_owned)
}

#[cfg(test)]
mod tests;
