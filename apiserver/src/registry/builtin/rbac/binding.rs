//! Bindings: who has which role. Which role that is never changes; a binding to another role is another binding.

use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, RoleBinding};
use serde_json::{Value, json};

use super::{GROUP, Kind, column, items, openapi, path_segment, text};
use crate::error::FieldError;
use crate::registry::CellForm;
use crate::registry::builtin::{age, wide};
use crate::schema::fields::names::subdomain_problems;
use crate::schema::words;

pub(super) fn binding() -> Kind {
    declared("RoleBinding", "rolebindings", true, openapi::schema::<RoleBinding>())
}

pub(super) fn cluster_binding() -> Kind {
    declared("ClusterRoleBinding", "clusterrolebindings", false, openapi::schema::<ClusterRoleBinding>())
}

fn declared(kind: &'static str, plural: &'static str, namespaced: bool, mut schema: Value) -> Kind {
    openapi::set_atomic_list(&mut schema, &["subjects"]);
    openapi::set_atomic_map(&mut schema, &["subjects", "[]"]);
    openapi::set_atomic_map(&mut schema, &["roleRef"]);
    let role = openapi::description(&schema, &["roleRef"]);
    let place = if namespaced { "roleBinding" } else { "clusterRoleBinding" };
    let subjects = |name, path| wide(column(name, CellForm::Text, &format!("{name} in the {place}"), path));
    let columns = vec![
        column("Role", CellForm::Text, &role, "=slashed .roleRef.kind .roleRef.name"),
        age(),
        subjects("Users", "=each .subjects User name"),
        subjects("Groups", "=each .subjects Group name"),
        subjects("ServiceAccounts", SERVICE_ACCOUNTS),
    ];
    super::declared(kind, plural, namespaced, columns, schema)
}

const SERVICE_ACCOUNTS: &str = "=each .subjects ServiceAccount namespace name";

/// A binding always names a role, be it none.
pub(in crate::registry::builtin) fn blank() -> Value {
    json!({"roleRef": {"apiGroup": "", "kind": "", "name": ""}})
}

/// Fills in the API groups that may be left out: those of roles, users and groups are always the same.
pub(in crate::registry::builtin) fn prepare(binding: &mut Value) {
    fn fill(reference: &mut Value) {
        if let Some(reference) = reference.as_object_mut()
            && reference.get("apiGroup").and_then(Value::as_str).unwrap_or_default().is_empty()
        {
            reference.insert("apiGroup".to_owned(), GROUP.into());
        }
    }
    if let Some(role) = binding.get_mut("roleRef") {
        fill(role);
    }
    let subjects = binding.get_mut("subjects").and_then(Value::as_array_mut);
    for subject in subjects.into_iter().flatten() {
        if matches!(text(subject, "kind"), "User" | "Group") {
            fill(subject);
        }
    }
}

pub(super) fn validate(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let role = &new["roleRef"];
    if text(role, "apiGroup") != GROUP {
        errors.push(words::not_supported("roleRef.apiGroup", &text(role, "apiGroup").into(), &[GROUP]));
    }
    let kinds: &[&str] = if kind.namespaced { &["Role", "ClusterRole"] } else { &["ClusterRole"] };
    if !kinds.contains(&text(role, "kind")) {
        errors.push(words::not_supported("roleRef.kind", &text(role, "kind").into(), kinds));
    }
    match text(role, "name") {
        "" => errors.push(words::required("roleRef.name", "")),
        name => path_segment("roleRef.name", name, &mut errors),
    }
    for (index, subject) in items(new, "subjects").iter().enumerate() {
        validate_subject(subject, kind.namespaced, &format!("subjects[{index}]"), &mut errors);
    }
    if old.is_some_and(|old| fields(&old["roleRef"]) != fields(role)) {
        let [group, kind, name] = fields(role);
        // Upstream shows its internal struct here.
        let shown = json!({"APIGroup": group, "Kind": kind, "Name": name});
        errors.push(words::invalid("roleRef", &shown, "cannot change roleRef"));
    }
    errors
}

fn fields(role: &Value) -> [&str; 3] {
    ["apiGroup", "kind", "name"].map(|field| text(role, field))
}

fn validate_subject(subject: &Value, namespaced: bool, place: &str, errors: &mut Vec<FieldError>) {
    let name = text(subject, "name");
    let group = text(subject, "apiGroup");
    if name.is_empty() {
        errors.push(words::required(format!("{place}.name"), ""));
    }
    match text(subject, "kind") {
        "ServiceAccount" => {
            if !name.is_empty() {
                for detail in subdomain_problems(name) {
                    errors.push(words::invalid(format!("{place}.name"), &name.into(), &detail));
                }
            }
            if !group.is_empty() {
                errors.push(words::not_supported(format!("{place}.apiGroup"), &group.into(), &[""]));
            }
            if !namespaced && text(subject, "namespace").is_empty() {
                errors.push(words::required(format!("{place}.namespace"), ""));
            }
        }
        kind @ ("User" | "Group") => {
            if name.is_empty() {
                let detail = format!("{} name cannot be empty", kind.to_lowercase());
                errors.push(words::invalid(format!("{place}.name"), &name.into(), &detail));
            }
            if group != GROUP {
                errors.push(words::not_supported(format!("{place}.apiGroup"), &group.into(), &[GROUP]));
            }
        }
        kind => {
            let kinds = ["ServiceAccount", "User", "Group"];
            errors.push(words::not_supported(format!("{place}.kind"), &kind.into(), &kinds));
        }
    }
}
