//! Decides what an object looks like after a patch: one file a patch type, each a pure function of the current
//! object and the patch. It never reads or writes the store, and never checks the result against a schema.
//!
//! Server-side apply also decides who owns which fields.

pub(crate) mod apply;
pub mod json;
pub mod merge;
pub mod strategic;

use crate::registry::Kind;

/// The patch languages that PATCH understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatchType {
    /// RFC 6902.
    Json,
    /// RFC 7386.
    Merge,
    /// Kubernetes' merge with list keys.
    Strategic,
    /// Server-side apply.
    Apply,
}

impl PatchType {
    /// The types that a kind takes, in the order in which messages list them.
    #[must_use]
    pub fn of(kind: &Kind) -> &'static [Self] {
        if kind.is_built_in() {
            &[Self::Json, Self::Merge, Self::Strategic, Self::Apply]
        } else {
            &[Self::Json, Self::Merge, Self::Apply]
        }
    }

    /// The `Content-Type` of such a patch.
    #[must_use]
    pub fn media_type(self) -> &'static str {
        match self {
            Self::Json => "application/json-patch+json",
            Self::Merge => "application/merge-patch+json",
            Self::Strategic => "application/strategic-merge-patch+json",
            Self::Apply => "application/apply-patch+yaml",
        }
    }
}
