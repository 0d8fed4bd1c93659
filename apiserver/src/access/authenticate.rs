//! Decides who is asking, from the headers of a request: the owner of the bearer token.

use std::sync::Arc;

use http::{HeaderMap, header};

use super::service_account::AUDIENCE;
use super::{Identity, TokenTable};
use crate::error::{ApiError, Reason};

/// The owner of the bearer token that a request brings.
pub(crate) fn authenticate(headers: &HeaderMap, tokens: &TokenTable) -> Result<Arc<Identity>, ApiError> {
    bearer(headers).and_then(|token| tokens.owner(token)).map(Arc::clone).ok_or_else(unauthorized)
}

/// Whose a token is, and for whom it is meant.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) identity: Arc<Identity>,
    pub(crate) audiences: Vec<String>,
}

/// The owner of a token that somebody else was given. `asked` is who that is; this API if it is empty.
///
/// # Errors
/// Why the token proves nothing to them.
pub(crate) fn review(token: &str, asked: &[String], tokens: &TokenTable) -> Result<Found, &'static str> {
    let is_meant = asked.is_empty() || asked.iter().any(|audience| audience == AUDIENCE);
    let owner = tokens.owner(token).filter(|_| is_meant).ok_or("invalid bearer token")?;
    Ok(Found { identity: Arc::clone(owner), audiences: vec![AUDIENCE.to_owned()] })
}

fn unauthorized() -> ApiError {
    ApiError::new(Reason::Unauthorized, "Unauthorized")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::TokenHash;

    fn ask(headers: &[(&'static str, &str)]) -> Result<Arc<Identity>, ApiError> {
        let tokens = TokenTable::new()
            .with(TokenHash::of("t-admin"), Identity::master("admin"))
            .with(TokenHash::of("t-bob"), Identity::new("bob", []));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        authenticate(&map, &tokens)
    }

    #[test]
    fn unknown_missing_and_malformed_tokens_are_refused_alike() {
        for headers in [&[][..], &[("authorization", "Bearer nope")], &[("authorization", "t-admin")]] {
            assert_eq!(ask(headers).unwrap_err().reason, Reason::Unauthorized);
        }
    }

    #[test]
    fn a_token_is_meant_for_this_api() {
        let tokens = TokenTable::new().with(TokenHash::of("t-bob"), Identity::new("bob", []));
        let ask = |token: &str, asked: &[&str]| {
            let asked: Vec<String> = asked.iter().map(|audience| (*audience).to_owned()).collect();
            review(token, &asked, &tokens).map(|found| (found.identity.user.clone(), found.audiences))
        };
        let bob = Ok(("bob".to_owned(), vec![AUDIENCE.to_owned()]));
        assert_eq!(ask("t-bob", &[]), bob);
        assert_eq!(ask("t-bob", &["vault", AUDIENCE]), bob);
        assert_eq!(ask("t-bob", &["vault"]), Err("invalid bearer token"));
        assert_eq!(ask("nope", &[]), Err("invalid bearer token"));
    }

    #[test]
    fn the_scheme_is_case_insensitive() {
        assert_eq!(ask(&[("authorization", "bearer t-admin")]).unwrap().user, "admin");
    }
}
