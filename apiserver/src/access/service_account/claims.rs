//! What a token of a service account says, and how that is signed and read: a JWT signed with ES256, laid out as
//! upstream's, so that others can read it.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::AUDIENCE;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Claims {
    /// For whom it is meant.
    pub(crate) aud: Vec<String>,
    /// When it ends, in seconds.
    pub(crate) exp: i64,
    pub(crate) iat: i64,
    pub(crate) iss: String,
    /// Which token it is.
    pub(crate) jti: String,
    #[serde(rename = "kubernetes.io")]
    pub(crate) bound: Bound,
    /// When it begins.
    pub(crate) nbf: i64,
    pub(crate) sub: String,
}

/// What a token lives and dies with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bound {
    pub(crate) namespace: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Reference>,
    pub(crate) serviceaccount: Reference,
}

/// One object, and no other that comes to have its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reference {
    pub(crate) name: String,
    pub(crate) uid: String,
}

impl Claims {
    /// The token.
    pub(super) fn sign(&self, key: &EncodingKey, key_id: &str) -> Result<String, jsonwebtoken::errors::Error> {
        let header = Header { kid: Some(key_id.to_owned()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, self, key)
    }

    /// What a token says, if this key has signed it. When and for whom it counts is not looked at.
    pub(super) fn read(token: &str, key: &DecodingKey) -> Option<Self> {
        let mut rules = Validation::new(Algorithm::ES256);
        // The clock is ours to ask, and so is the audience.
        rules.validate_exp = false;
        rules.validate_aud = false;
        rules.set_issuer(&[AUDIENCE]);
        rules.set_required_spec_claims(&["exp", "iss", "sub"]);
        jsonwebtoken::decode(token, key, &rules).ok().map(|token| token.claims)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::ServiceAccountKey;

    fn claims() -> Claims {
        Claims {
            aud: vec!["a".into()],
            exp: 2,
            iat: 1,
            iss: AUDIENCE.into(),
            jti: "j".into(),
            bound: Bound {
                namespace: "n".into(),
                secret: None,
                serviceaccount: Reference { name: "ci".into(), uid: "u".into() },
            },
            nbf: 1,
            sub: "system:serviceaccount:n:ci".into(),
        }
    }

    #[test]
    fn only_the_key_that_signed_a_token_proves_it() {
        let (key, other) = (ServiceAccountKey::generate(), ServiceAccountKey::generate());
        let token = claims().sign(&key.signing(), key.id()).unwrap();
        assert_eq!(Claims::read(&token, &key.proving()), Some(claims()));
        assert_eq!(Claims::read(&token, &other.proving()), None);
    }

    #[test]
    fn a_token_that_was_tampered_with_is_none() {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let key = ServiceAccountKey::generate();
        let token = claims().sign(&key.signing(), key.id()).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let raised = Claims { exp: 9_999_999_999, ..claims() };
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&raised).unwrap());
        let unsigned = URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#);
        // The public key as the secret of another algorithm is an old trick.
        let symmetric = jsonwebtoken::encode(
            &Header::new(Algorithm::HS256),
            &raised,
            &EncodingKey::from_secret(key.proving().try_get_as_bytes().unwrap()),
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
            assert_eq!(Claims::read(&forged, &key.proving()), None, "{forged}");
        }
    }

    #[test]
    fn another_issuers_token_is_none() {
        let key = ServiceAccountKey::generate();
        let token = Claims { iss: "https://elsewhere".into(), ..claims() }.sign(&key.signing(), key.id()).unwrap();
        assert_eq!(Claims::read(&token, &key.proving()), None);
    }
}
