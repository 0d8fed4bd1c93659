//! Who asks: a name, groups, and what else is known of somebody.

use std::collections::BTreeMap;

use super::{AUTHENTICATED, MASTERS, service_account};

/// Somebody who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The user's name.
    pub user: String,
    /// Tells apart users who have the same name one after the other; may be empty.
    pub uid: String,
    /// The groups that the user is in.
    pub groups: Vec<String>,
    /// What else is known, by keys in lower case.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl Identity {
    /// A user in these groups and in `system:authenticated`.
    #[must_use]
    pub fn new(user: impl Into<String>, groups: impl IntoIterator<Item = String>) -> Self {
        let mut groups: Vec<String> = groups.into_iter().collect();
        if !groups.iter().any(|group| group == AUTHENTICATED) {
            groups.push(AUTHENTICATED.to_owned());
        }
        Self { user: user.into(), groups, ..Self::default() }
    }

    /// A part of this installation, such as `system:controller`: may do everything.
    #[must_use]
    pub fn master(user: impl Into<String>) -> Self {
        Self::new(user, [MASTERS.to_owned()])
    }

    /// A service account, as its token would prove.
    #[must_use]
    pub fn service_account(namespace: &str, name: &str) -> Self {
        Self::new(service_account::user(namespace, name), service_account::groups(namespace))
    }

    /// Whether the user is in the group.
    #[must_use]
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|known| known == group)
    }
}
