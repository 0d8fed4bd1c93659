//! Decides how a question of access is put and answered: the port for rules of access, and the words of a refusal.

use std::fmt;
use std::sync::Arc;

use super::rbac::Held;
use super::{Identity, Rule};
use crate::error::{ApiError, Reason};

/// What a request wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes<'a> {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `impersonate`; of a path the
    /// method in lower case.
    pub verb: &'a str,
    /// What it wants to do that to.
    pub object: Object<'a>,
}

/// What a request wants to do something to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Object<'a> {
    /// Objects of a kind.
    Resource(ResourceAttributes<'a>),
    /// A path that is no resource.
    Path(&'a str),
}

/// Objects of a kind. What is not meant is empty.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ResourceAttributes<'a> {
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The plural.
    pub resource: &'a str,
    /// As `status`.
    pub subresource: &'a str,
    /// Empty for the whole installation.
    pub namespace: &'a str,
    /// Empty where no single object is meant.
    pub name: &'a str,
}

/// The answer of an [`Authorizer`].
#[derive(Debug, Clone)]
pub enum Decision {
    /// Go on, because of this.
    Allow(Grant),
    /// 403. What kept rules from being read, empty where there is just none that allows it.
    Deny(String),
}

/// What allows something.
#[derive(Debug, Clone)]
pub enum Grant {
    /// Members of `system:masters` may do everything.
    Master,
    /// What everybody in a group may do in every installation.
    BuiltIn(&'static str),
    /// A binding.
    Binding(Arc<Held>),
}

impl Decision {
    /// Whether to go on.
    #[must_use]
    pub fn is_allowed(&self) -> bool {
        matches!(self, Self::Allow(_))
    }

    /// The sentence of a review.
    #[must_use]
    pub fn reason(&self) -> String {
        match self {
            Self::Allow(grant) => grant.to_string(),
            Self::Deny(why) => why.clone(),
        }
    }
}

/// Empty for masters, as upstream says nothing of them.
impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Master => Ok(()),
            Self::BuiltIn(group) => write!(f, "RBAC: allowed by the built-in rules of Group {group:?}"),
            Self::Binding(held) => write!(f, "RBAC: allowed by {held}"),
        }
    }
}

/// Everything that somebody may do in a namespace.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// What allows it.
    pub rules: Vec<Rule>,
    /// What kept further rules from being read; empty where nothing did.
    pub problem: String,
}

/// Rules of access.
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `who` may do what `wish` says.
    fn authorize(&self, who: &Identity, wish: &Attributes<'_>) -> Decision;

    /// All that `who` may do in a namespace and to the whole installation.
    fn rights(&self, who: &Identity, namespace: &str) -> Rights;
}

/// What upstream writes in the place of letters that mean something in HTML.
const ESCAPED: [(char, &str); 3] = [('&', "&amp;"), ('<', "&lt;"), ('>', "&gt;")];

impl Attributes<'_> {
    /// Asks the rules.
    ///
    /// # Errors
    /// 403 where nothing allows it.
    pub(crate) fn permit(&self, who: &Identity, rules: &dyn Authorizer) -> Result<(), ApiError> {
        match rules.authorize(who, self) {
            Decision::Allow(_) => Ok(()),
            Decision::Deny(why) => Err(self.refused(who, &why)),
        }
    }

    /// 403 in the words that tools parse. `why` is what kept rules from being read, or empty.
    fn refused(&self, who: &Identity, why: &str) -> ApiError {
        let mut sentence = String::new();
        for letter in self.sentence(who).chars() {
            match ESCAPED.iter().find(|(special, _)| *special == letter) {
                Some((_, written)) => sentence.push_str(written),
                None => sentence.push(letter),
            }
        }
        if !why.is_empty() {
            sentence = format!("{sentence}: {why}");
        }
        match self.object {
            Object::Path(_) => ApiError::new(Reason::Forbidden, format!("forbidden: {sentence}")),
            Object::Resource(of) => ApiError::forbidden(of.group, of.resource, of.name, &sentence),
        }
    }

    fn sentence(&self, who: &Identity) -> String {
        let (user, verb) = (&who.user, self.verb);
        let of = match self.object {
            Object::Path(path) => return format!("User {user:?} cannot {verb} path {path:?}"),
            Object::Resource(of) => of,
        };
        let slash = if of.subresource.is_empty() { "" } else { "/" };
        let place = if of.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace {:?}", of.namespace)
        };
        let resource = format!("{}{slash}{}", of.resource, of.subresource);
        format!("User {user:?} cannot {verb} resource {resource:?} in API group {:?} {place}", of.group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_read_as_upstream_words_them() {
        let bob = Identity::new("<bob>", []);
        let of = ResourceAttributes { group: "apps", resource: "deployments", name: "web", ..Default::default() };
        let wish = |of| Attributes { verb: "get", object: Object::Resource(of) };
        assert_eq!(
            wish(of).refused(&bob, "").message,
            "deployments.apps \"web\" is forbidden: User \"&lt;bob&gt;\" cannot get resource \"deployments\" in API group \
             \"apps\" at the cluster scope"
        );
        let of = ResourceAttributes { subresource: "status", namespace: "a", name: "", ..of };
        assert_eq!(
            wish(of).refused(&bob, "RBAC: broken").message,
            "deployments.apps is forbidden: User \"&lt;bob&gt;\" cannot get resource \"deployments/status\" in API group \
             \"apps\" in the namespace \"a\": RBAC: broken"
        );
        let path = Attributes { verb: "post", object: Object::Path("/metrics") };
        assert_eq!(path.refused(&bob, "").message, "forbidden: User \"&lt;bob&gt;\" cannot post path \"/metrics\"");
    }
}
