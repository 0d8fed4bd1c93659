//! How each list of the built-in kinds is merged. A list that isn't here is replaced as a whole.

use crate::registry::Kind;
use crate::registry::builtin::admission::GROUP as ADMISSION;

/// How a list is merged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Replaced.
    Replace,
    /// A set of plain values.
    Set,
    /// A map of objects by one of their fields.
    Keyed(&'static str),
}

/// Lists of every kind.
const METADATA: [(&str, Strategy); 2] =
    [("metadata.ownerReferences", Strategy::Keyed("uid")), ("metadata.finalizers", Strategy::Set)];

/// Lists of one kind: group, kind, path. Only what upstream's Go types tag with a patch strategy: the conditions of a
/// CustomResourceDefinition, for one, are not.
const BY_KIND: [(&str, &str, &str, Strategy); 5] = [
    ("", "Namespace", "status.conditions", Strategy::Keyed("type")),
    ("", "ServiceAccount", "secrets", Strategy::Keyed("name")),
    (ADMISSION, "ValidatingAdmissionPolicy", "spec.matchConditions", Strategy::Keyed("name")),
    (ADMISSION, "ValidatingAdmissionPolicy", "spec.variables", Strategy::Keyed("name")),
    ("apiregistration.k8s.io", "APIService", "status.conditions", Strategy::Keyed("type")),
];

/// Where in an object the merge is.
pub(super) struct Position<'a> {
    kind: &'a Kind,
    path: String,
}

impl<'a> Position<'a> {
    pub(super) fn root(kind: &'a Kind) -> Self {
        Self { kind, path: String::new() }
    }

    /// The field below.
    pub(super) fn field(&self, name: &str) -> Self {
        let path = if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) };
        Self { kind: self.kind, path }
    }

    /// The strategy of the list that is here.
    pub(super) fn strategy(&self) -> Strategy {
        let of_kind = BY_KIND
            .iter()
            .find(|(group, kind, path, _)| *group == self.kind.group && *kind == self.kind.kind && *path == self.path)
            .map(|(.., strategy)| *strategy);
        let of_all = || METADATA.iter().find(|(path, _)| *path == self.path).map(|(_, strategy)| *strategy);
        of_kind.or_else(of_all).unwrap_or(Strategy::Replace)
    }
}
