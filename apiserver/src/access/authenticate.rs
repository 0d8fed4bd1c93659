//! Decides who is asking, from the headers of a request: the owner of the bearer token.

use std::sync::Arc;

use http::{HeaderMap, header};

use super::{Identity, TokenTable};
use crate::error::{ApiError, Reason};

/// The owner of the bearer token that a request brings.
pub(crate) fn authenticate(headers: &HeaderMap, tokens: &TokenTable) -> Result<Arc<Identity>, ApiError> {
    bearer(headers).and_then(|token| tokens.owner(token)).map(Arc::clone).ok_or_else(unauthorized)
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
    fn the_scheme_is_case_insensitive() {
        assert_eq!(ask(&[("authorization", "bearer t-admin")]).unwrap().user, "admin");
    }
}
