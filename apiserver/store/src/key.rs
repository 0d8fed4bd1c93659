//! How an object is addressed in the store: its resource, namespace and name. Says nothing about API versions.

use std::fmt;

/// A resource, such as `instances` of the group `compute.thecloud.dev`. All API versions of it share one id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceId {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural name in lower case.
    pub plural: String,
}

impl ResourceId {
    /// The resource `plural` of `group`.
    pub fn new(group: impl Into<String>, plural: impl Into<String>) -> ResourceId {
        ResourceId { group: group.into(), plural: plural.into() }
    }
}

impl fmt::Display for ResourceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.group.is_empty() {
            formatter.write_str(&self.plural)
        } else {
            write!(formatter, "{}.{}", self.plural, self.group)
        }
    }
}

/// The address of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// What kind of thing it is.
    pub resource: ResourceId,
    /// Its namespace; empty for objects of the whole installation.
    pub namespace: String,
    /// Its name within the namespace.
    pub name: String,
}

impl Key {
    /// The object `name` in `namespace` (empty: cluster-wide).
    pub fn new(resource: ResourceId, namespace: impl Into<String>, name: impl Into<String>) -> Key {
        Key { resource, namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            write!(formatter, "{}/{}", self.resource, self.name)
        } else {
            write!(formatter, "{}/{}/{}", self.resource, self.namespace, self.name)
        }
    }
}
