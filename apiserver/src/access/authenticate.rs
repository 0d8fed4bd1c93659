//! Decides who is asking, from the headers of a request: the owner of the bearer token, or whom they may stand for.

use http::{HeaderMap, header};

use super::{Attributes, Authorizer, Decision, Identity, TokenTable};
use crate::error::{ApiError, Reason};

const IMPERSONATE_USER: &str = "impersonate-user";
const IMPERSONATE_GROUP: &str = "impersonate-group";

/// The one who asks. `known` is set where the transport vouches for the caller (in-process).
pub(crate) fn authenticate(
    headers: &HeaderMap,
    known: Option<&Identity>,
    tokens: &TokenTable,
    rules: &dyn Authorizer,
) -> Result<Identity, ApiError> {
    let identity = match known {
        Some(identity) => identity,
        None => bearer(headers).and_then(|token| tokens.owner(token)).ok_or_else(unauthorized)?,
    };
    impersonated(headers, identity, rules)
}

fn unauthorized() -> ApiError {
    ApiError::new(Reason::Unauthorized, "Unauthorized")
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// Applies `Impersonate-*`. They are never ignored: who may not stand for another is refused.
fn impersonated(headers: &HeaderMap, identity: &Identity, rules: &dyn Authorizer) -> Result<Identity, ApiError> {
    let is_asked = headers.keys().any(|name| name.as_str().starts_with("impersonate-"));
    if !is_asked {
        return Ok(identity.clone());
    }
    let text = |name: &str| -> Vec<String> {
        headers.get_all(name).iter().filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    };
    let groups = text(IMPERSONATE_GROUP);
    let Some(user) = text(IMPERSONATE_USER).pop() else {
        return Err(ApiError::bad_request("requested impersonation of groups or extras without impersonating a user"));
    };
    let wishes = std::iter::once(("users", &user)).chain(groups.iter().map(|group| ("groups", group)));
    for (resource, name) in wishes {
        let wish = Attributes {
            verb: "impersonate".into(),
            resource: resource.into(),
            name: name.clone(),
            ..Attributes::default()
        };
        if rules.authorize(identity, &wish) == Decision::Deny {
            return Err(ApiError::forbidden("", resource, name, &wish.refusal(identity)));
        }
    }
    Ok(Identity::new(user, groups))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{MastersOnly, TokenHash};

    fn ask(headers: &[(&'static str, &str)]) -> Result<Identity, ApiError> {
        let tokens = TokenTable::new()
            .with(TokenHash::of("t-admin"), Identity::master("admin"))
            .with(TokenHash::of("t-bob"), Identity::new("bob", []));
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        authenticate(&map, None, &tokens, &MastersOnly)
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

    #[test]
    fn only_masters_stand_for_others() {
        let bob = ask(&[("authorization", "Bearer t-admin"), ("impersonate-user", "carol")]).unwrap();
        assert_eq!(bob, Identity::new("carol", []));
        let refused = ask(&[("authorization", "Bearer t-bob"), ("impersonate-user", "admin")]).unwrap_err();
        assert_eq!(refused.reason, Reason::Forbidden);
    }

    #[test]
    fn groups_alone_cannot_be_impersonated() {
        let refused = ask(&[("authorization", "Bearer t-admin"), ("impersonate-group", "system:masters")]);
        assert_eq!(refused.unwrap_err().reason, Reason::BadRequest);
    }
}
