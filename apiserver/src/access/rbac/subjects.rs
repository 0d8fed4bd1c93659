//! A binding as access reads it: which role it gives, and to whom.

use std::fmt;
use std::sync::Arc;

use apiserver_store::Entry;
use serde::Deserialize;

use crate::access::service_account;

/// A RoleBinding, or a ClusterRoleBinding, whose namespace is empty.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Binding {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) role: RoleRef,
    pub(super) subjects: Vec<Subject>,
}

/// The role that a binding gives.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct RoleRef {
    pub(super) kind: String,
    pub(super) name: String,
}

/// Somebody that a binding names.
#[derive(Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub(super) struct Subject {
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) namespace: String,
}

/// By what a request is known to be a subject's.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Who {
    User(String),
    Group(String),
}

impl Binding {
    /// Reads a stored binding.
    pub(super) fn read(entry: &Entry) -> Self {
        #[derive(Default, Deserialize)]
        #[serde(default, rename_all = "camelCase")]
        struct Stored {
            role_ref: RoleRef,
            subjects: Option<Vec<Subject>>,
        }
        // What is stored was validated; what isn't a binding all the same gives nobody anything.
        let Stored { role_ref, subjects } = serde_json::from_slice(&entry.body).unwrap_or_default();
        Self {
            namespace: entry.key.namespace.clone(),
            name: entry.key.name.clone(),
            role: role_ref,
            subjects: subjects.unwrap_or_default(),
        }
    }

    /// Whom a subject means; nobody where it says too little.
    pub(super) fn who(&self, subject: &Subject) -> Option<Who> {
        match subject.kind.as_str() {
            "User" => Some(Who::User(subject.name.clone())),
            "Group" => Some(Who::Group(subject.name.clone())),
            "ServiceAccount" => {
                let namespace = self.namespace_of(subject);
                (!namespace.is_empty()).then(|| Who::User(service_account::user(namespace, &subject.name)))
            }
            _ => None,
        }
    }

    /// A service account without a namespace is one of the binding's.
    fn namespace_of<'a>(&'a self, subject: &'a Subject) -> &'a str {
        if subject.namespace.is_empty() { &self.namespace } else { &subject.namespace }
    }
}

/// What one of a binding's subjects has of it.
#[derive(Debug)]
pub struct Held {
    pub(super) binding: Arc<Binding>,
    /// Which of the binding's subjects.
    pub(super) subject: usize,
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Binding { namespace, name, role, subjects } = &*self.binding;
        if namespace.is_empty() {
            write!(f, "ClusterRoleBinding {name:?}")?;
        } else {
            write!(f, "RoleBinding {:?}", format!("{name}/{namespace}"))?;
        }
        write!(f, " of {} {:?} to ", role.kind, role.name)?;
        let Some(subject) = subjects.get(self.subject) else { return Ok(()) };
        if subject.kind == "ServiceAccount" {
            let name = format!("{}/{}", subject.name, self.binding.namespace_of(subject));
            return write!(f, "{} {name:?}", subject.kind);
        }
        write!(f, "{} {:?}", subject.kind, subject.name)
    }
}
