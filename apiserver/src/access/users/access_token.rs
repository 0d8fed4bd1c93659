//! What an access token of a user says: a JWT that counts for minutes, and only as long as the login that it came from.

use serde::{Deserialize, Serialize};

/// Tells access tokens of users from other tokens, in the header (RFC 9068).
pub(super) const TYPE: &str = "at+jwt";

/// What the token says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct AccessClaims {
    /// For whom it is meant.
    pub(super) aud: Vec<String>,
    /// When it ends, in seconds.
    pub(super) exp: i64,
    pub(super) iat: i64,
    pub(super) iss: String,
    /// Which token it is.
    pub(super) jti: String,
    /// The user's name.
    pub(super) sub: String,
    #[serde(rename = "thecloud.dev")]
    pub(super) login: Login,
}

/// What a token lives and dies with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Login {
    /// The user's uid.
    pub(super) uid: String,
    pub(super) session: String,
}

/// Whether a token calls itself an access token of a user.
pub(crate) fn is_access_token(token: &str) -> bool {
    jsonwebtoken::decode_header(token).is_ok_and(|header| header.typ.as_deref() == Some(TYPE))
}
