//! Decides what validating policies and their bindings are as objects (`admissionregistration.k8s.io/v1`): what is filled
//! in, and what is refused. What they allow is [`crate::policy`]'s matter.

mod binding;
mod matching;
mod policy;
#[cfg(test)]
mod tests;

use serde_json::{Value, json};

use super::{Column, Declaration, Kind, age, column, openapi};

pub(super) use self::binding::validate as validate_binding;
pub(super) use self::policy::validate as validate_policy;

/// The API group of policies.
pub(crate) const GROUP: &str = "admissionregistration.k8s.io";
/// The plural of policies.
pub(crate) const POLICIES: &str = "validatingadmissionpolicies";
/// The plural of bindings.
pub(crate) const BINDINGS: &str = "validatingadmissionpolicybindings";

/// The two kinds.
pub(super) fn kinds() -> [Kind; 2] {
    [policy::kind(), binding::kind()]
}

fn declared(
    kind: &'static str,
    plural: &'static str,
    status: bool,
    columns: Vec<Column>,
    mut openapi: Value,
    matches: &[&str],
) -> Kind {
    for rules in ["resourceRules", "excludeResourceRules"] {
        let place = [matches, &[rules]].concat();
        openapi::set_atomic_list(&mut openapi, &place);
        openapi::set_atomic_map(&mut openapi, &[&place[..], &["[]"]].concat());
        for list in ["apiGroups", "apiVersions", "operations", "resourceNames", "resources"] {
            openapi::set_atomic_list(&mut openapi, &[&place[..], &["[]", list]].concat());
        }
    }
    Declaration {
        group: GROUP,
        version: "v1",
        kind,
        plural,
        short_names: &[],
        categories: &["api-extensions"],
        namespaced: false,
        status,
        selectable_fields: &[],
        columns,
        openapi,
    }
    .into_kind_that_asks_for_its_fields()
}

/// Fills in what may be left out of a policy.
pub(super) fn prepare_policy(value: &mut Value) {
    let Some(policy) = value.as_object_mut() else { return };
    let Some(spec) = policy.entry("spec").or_insert_with(|| json!({})).as_object_mut() else { return };
    fill(spec, "failurePolicy", || "Fail".into());
    prepare_matches(spec.get_mut("matchConstraints"));
}

/// Fills in what may be left out of a binding.
pub(super) fn prepare_binding(value: &mut Value) {
    prepare_matches(value.get_mut("spec").and_then(|spec| spec.get_mut("matchResources")));
}

fn prepare_matches(matches: Option<&mut Value>) {
    let Some(matches) = matches.and_then(Value::as_object_mut) else { return };
    fill(matches, "matchPolicy", || "Equivalent".into());
    fill(matches, "namespaceSelector", || json!({}));
    fill(matches, "objectSelector", || json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        let rules = matches.get_mut(rules).and_then(Value::as_array_mut).into_iter().flatten();
        for rule in rules.filter_map(Value::as_object_mut) {
            fill(rule, "scope", || "*".into());
        }
    }
}

fn fill(map: &mut serde_json::Map<String, Value>, field: &str, value: impl FnOnce() -> Value) {
    if map.get(field).is_none_or(Value::is_null) {
        map.insert(field.to_owned(), value());
    }
}

/// The items of a list; none where there is none.
fn items<'a>(object: &'a Value, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The texts of a list.
fn texts<'a>(object: &'a Value, field: &str) -> Vec<&'a str> {
    items(object, field).iter().filter_map(Value::as_str).collect()
}

/// The text of a field; empty where there is none.
fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object.get(field).and_then(Value::as_str).unwrap_or_default()
}
