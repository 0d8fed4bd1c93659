//! What is written to: a kind in the version of the request, through one of its endpoints.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::patch::apply::managers::{Unconvertible, Versions};
use crate::patch::apply::reconcile::of_fields;
use crate::patch::apply::set::Set;
use crate::registry::{Kind, Version, builtin};
use crate::schema::merging::{TypeId, Types};

/// A kind in one of its versions, behind one of its endpoints.
pub(crate) struct Scope<'a> {
    pub(super) kind: &'a Kind,
    /// `group/version`
    pub(super) version: String,
    ignored: Option<Set>,
}

impl<'a> Scope<'a> {
    /// `subresource` is empty for the object's own endpoint.
    pub(crate) fn new(kind: &'a Kind, version: &Version, subresource: &str) -> Self {
        let ignored = match subresource {
            "" if version.status => Some(of_fields(&["status"])),
            "status" => Some(of_fields(&["metadata", "spec"])),
            _ => None,
        };
        Self { kind, version: kind.api_version(&version.name), ignored }
    }

    /// An object of the kind before anybody set anything. Fields that the kind always has are nobody's.
    pub(super) fn blank(&self) -> Value {
        let mut blank = builtin::blank_of(self.kind);
        blank["apiVersion"] = self.version.as_str().into();
        blank["kind"] = self.kind.kind.as_str().into();
        if !blank["metadata"].is_object() {
            blank["metadata"] = json!({});
        }
        blank
    }

    fn find(&self, version: &str) -> Option<&'a Version> {
        let name = match version.rsplit_once('/') {
            Some((group, name)) => (group == self.kind.group).then_some(name)?,
            None => self.kind.group.is_empty().then_some(version)?,
        };
        self.kind.version(name)
    }
}

impl Versions for Scope<'_> {
    fn types(&self, version: &str) -> Option<(&Types, TypeId)> {
        let merging = self.find(version)?.schema.merging();
        Some((&merging.types, merging.root))
    }

    /// Versions differ in their name only, and that is nobody's.
    fn convert<'a>(&self, value: &'a Value, _from: &str, to: &str) -> Result<Cow<'a, Value>, Unconvertible> {
        if self.find(to).is_some() { Ok(Cow::Borrowed(value)) } else { Err(Unconvertible::Gone) }
    }

    fn ignored(&self, _version: &str) -> Option<&Set> {
        self.ignored.as_ref()
    }
}
