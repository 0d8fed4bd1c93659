//! The `continue` token of a list: where the next page begins, and in which state of the store.

use apiserver_store::Revision;
use base64::Engine;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{ApiError, Reason};

const VERSION: &str = "meta.k8s.io/v1";
const ENCODING: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new()
        .with_encode_padding(false)
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A place in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    /// The state that all pages show; `None` goes on with whatever there is by then.
    pub(crate) revision: Option<Revision>,
    /// The history that the revision belongs to.
    pub(crate) epoch: Uuid,
    /// Namespace and name of the last object of the page before.
    pub(crate) behind: (String, String),
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Wire {
    v: String,
    rv: i64,
    /// Upstream's tokens have none.
    epoch: Option<Uuid>,
    start: String,
}

impl Token {
    pub(crate) fn encode(&self) -> String {
        let wire = Wire {
            v: VERSION.into(),
            rv: self.revision.and_then(|revision| i64::try_from(revision.0).ok()).unwrap_or(-1),
            epoch: Some(self.epoch),
            // No name holds a slash.
            start: format!("{}/{}", self.behind.0, self.behind.1),
        };
        ENCODING.encode(serde_json::to_vec(&wire).expect("a struct of strings and numbers is JSON"))
    }

    /// Reads a token; one that doesn't say is of the present history.
    pub(crate) fn decode(text: &str, present: Uuid) -> Result<Self, ApiError> {
        let invalid =
            |why: String| ApiError::bad_request(format!("invalid continue token: continue key is not valid: {why}"));
        let bytes = ENCODING.decode(text).map_err(|error| {
            use base64::DecodeError::{InvalidByte, InvalidLastSymbol};
            let place = match error {
                InvalidByte(place, _) | InvalidLastSymbol(place, _) => place,
                _ => text.len() - text.len() % 4,
            };
            invalid(format!("illegal base64 data at input byte {place}"))
        })?;
        let wire: Wire = serde_json::from_slice(&bytes).map_err(|error| match bytes.first() {
            Some(first) if *first != b'{' => {
                invalid(format!("invalid character '{}' looking for beginning of value", first.escape_ascii()))
            }
            _ if error.is_eof() => invalid("unexpected end of JSON input".to_owned()),
            _ => invalid(error.to_string()),
        })?;
        if wire.v != VERSION {
            let message = format!("server does not recognize this encoded version {}", wire.v);
            return Err(invalid(message));
        }
        if wire.rv == 0 {
            return Err(invalid("incorrect encoded start resourceVersion (version meta.k8s.io/v1)".into()));
        }
        if wire.start.is_empty() {
            return Err(invalid("encoded start key empty (version meta.k8s.io/v1)".into()));
        }
        // Without a slash it is the end of what comes before.
        let (namespace, name) = wire.start.split_once('/').unwrap_or((&wire.start, ""));
        Ok(Self {
            revision: u64::try_from(wire.rv).ok().map(Revision),
            epoch: wire.epoch.unwrap_or(present),
            behind: (namespace.to_owned(), name.to_owned()),
        })
    }

    /// 410 for a token whose state is gone, with one that goes on all the same.
    pub(crate) fn expired(&self, epoch: Uuid) -> ApiError {
        let mut error = ApiError::new(
            Reason::Expired,
            "The provided continue parameter is too old to display a consistent list result. You can start a new list \
             without the continue parameter, or use the continue token in this response to retrieve the remainder of \
             the results. Continuing with the provided token results in an inconsistent list - objects that were \
             created, modified, or deleted between the time the first chunk was returned and now may show up in the \
             list.",
        );
        error.continue_token = Some(Self { revision: None, epoch, behind: self.behind.clone() }.encode());
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn token_survives_the_way_to_the_client_and_back() {
        let token = Token { revision: Some(Revision(7)), epoch: Uuid::nil(), behind: ("a".into(), "w1".into()) };
        assert_eq!(Token::decode(&token.encode(), Uuid::max()).unwrap(), token);
        let fresh = token.expired(Uuid::nil()).continue_token.unwrap();
        assert_eq!(Token::decode(&fresh, Uuid::nil()).unwrap().revision, None);
    }

    #[test]
    fn nonsense_is_a_bad_request() {
        let error = Token::decode("zzz", Uuid::nil()).unwrap_err();
        assert_eq!(
            error.message,
            "invalid continue token: continue key is not valid: invalid character '\\xcf' looking for beginning of value"
        );
        assert_eq!(
            Token::decode("ab!d", Uuid::nil()).unwrap_err().message,
            "invalid continue token: continue key is not valid: illegal base64 data at input byte 2"
        );
        let why = |json: &str| Token::decode(&ENCODING.encode(json), Uuid::nil()).unwrap_err().message;
        let invalid = "invalid continue token: continue key is not valid: ";
        assert_eq!(why("{}"), format!("{invalid}server does not recognize this encoded version "));
        assert_eq!(why(r#"{"v":"#), format!("{invalid}unexpected end of JSON input"));
    }
}
