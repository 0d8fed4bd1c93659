//! Decides what roles and bindings are as objects (`rbac.authorization.k8s.io/v1`): their schemas, what is filled in,
//! and what is refused. What they allow is [`crate::access`]'s matter.

mod aggregation;
mod binding;
mod role;

use serde_json::Value;

use super::{Column, Declaration, Kind, column, created_at, openapi};
use crate::error::FieldError;
use crate::schema::fields::names::{NameRule, problems};
use crate::schema::words;

/// The API group of roles and bindings, and of the users and groups that bindings name.
pub(crate) const GROUP: &str = "rbac.authorization.k8s.io";

pub(super) use self::binding::{blank as blank_binding, prepare};
pub(super) use self::role::blank as blank_role;

/// The four kinds.
pub(super) fn kinds() -> [Kind; 4] {
    [role::role(), role::cluster_role(), binding::binding(), binding::cluster_binding()]
}

fn declared(kind: &'static str, plural: &'static str, namespaced: bool, columns: Vec<Column>, openapi: Value) -> Kind {
    Declaration {
        group: GROUP,
        version: "v1",
        kind,
        plural,
        short_names: &[],
        categories: &[],
        namespaced,
        status: false,
        selectable_fields: &[],
        columns,
        openapi,
    }
    .into_kind_that_asks_for_its_fields()
}

/// What is wrong with a role or a binding.
pub(super) fn validate(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match kind.plural.as_str() {
        "roles" | "clusterroles" => role::validate(kind, new),
        _ => binding::validate(kind, new, old),
    }
}

/// What is wrong with a value that is one of a path's segments, as the names of roles are.
fn path_segment(place: &str, name: &str, errors: &mut Vec<FieldError>) {
    for detail in problems(NameRule::PathSegment, name) {
        errors.push(words::invalid(place, &name.into(), &detail));
    }
}

/// The text of a field; empty where there is none.
fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// The items of a list; none where there is none.
fn items<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

#[cfg(test)]
mod tests;
