//! Decides whether somebody may do what they ask: the port for rules of access, and the first set of rules.

use super::{Identity, MASTERS};

/// What a request wants to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`, `impersonate`.
    pub verb: String,
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, empty for a path that is no resource.
    pub resource: String,
    /// Empty where none is meant.
    pub subresource: String,
    /// Empty for the whole installation.
    pub namespace: String,
    /// Empty where no single object is meant.
    pub name: String,
    /// The path, for what is no resource.
    pub path: String,
}

/// The answer of an [`Authorizer`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Go on.
    Allow,
    /// 403.
    Deny,
}

/// Rules of access.
pub trait Authorizer: Send + Sync + 'static {
    /// Whether `who` may do what `wish` says.
    fn authorize(&self, who: &Identity, wish: &Attributes) -> Decision;
}

/// Members of `system:masters` may do everything, everybody else nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct MastersOnly;

impl Authorizer for MastersOnly {
    fn authorize(&self, who: &Identity, _: &Attributes) -> Decision {
        if who.is_in(MASTERS) { Decision::Allow } else { Decision::Deny }
    }
}

impl Attributes {
    /// The sentence of a refusal, in the words that tools parse.
    #[must_use]
    pub fn refusal(&self, who: &Identity) -> String {
        let user = &who.user;
        if self.resource.is_empty() {
            return format!("forbidden: User \"{user}\" cannot {} path \"{}\"", self.verb, self.path);
        }
        let resource = if self.subresource.is_empty() {
            self.resource.clone()
        } else {
            format!("{}/{}", self.resource, self.subresource)
        };
        let place = if self.namespace.is_empty() {
            "at the cluster scope".to_owned()
        } else {
            format!("in the namespace \"{}\"", self.namespace)
        };
        format!("User \"{user}\" cannot {} resource \"{resource}\" in API group \"{}\" {place}", self.verb, self.group)
    }
}
