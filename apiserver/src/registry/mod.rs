//! Decides which kinds are served: an immutable table of [`Kind`]s, swapped whole when a CustomResourceDefinition
//! comes or goes. Kinds are data; no verb knows one. It never touches the store.

mod behaviour;
pub mod builtin;
mod charges;
pub mod convert;
pub mod custom;

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver_store::ResourceId;
use serde_json::Value;

use crate::schema::Structural;

pub use self::behaviour::Behaviour;
pub use self::charges::{CHARGES, Charge, Reference, Source};

/// Where a kind comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Compiled in: the Kubernetes kinds that tools expect.
    BuiltIn,
    /// Declared by the CustomResourceDefinition of this uid.
    Custom {
        /// The CustomResourceDefinition's uid.
        uid: String,
    },
}

/// One served resource type: its names and its versions.
#[derive(Debug)]
pub struct Kind {
    /// The API group; empty for the core group.
    pub group: String,
    /// `instances`
    pub plural: String,
    /// `instance`
    pub singular: String,
    /// `Instance`
    pub kind: String,
    /// `InstanceList`
    pub list_kind: String,
    /// `inst`
    pub short_names: Vec<String>,
    /// `all`, `cloud`
    pub categories: Vec<String>,
    /// Whether objects live in a namespace.
    pub namespaced: bool,
    /// All versions, in Kubernetes' order of preference (the first served one is preferred).
    pub versions: Vec<Version>,
    /// The version that objects are stored in.
    pub storage_version: String,
    /// Where the kind comes from.
    pub origin: Origin,
    /// Connect subresources (`log`, `exec`, ...), declared by the annotation `thecloud.dev/connect` on the
    /// CustomResourceDefinition as a comma-separated list.
    pub connects: Vec<String>,
    /// What the objects count for in a ResourceQuota beyond their number, declared by the annotation [`CHARGES`].
    pub charges: Vec<Charge>,
    /// Set where objects are kept under another resource: one stored object is then served as two kinds, and
    /// [`convert`] translates.
    pub stored_as: Option<ResourceId>,
    /// Set where creating an object asks something, and nothing is stored.
    pub review: Option<Review>,
    /// What its verbs do otherwise than others'.
    pub behaviour: Behaviour,
    /// Verbs served, as discovery lists them. Review kinds only have `create`.
    pub verbs: Vec<&'static str>,
}

/// What is asked by creating an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Review {
    /// Whether somebody may do something.
    SubjectAccess,
    /// The same, of a namespace: whoever may ask there need not be allowed to ask everywhere.
    LocalSubjectAccess,
    /// Whether the one who asks may do something.
    SelfSubjectAccess,
    /// What the one who asks may do in a namespace.
    SelfSubjectRules,
    /// Who asks.
    SelfSubject,
    /// Whose a token is.
    Token,
}

/// One version of a kind.
#[derive(Debug)]
pub struct Version {
    /// `v1alpha1`
    pub name: String,
    /// Whether requests for it are answered.
    pub served: bool,
    /// A warning for every request, where the version is deprecated.
    pub deprecation: Option<String>,
    /// What prunes, defaults and validates objects.
    pub schema: Arc<Structural>,
    /// The OpenAPI v3 schema as published (the CRD's `openAPIV3Schema`, or made for a built-in).
    pub openapi: Arc<Value>,
    /// The printer columns after NAME.
    pub columns: Vec<Column>,
    /// Whether `/status` is served apart from the object.
    pub status: bool,
    /// Set where `/scale` is served.
    pub scale: Option<Scale>,
    /// Field-selector paths beyond `metadata.name` and `metadata.namespace`, without a leading dot.
    pub selectable_fields: Vec<String>,
}

/// A printer column, as `additionalPrinterColumns` declares it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// The heading.
    pub name: String,
    /// `string`, `integer`, `number`, `boolean` or `date`.
    pub type_: String,
    /// OpenAPI format, or empty.
    pub format: String,
    /// For people.
    pub description: String,
    /// 0 shows always, above 0 only with `-o wide`.
    pub priority: i64,
    /// kubectl's JSONPath.
    pub json_path: String,
    /// What its cells are made of the value.
    pub cell: CellForm,
}

/// How a cell is made of the value at a column's path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CellForm {
    /// As the column's type says; null where there is nothing or something else.
    #[default]
    Typed,
    /// A text, empty where there is nothing.
    Text,
    /// A whole number.
    Count,
    /// How long ago it was.
    Age,
}

/// Where `/scale` finds its numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scale {
    /// Under `.spec.`
    pub spec_replicas_path: String,
    /// Under `.status.`
    pub status_replicas_path: String,
    /// Under `.status.` or `.spec.`, a label selector as a string.
    pub label_selector_path: Option<String>,
}

impl Kind {
    /// The key of this kind's objects in the store.
    #[must_use]
    pub fn resource(&self) -> ResourceId {
        self.stored_as.clone().unwrap_or_else(|| self.served_as())
    }

    /// The group and plural that clients ask for.
    fn served_as(&self) -> ResourceId {
        ResourceId { group: self.group.clone(), plural: self.plural.clone() }
    }

    /// A served version by its name.
    #[must_use]
    pub fn version(&self, name: &str) -> Option<&Version> {
        self.versions.iter().find(|v| v.served && v.name == name)
    }

    /// `group/version`, or the bare version in the core group.
    #[must_use]
    pub fn api_version(&self, version: &str) -> String {
        if self.group.is_empty() { version.to_owned() } else { format!("{}/{version}", self.group) }
    }

    /// Whether the kind is compiled in.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.origin == Origin::BuiltIn
    }
}

/// All kinds served at one moment.
#[derive(Debug, Default)]
pub struct Registry {
    kinds: BTreeMap<ResourceId, Arc<Kind>>,
}

impl Registry {
    /// A table of these kinds; a later one of the same group and plural replaces an earlier.
    #[must_use]
    pub fn new(kinds: impl IntoIterator<Item = Arc<Kind>>) -> Self {
        Self { kinds: kinds.into_iter().map(|kind| (kind.served_as(), kind)).collect() }
    }

    /// The kind of a resource path.
    #[must_use]
    pub fn kind(&self, group: &str, plural: &str) -> Option<&Arc<Kind>> {
        self.kinds.get(&ResourceId { group: group.to_owned(), plural: plural.to_owned() })
    }

    /// Whether a group is Kubernetes' own: upstream serves those by a router of their own.
    #[must_use]
    pub fn is_built_in(&self, group: &str) -> bool {
        group.is_empty() || self.kinds.values().any(|kind| kind.group == group && kind.is_built_in())
    }

    /// Every kind, sorted by group and plural.
    pub fn kinds(&self) -> impl Iterator<Item = &Arc<Kind>> {
        self.kinds.values()
    }
}
