//! What an issuer says of itself (OpenID Connect Discovery), as far as it matters here.

use serde_json::Value;
use url::Url;

use super::http_client::https;
use super::proof::SecretIn;
use super::{Attempt, Issuer, IssuerError};

/// What is asked for where the issuer offers it: a name, groups, and something to renew the login by.
const SCOPES: [&str; 5] = ["openid", "offline_access", "profile", "email", "groups"];

/// Where an issuer is asked for what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Provider {
    authorization: Url,
    pub(super) token: String,
    pub(super) revocation: Option<String>,
    pub(super) device_authorization: Option<String>,
    pub(super) secret_in: SecretIn,
    offered: Option<Vec<String>>,
}

impl Provider {
    /// Reads its document. `issuer` is who should have written it.
    pub(super) fn read(issuer: &str, document: &Value) -> Result<Self, IssuerError> {
        let unusable = |why: String| IssuerError::Unusable { issuer: issuer.to_owned(), why };
        let text = |field: &str| document[field].as_str();
        let claimed = super::error::plain(text("issuer").unwrap_or_default());
        if claimed != issuer {
            return Err(unusable(format!("it calls itself `{claimed}`")));
        }
        let needed = |field: &str| text(field).ok_or_else(|| unusable(format!("its document has no {field}")));
        let optional = |field: &str| text(field).map(|address| https(address).map(String::from)).transpose();
        let offered = document["scopes_supported"].as_array();
        let ways = document["token_endpoint_auth_methods_supported"].as_array();
        let has = |way: &str| ways.is_some_and(|ways| ways.iter().any(|one| one == way));
        // Who says nothing takes a header.
        let is_posted = has("client_secret_post") && !has("client_secret_basic");
        Ok(Self {
            authorization: https(needed("authorization_endpoint")?)?,
            token: https(needed("token_endpoint")?)?.into(),
            revocation: optional("revocation_endpoint")?,
            device_authorization: optional("device_authorization_endpoint")?,
            secret_in: if is_posted { SecretIn::Form } else { SecretIn::Header },
            offered: offered.map(|all| all.iter().filter_map(Value::as_str).map(str::to_owned).collect()),
        })
    }

    /// The page at which somebody logs in, from which the browser goes to `redirect`.
    pub(crate) fn page(&self, issuer: &Issuer, attempt: &Attempt, redirect: &str, scopes: &[String]) -> Url {
        let mut page = self.authorization.clone();
        page.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &issuer.client_id)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &self.scopes(scopes))
            .append_pair("state", attempt.state())
            .append_pair("nonce", attempt.nonce())
            .append_pair("code_challenge", &attempt.challenge())
            .append_pair("code_challenge_method", "S256");
        page
    }

    /// The scopes to ask for: those that somebody wished for, or ours that the issuer offers. Some refuse what they don't know.
    pub(super) fn scopes(&self, wished: &[String]) -> String {
        let is_offered = |scope: &&str| match &self.offered {
            Some(offered) => offered.iter().any(|one| one == scope),
            None => false,
        };
        let mut scopes = vec![SCOPES[0]];
        if wished.is_empty() {
            scopes.extend(SCOPES[1..].iter().copied().filter(is_offered));
        } else {
            scopes.extend(wished.iter().map(String::as_str).filter(|scope| *scope != SCOPES[0]));
        }
        scopes.join(" ")
    }
}
