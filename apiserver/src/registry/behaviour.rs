//! Decides how verbs treat the objects of a kind where Kubernetes' own kinds differ: what an update of nothing does,
//! whether an update must say which state it is based on, what a deletion answers.

/// What differs between kinds in the verbs that all of them have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether an update of an object that isn't there makes it.
    pub creates_on_update: bool,
    /// Whether an update may leave out the revision that it is based on.
    pub updates_unconditionally: bool,
    /// Whether a deletion answers with the object that is gone.
    pub returns_deleted: bool,
    /// Whether the objects are made of what is served when somebody asks, and none is stored.
    pub is_derived: bool,
    /// Whether no refusal may repeat what an object holds.
    pub is_confidential: bool,
    /// Whether a change of `data` leaves the older content as a version.
    pub keeps_versions: bool,
}

impl Behaviour {
    /// Of a built-in kind, by its group and plural.
    #[must_use]
    pub fn of(group: &str, plural: &str) -> Self {
        let is_one_of = |kinds: &[(&str, &str)]| kinds.contains(&(group, plural));
        let is_access = group == "rbac.authorization.k8s.io";
        Self {
            creates_on_update: is_access
                || is_one_of(&[
                    ("", "events"),
                    ("events.k8s.io", "events"),
                    ("coordination.k8s.io", "leases"),
                    ("", "limitranges"),
                ]),
            updates_unconditionally: is_access
                || is_one_of(&[
                    ("", "namespaces"),
                    ("", "configmaps"),
                    ("", "secrets"),
                    ("", "serviceaccounts"),
                    ("", "events"),
                    ("events.k8s.io", "events"),
                    ("", "resourcequotas"),
                    ("", "limitranges"),
                ]),
            returns_deleted: is_one_of(&[("", "namespaces"), ("", "serviceaccounts"), ("", "resourcequotas")]),
            is_derived: is_one_of(&[("apiregistration.k8s.io", "apiservices")]),
            is_confidential: is_one_of(&[("", "secrets")]),
            keeps_versions: is_one_of(&[("", "secrets")]),
        }
    }
}
