//! Decides what merging, as server-side apply does it, needs to know of a schema.
//!
//! [`types`] is the language, [`declared`] reads a structural schema into it. Nothing here merges.

mod declared;
mod types;

pub(super) use self::declared::declared;
pub(crate) use self::types::{Field, List, Map, Relationship, Scalar, Shape, Type, TypeId, Types, equal};

/// The types of a schema, with the one of its objects.
#[derive(Debug, Clone)]
pub(crate) struct Merging {
    pub(crate) types: Types,
    pub(crate) root: TypeId,
}
