//! Decides how cloudctl shows an issuer which client it is: by its name alone, or with a secret, in the form or the header that
//! the issuer takes (RFC 6749, 2.3.1).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use url::form_urlencoded;

use super::Issuer;

/// What only the client knows. It is never shown.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct ClientSecret(String);

/// Where an issuer takes the secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretIn {
    Header,
    Form,
}

/// What shows who asks.
pub(super) struct Proof<'a> {
    /// The header `Authorization`, where there is one.
    pub(super) authorization: Option<String>,
    /// What goes into the form.
    pub(super) form: Vec<(&'static str, &'a str)>,
}

impl ClientSecret {
    /// The secret in a file's text; `None` where there is none.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for ClientSecret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClientSecret")
    }
}

impl Issuer {
    pub(super) fn proof(&self, secret_in: SecretIn) -> Proof<'_> {
        let name = ("client_id", self.client_id.as_str());
        match (&self.client_secret, secret_in) {
            (None, _) => Proof { authorization: None, form: vec![name] },
            (Some(secret), SecretIn::Form) => {
                Proof { authorization: None, form: vec![name, ("client_secret", &secret.0)] }
            }
            (Some(secret), SecretIn::Header) => {
                let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", coded(&self.client_id), coded(&secret.0));
                Proof { authorization: Some(format!("Basic {}", STANDARD.encode(pair))), form: Vec::new() }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proof(secret: Option<&str>, secret_in: SecretIn) -> (Option<String>, Vec<(String, String)>) {
        let issuer = Issuer {
            url: "https://issuer".to_owned(),
            client_id: "the cloud".to_owned(),
            client_secret: secret.and_then(ClientSecret::read),
            certificate_authorities: Vec::new(),
        };
        let Proof { authorization, form } = issuer.proof(secret_in);
        (authorization, form.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn a_client_without_a_secret_says_its_name() {
        for secret_in in [SecretIn::Header, SecretIn::Form] {
            assert_eq!(proof(None, secret_in), (None, vec![pair("client_id", "the cloud")]));
        }
    }

    #[test]
    fn a_secret_goes_where_the_issuer_takes_it() {
        let form = vec![pair("client_id", "the cloud"), pair("client_secret", "s:1+")];
        assert_eq!(proof(Some("s:1+\n"), SecretIn::Form), (None, form));
        let (authorization, form) = proof(Some("s:1+"), SecretIn::Header);
        let sent = STANDARD.decode(authorization.unwrap().strip_prefix("Basic ").unwrap()).unwrap();
        assert_eq!((sent.as_slice(), form), (&b"the+cloud:s%3A1%2B"[..], Vec::new()));
    }

    #[test]
    fn a_secret_is_not_shown_and_an_empty_file_has_none() {
        let secret = ClientSecret::read("hush").unwrap();
        assert!(!format!("{secret:?}").contains("hush"));
        assert_eq!(ClientSecret::read(" \n"), None);
    }
}
