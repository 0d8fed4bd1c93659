//! Decides what a write makes of `metadata.managedFields`: who owns which field, since when.
//!
//! In: the object before and after, the entries there are, and who writes. Out: the entries after, and for an apply the
//! object too. The algebra is [`crate::patch::apply`]'s; what stands here is what Kubernetes wraps around it. It never
//! reads or writes the store.

mod ancient;
mod apply;
mod entries;
mod last_applied;
mod refusals;
mod scope;
mod times;
mod update;

#[cfg(test)]
mod tests;

pub(crate) use self::apply::{Wish, apply};
pub(crate) use self::scope::Scope;
pub(crate) use self::times::differ_in_times_only;
pub(crate) use self::update::{create, update};

/// Who writes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Author {
    /// The name that the client gives itself.
    pub(crate) manager: String,
    /// Through which of an object's endpoints; empty for its own.
    pub(crate) subresource: String,
}

/// The name under which this server itself writes: the one that tools know a server by.
const SERVER: &str = "kube-apiserver";

impl Author {
    /// This server.
    pub(crate) fn server(subresource: &str) -> Self {
        Self { manager: SERVER.to_owned(), subresource: subresource.to_owned() }
    }
}
