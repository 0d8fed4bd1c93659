//! Decides who is asking and whether they may: bearer tokens, impersonation, and the port for rules of access.
//!
//! In: headers and what the request wants. Out: an [`Identity`], or a refusal. It never looks at an object.

mod authenticate;
mod authorize;
mod tokens;

pub(crate) use authenticate::authenticate;
pub use authorize::{Attributes, Authorizer, Decision, MastersOnly};
pub use tokens::{TokenHash, TokenTable, generate_token};

/// The group whose members may do everything.
pub const MASTERS: &str = "system:masters";
/// The group of everybody that we know.
pub const AUTHENTICATED: &str = "system:authenticated";

/// Somebody who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// The groups that the user is in.
    pub groups: Vec<String>,
}

impl Identity {
    /// A user in these groups and in `system:authenticated`.
    #[must_use]
    pub fn new(user: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { user: user.into(), groups }
    }

    /// A part of this installation, such as `system:controller`: may do everything.
    #[must_use]
    pub fn master(user: impl Into<String>) -> Self {
        Self::new(user, [MASTERS.to_owned()])
    }

    /// Whether the user is in the group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known == group)
    }
}
