//! Roles: lists of rules, of a namespace or of the whole installation.

use k8s_openapi::api::rbac::v1::{ClusterRole, Role};
use serde_json::{Value, json};

use super::{Kind, aggregation, created_at, items, openapi};
use crate::error::FieldError;
use crate::schema::words;

/// The lists of a rule.
const LISTS: [&str; 5] = ["apiGroups", "nonResourceURLs", "resourceNames", "resources", "verbs"];

pub(super) fn role() -> Kind {
    declared("Role", "roles", true, openapi::schema::<Role>())
}

pub(super) fn cluster_role() -> Kind {
    let mut schema = openapi::schema::<ClusterRole>();
    openapi::set_atomic_list(&mut schema, &["aggregationRule", "clusterRoleSelectors"]);
    declared("ClusterRole", "clusterroles", false, schema)
}

fn declared(kind: &'static str, plural: &'static str, namespaced: bool, mut schema: Value) -> Kind {
    openapi::set_atomic_list(&mut schema, &["rules"]);
    for list in LISTS {
        openapi::set_atomic_list(&mut schema, &["rules", "[]", list]);
    }
    super::declared(kind, plural, namespaced, vec![created_at()], schema)
}

/// A role always has its rules, be they none.
pub(in crate::registry::builtin) fn blank() -> Value {
    json!({"rules": null})
}

pub(super) fn validate(kind: &Kind, role: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (index, rule) in items(role, "rules").iter().enumerate() {
        validate_rule(rule, kind.namespaced, &format!("rules[{index}]"), &mut errors);
    }
    if let Some(aggregation) = role.get("aggregationRule").filter(|rule| rule.is_object()) {
        aggregation::validate(aggregation, &mut errors);
    }
    errors
}

fn validate_rule(rule: &Value, namespaced: bool, place: &str, errors: &mut Vec<FieldError>) {
    let is_empty = |list: &str| items(rule, list).is_empty();
    if is_empty("verbs") {
        errors.push(words::required(format!("{place}.verbs"), "verbs must contain at least one value"));
    }
    if !is_empty("nonResourceURLs") {
        let urls = &rule["nonResourceURLs"];
        let place = format!("{place}.nonResourceURLs");
        if namespaced {
            errors.push(words::invalid(&place, urls, "namespaced rules cannot apply to non-resource URLs"));
        }
        if !(is_empty("apiGroups") && is_empty("resources") && is_empty("resourceNames")) {
            let detail = "rules cannot apply to both regular resources and non-resource URLs";
            errors.push(words::invalid(&place, urls, detail));
        }
        return;
    }
    if is_empty("apiGroups") {
        errors.push(words::required(format!("{place}.apiGroups"), "resource rules must supply at least one api group"));
    }
    if is_empty("resources") {
        errors.push(words::required(format!("{place}.resources"), "resource rules must supply at least one resource"));
    }
}
