//! What the controllers asked the apiserver for: every right that they used, in all clouds of this process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use apiserver::{Attributes, Authorizer, Decision, Identity, Object, Rbac, Rights};

/// A right as it was used.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Used {
    /// Whose it was.
    pub user: String,
    /// The API group.
    pub group: String,
    /// The plural, perhaps with `/` and a subresource.
    pub resource: String,
    /// What was done to it.
    pub verb: String,
    /// Where.
    pub namespace: String,
    /// To which; empty for all.
    pub name: String,
}

static RECORD: Mutex<BTreeSet<Used>> = Mutex::new(BTreeSet::new());

/// Every right that a service account used.
#[must_use]
pub fn used() -> BTreeSet<Used> {
    RECORD.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Rules of access that remember what service accounts used.
#[derive(Debug)]
pub(crate) struct Recorded(pub(crate) Rbac);

impl Authorizer for Recorded {
    /// # Panics
    /// A service account lacks a right: a controller would only try again, and the test would not say why.
    fn authorize(&self, who: &Identity, wish: &Attributes<'_>) -> Decision {
        let decision = self.0.authorize(who, wish);
        if let (Object::Resource(of), true) = (&wish.object, who.user.starts_with("system:serviceaccount:")) {
            assert!(decision.is_allowed(), "{} lacks the right to {wish:?}", who.user);
            let slash = if of.subresource.is_empty() { "" } else { "/" };
            RECORD.lock().unwrap_or_else(PoisonError::into_inner).insert(Used {
                user: who.user.clone(),
                group: of.group.to_owned(),
                resource: format!("{}{slash}{}", of.resource, of.subresource),
                verb: wish.verb.to_owned(),
                namespace: of.namespace.to_owned(),
                name: of.name.to_owned(),
            });
        }
        decision
    }

    fn rights(&self, who: &Identity, namespace: &str) -> Rights {
        self.0.rights(who, namespace)
    }
}
