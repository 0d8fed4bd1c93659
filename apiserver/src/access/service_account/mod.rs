//! Service accounts: the names and groups under which programs come in, and the tokens that prove it.

mod accounts;
mod claims;
mod issuers;
mod key;

pub(crate) use accounts::{Accounts, CREDENTIAL, Wish};
pub(crate) use claims::Reference;
pub use issuers::{SERVICE_ACCOUNT_ISSUER, ServiceAccountIssuers, UnusableIssuer};
pub use key::{ServiceAccountKey, UnusableKey};

use apiserver_store::{Key, ResourceId, Storage};
use jiff::SignedDuration;

use crate::admission::metadata;
use crate::schema::fields::names::{label_problems, subdomain_problems};

const PREFIX: &str = "system:serviceaccount:";
const EVERY: &str = "system:serviceaccounts";

/// How long a token counts at most: so long the key that signed it has to be kept.
pub(crate) const LONGEST_TOKEN: SignedDuration = SignedDuration::from_hours(365 * 24);

/// The user that a service account is.
pub(crate) fn user(namespace: &str, name: &str) -> String {
    format!("{PREFIX}{namespace}:{name}")
}

/// The groups that a service account of a namespace is in, beside that of all whom we know.
pub(crate) fn groups(namespace: &str) -> [String; 2] {
    [EVERY.to_owned(), format!("{EVERY}:{namespace}")]
}

/// Whether the service account of this uid is there, and not being deleted.
pub(crate) fn is_there(storage: &Storage, namespace: &str, name: &str, uid: &str) -> bool {
    let entry = storage.get(&Key::new(ResourceId::new("", "serviceaccounts"), namespace, name));
    entry.is_some_and(|entry| entry.uid.to_string() == uid && !metadata::is_deleting(&entry.value()))
}

/// Namespace and name of the service account that a user is; `None` for other users.
pub(crate) fn parts(user: &str) -> Option<(&str, &str)> {
    let (namespace, name) = user.strip_prefix(PREFIX)?.split_once(':')?;
    (label_problems(namespace).is_empty() && subdomain_problems(name).is_empty()).then_some((namespace, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_that_are_service_accounts_are_told_from_others() {
        assert_eq!(parts(&user("a", "ci.main")), Some(("a", "ci.main")));
        for other in ["bob", "system:serviceaccount:a", "system:serviceaccount:a:b:c", "system:serviceaccount::ci"] {
            assert_eq!(parts(other), None, "{other}");
        }
    }
}
