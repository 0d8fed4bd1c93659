//! Decides which Kubernetes kinds are compiled in: those that tools need around the kinds they came for.
//!
//! A kind here is data like any other; what little behaviour it has ([`prepare`], [`validate`]) is a function of the
//! object alone.

mod computed;
mod config_map;
mod data;
mod definition;
mod event;
mod lease;
mod namespace;
mod openapi;
pub(crate) mod rbac;
mod resource_quota;
mod reviews;
mod secret;
mod service_account;

use std::sync::{Arc, OnceLock};

use serde_json::{Value, json};

use super::{Column, Kind, Origin, Version};
use crate::error::FieldError;
use crate::schema::Structural;

pub use self::computed::Computed;
pub(crate) use self::event::{core_from_new as event_from_new, new_from_core as event_to_new};
pub(crate) use self::resource_quota::is_quota_name;
pub(crate) use self::reviews::token_request;

/// All built-in kinds. They are made once and shared.
#[must_use]
pub fn kinds() -> Vec<Arc<Kind>> {
    static KINDS: OnceLock<Vec<Arc<Kind>>> = OnceLock::new();
    let make = || {
        let kinds = [
            namespace::kind(),
            secret::kind(),
            config_map::kind(),
            event::core_kind(),
            event::new_kind(),
            lease::kind(),
            resource_quota::kind(),
            definition::kind(),
            service_account::kind(),
        ];
        kinds.into_iter().chain(rbac::kinds()).chain(reviews::kinds()).map(Arc::new).collect()
    };
    KINDS.get_or_init(make).clone()
}

/// Rewrites what a client sent into what is stored, after defaulting and before validation: a Secret's `stringData`
/// is folded into `data`, and the like. Doing it twice changes nothing more.
pub fn prepare(kind: &Kind, value: &mut Value) {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => namespace::prepare(value),
        ("", "secrets") => secret::prepare(value),
        ("", "resourcequotas") => resource_quota::prepare(value),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::prepare(value),
        (rbac::GROUP, "rolebindings" | "clusterrolebindings") => rbac::prepare(value),
        _ => {}
    }
}

/// What every object of the kind has before anybody sets anything. Upstream's kinds are structs, and a struct inside
/// another is always there; so nobody owns it for being the first to set something in it.
pub(crate) fn blank(kind: &Kind) -> Value {
    if !kind.is_built_in() {
        return json!({});
    }
    if let Some(review) = kind.review {
        return reviews::blank(review);
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => namespace::blank(),
        ("", "resourcequotas") => resource_quota::blank(),
        ("", "events") | ("events.k8s.io", "events") => event::blank(kind),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::blank(),
        ("coordination.k8s.io", "leases") => json!({"spec": {}}),
        ("authentication.k8s.io", "tokenrequests") => reviews::blank_token_request(),
        (rbac::GROUP, "roles" | "clusterroles") => rbac::blank_role(),
        (rbac::GROUP, _) => rbac::blank_binding(),
        _ => json!({}),
    }
}

/// What the kind itself finds wrong, beyond metadata and schema. `old` is the stored object on an update.
pub(crate) fn validate(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => secret::validate(new, old),
        ("", "configmaps") => config_map::validate(new, old),
        ("", "resourcequotas") => resource_quota::validate(new, old),
        ("apiextensions.k8s.io", "customresourcedefinitions") => super::custom::validate(new, old),
        (rbac::GROUP, _) => rbac::validate(kind, new, old),
        _ => Vec::new(),
    }
}

/// What differs from kind to kind.
struct Declaration {
    group: &'static str,
    version: &'static str,
    kind: &'static str,
    plural: &'static str,
    short_names: &'static [&'static str],
    categories: &'static [&'static str],
    namespaced: bool,
    status: bool,
    selectable_fields: &'static [&'static str],
    columns: Vec<Column>,
    openapi: Value,
}

impl Declaration {
    fn into_kind(self) -> Kind {
        let schema = self.openapi.clone();
        self.validated_by(&schema)
    }

    /// Of a kind whose [`validate`] says what is missing.
    fn into_kind_that_asks_for_its_fields(self) -> Kind {
        let schema = openapi::without_required(self.openapi.clone());
        self.validated_by(&schema)
    }

    fn validated_by(self, schema: &Value) -> Kind {
        let schema = Structural::parse(schema).expect("the schemas of built-in kinds are structural");
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        Kind {
            group: self.group.to_owned(),
            plural: self.plural.to_owned(),
            singular: self.kind.to_lowercase(),
            kind: self.kind.to_owned(),
            list_kind: format!("{}List", self.kind),
            short_names: owned(self.short_names),
            categories: owned(self.categories),
            namespaced: self.namespaced,
            versions: vec![Version {
                name: self.version.to_owned(),
                served: true,
                deprecation: None,
                schema: Arc::new(schema),
                openapi: Arc::new(openapi::published(self.openapi)),
                columns: self.columns,
                status: self.status,
                scale: None,
                selectable_fields: owned(self.selectable_fields),
            }],
            storage_version: self.version.to_owned(),
            origin: Origin::BuiltIn,
            connects: Vec::new(),
            charges: Vec::new(),
            stored_as: None,
            review: None,
            verbs: vec!["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }
    }
}

fn column(name: &str, type_: &str, description: &str, json_path: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_: type_.to_owned(),
        format: String::new(),
        description: description.to_owned(),
        priority: 0,
        json_path: json_path.to_owned(),
    }
}

fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

fn age() -> Column {
    column("Age", "date", "How long ago the object was created.", ".metadata.creationTimestamp")
}

#[cfg(test)]
mod tests;
