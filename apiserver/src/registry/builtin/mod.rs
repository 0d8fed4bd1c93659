//! Decides which Kubernetes kinds are compiled in: those that tools need around the kinds they came for.
//!
//! A kind here is data like any other; what little behaviour it has ([`prepare`], [`validate`]) is a function of the
//! object alone.

pub(crate) mod admission;
mod api_service;
mod computed;
mod config_map;
mod data;
mod definition;
mod event;
mod label_selector;
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

use super::{Behaviour, CellForm, Column, Kind, Origin, Version};
use crate::error::FieldError;
use crate::schema::Structural;

pub(crate) use self::api_service::object as api_service;
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
            api_service::kind(),
        ];
        kinds.into_iter().chain(rbac::kinds()).chain(admission::kinds()).chain(reviews::kinds()).map(Arc::new).collect()
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
        (admission::GROUP, admission::POLICIES) => admission::prepare_policy(value),
        (admission::GROUP, _) => admission::prepare_binding(value),
        _ => {}
    }
}

/// What is doubtful about a good object; on an update only what is new.
#[must_use]
pub fn doubts(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<String> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "secrets") => secret::doubts(new),
        ("", "serviceaccounts") => service_account::doubts(new, old),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::doubts(new, old),
        _ => Vec::new(),
    }
}

/// What every object of the kind has before anybody sets anything. Upstream's kinds are structs, and a struct inside
/// another is always there; so nobody owns it for being the first to set something in it.
pub(crate) fn blank_of(kind: &Kind) -> Value {
    match kind.review {
        _ if !kind.is_built_in() => json!({}),
        Some(review) => reviews::blank(review),
        None => blank(&kind.group, &kind.plural),
    }
}

fn blank(group: &str, plural: &str) -> Value {
    match (group, plural) {
        ("", "namespaces") => namespace::blank(),
        ("", "resourcequotas") => resource_quota::blank(),
        ("", "events") => event::blank_core(),
        ("events.k8s.io", "events") => event::blank_new(),
        ("apiextensions.k8s.io", "customresourcedefinitions") => definition::blank(),
        ("coordination.k8s.io", "leases") => json!({"spec": {}}),
        ("authentication.k8s.io", "tokenrequests") => reviews::blank_token_request(),
        (rbac::GROUP, "roles" | "clusterroles") => rbac::blank_role(),
        (rbac::GROUP, _) => rbac::blank_binding(),
        (admission::GROUP, admission::POLICIES) => json!({"spec": {}, "status": {}}),
        (admission::GROUP, _) => json!({"spec": {}}),
        _ => json!({}),
    }
}

/// Writes what is there of every object of the kind although it is empty.
pub(crate) fn fill_blank(kind: &Kind, value: &mut Value) {
    fn fill(value: &mut Value, blank: &Value) {
        let (Some(fields), Some(blank)) = (value.as_object_mut(), blank.as_object()) else { return };
        for (name, blank) in blank {
            match (fields.get_mut(name), blank) {
                (Some(Value::Null) | None, Value::Null) => {
                    fields.insert(name.clone(), Value::Null);
                }
                (None | Some(Value::Null), Value::Object(_)) => {
                    let mut inner = json!({});
                    fill(&mut inner, blank);
                    fields.insert(name.clone(), inner);
                }
                (None, Value::String(text)) if text.is_empty() => {
                    fields.insert(name.clone(), "".into());
                }
                (Some(inner), Value::Object(_)) => fill(inner, blank),
                _ => {}
            }
        }
    }
    fill(value, &blank_of(kind));
}

/// Lets a schema take the nulls that [`fill_blank`] writes.
fn allow_blank(schema: &mut Value, blank: &Value) {
    for (name, blank) in blank.as_object().into_iter().flatten() {
        let Some(place) = schema.get_mut("properties").and_then(|fields| fields.get_mut(name)) else { continue };
        match blank {
            Value::Null => place["nullable"] = true.into(),
            blank => allow_blank(place, blank),
        }
    }
}

/// What the kind itself finds wrong, beyond metadata and schema. `old` is the stored object on an update.
pub(crate) fn validate(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "namespaces") => namespace::validate(new, old),
        ("", "secrets") => secret::validate(new, old),
        ("", "events") | ("events.k8s.io", "events") => event::validate(kind, new, old),
        ("coordination.k8s.io", "leases") => lease::validate(new),
        ("", "configmaps") => config_map::validate(new, old),
        ("", "resourcequotas") => resource_quota::validate(new, old),
        ("apiextensions.k8s.io", "customresourcedefinitions") => super::custom::validate(new, old),
        (rbac::GROUP, _) => rbac::validate(kind, new, old),
        (admission::GROUP, admission::POLICIES) => admission::validate_policy(new, old),
        (admission::GROUP, _) => admission::validate_binding(new),
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
        let mut schema = schema.clone();
        allow_blank(&mut schema, &blank(self.group, self.plural));
        let schema = Structural::parse(&schema).expect("the schemas of built-in kinds are structural");
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
            behaviour: Behaviour::of(self.group, self.plural),
            verbs: vec!["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
        }
    }
}

/// A column: upstream calls all columns of its kinds texts, whatever the cells hold.
fn column(name: &str, cell: CellForm, description: &str, json_path: &str) -> Column {
    Column {
        name: name.to_owned(),
        type_: "string".to_owned(),
        format: String::new(),
        description: description.to_owned(),
        priority: 0,
        json_path: json_path.to_owned(),
        cell,
    }
}

fn wide(column: Column) -> Column {
    Column { priority: 1, ..column }
}

fn age() -> Column {
    column("Age", CellForm::Age, openapi::CREATED, ".metadata.creationTimestamp")
}

/// The only column, beside the name, of kinds that nobody thought of columns for.
fn created_at() -> Column {
    let column = column("Created At", CellForm::Text, openapi::CREATED, ".metadata.creationTimestamp");
    Column { type_: "date".to_owned(), ..column }
}

#[cfg(test)]
mod tests;
