//! What the operator says of the issuer, and whom that makes of what a token says. A plain function of the claims.

use serde_json::{Map, Value};

use crate::access::Identity;

/// An issuer, and how its users are called here. The words are kube-apiserver's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OidcOptions {
    /// `https://...`, exactly as its tokens name it.
    pub issuer_url: String,
    /// For whom its tokens have to be meant.
    pub client_id: String,
    /// Which claim is the user's name.
    pub username_claim: String,
    /// What stands before the name; without it the issuer and `#`, unless the claim is `email`. `-` for nothing.
    pub username_prefix: Option<String>,
    /// Which claim has the groups; no groups without it.
    pub groups_claim: Option<String>,
    /// What stands before each group.
    pub groups_prefix: String,
    /// Claims that a token has to have, with their values.
    pub required_claims: Vec<(String, String)>,
}

/// What begins so is ours to give.
const RESERVED: &str = "system:";

impl OidcOptions {
    /// Who somebody is by the claims of a proven token.
    ///
    /// # Errors
    /// Why they are nobody.
    pub(super) fn identity(&self, claims: &Map<String, Value>) -> Result<Identity, String> {
        let text = |claim: &str| claims.get(claim).and_then(Value::as_str).filter(|text| !text.is_empty());
        for (claim, value) in &self.required_claims {
            if text(claim) != Some(value) {
                return Err(format!("oidc: required claim {claim} is not {value}"));
            }
        }
        let claim = &self.username_claim;
        let name = text(claim).ok_or_else(|| format!("oidc: claim {claim:?} is missing or no text"))?;
        if claim == "email" && claims.get("email_verified").is_some_and(|verified| *verified != Value::Bool(true)) {
            return Err("oidc: email not verified".to_owned());
        }
        let name = match self.username_prefix.as_deref() {
            Some("-") => name.to_owned(),
            Some(prefix) => format!("{prefix}{name}"),
            None if claim == "email" => name.to_owned(),
            None => format!("{}#{name}", self.issuer_url),
        };
        if name.starts_with(RESERVED) {
            return Err(format!("oidc: the name {name:?} is reserved"));
        }
        let groups = match self.groups_claim.as_deref().and_then(|claim| claims.get(claim)) {
            Some(Value::String(group)) => vec![group.as_str()],
            Some(Value::Array(groups)) => groups.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let groups = groups.into_iter().map(|group| format!("{}{group}", self.groups_prefix));
        Ok(Identity::new(name, groups.filter(|group| !group.starts_with(RESERVED))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn options() -> OidcOptions {
        OidcOptions {
            issuer_url: "https://issuer".into(),
            client_id: "cloud".into(),
            username_claim: "sub".into(),
            username_prefix: None,
            groups_claim: Some("groups".into()),
            groups_prefix: String::new(),
            required_claims: Vec::new(),
        }
    }

    fn name(options: &OidcOptions, claims: Value) -> Result<String, String> {
        options.identity(claims.as_object().unwrap()).map(|identity| identity.user)
    }

    #[test]
    fn names_of_two_issuers_are_not_the_same_unless_the_operator_says_so() {
        let of = |prefix: Option<&str>| OidcOptions { username_prefix: prefix.map(Into::into), ..options() };
        let ann = || json!({"sub": "ann"});
        assert_eq!(name(&of(None), ann()).unwrap(), "https://issuer#ann");
        assert_eq!(name(&of(Some("oidc:")), ann()).unwrap(), "oidc:ann");
        assert_eq!(name(&of(Some("-")), ann()).unwrap(), "ann");
        for nobody in [json!({}), json!({"sub": ""}), json!({"sub": 1})] {
            assert!(name(&of(None), nobody).is_err());
        }
    }

    #[test]
    fn an_address_is_a_name_unless_the_issuer_doubts_it() {
        let options = OidcOptions { username_claim: "email".into(), ..options() };
        assert_eq!(name(&options, json!({"email": "a@b"})).unwrap(), "a@b");
        assert_eq!(name(&options, json!({"email": "a@b", "email_verified": true})).unwrap(), "a@b");
        for doubtful in [json!(false), json!("true"), json!(null)] {
            assert!(name(&options, json!({"email": "a@b", "email_verified": doubtful})).is_err());
        }
    }

    #[test]
    fn an_issuer_makes_nobody_a_part_of_the_system() {
        let options = OidcOptions { username_prefix: Some("-".into()), ..options() };
        assert!(name(&options, json!({"sub": "system:admin"})).is_err());
        let claims = json!({"sub": "ann", "groups": ["system:masters", "painters", 7]});
        let ann = options.identity(claims.as_object().unwrap()).unwrap();
        assert_eq!(ann.groups, ["painters", "system:authenticated"]);
        let one = options.identity(json!({"sub": "ann", "groups": "painters"}).as_object().unwrap()).unwrap();
        assert_eq!(one.groups, ann.groups);
        let prefixed = OidcOptions { groups_prefix: "oidc:".into(), ..options };
        let ann = prefixed.identity(claims.as_object().unwrap()).unwrap();
        assert_eq!(ann.groups, ["oidc:system:masters", "oidc:painters", "system:authenticated"]);
    }

    #[test]
    fn claims_may_be_required() {
        let options = OidcOptions { required_claims: vec![("tenant".into(), "shop".into())], ..options() };
        assert!(name(&options, json!({"sub": "ann", "tenant": "shop"})).is_ok());
        for other in [json!({"sub": "ann"}), json!({"sub": "ann", "tenant": "other"})] {
            assert!(name(&options, other).is_err());
        }
    }
}
