//! Decides what a ServiceAccount is: a name that programs come in under. What proves it are tokens, which
//! [`crate::access`] signs.

use k8s_openapi::api::core::v1::ServiceAccount;
use serde_json::{Value, json};

use super::{CellForm, Declaration, Kind, age, column, openapi};

pub(super) fn kind() -> Kind {
    let mut schema = openapi::schema::<ServiceAccount>();
    openapi::set_atomic_list(&mut schema, &["imagePullSecrets"]);
    openapi::set_atomic_map(&mut schema, &["imagePullSecrets", "[]"]);
    openapi::set_atomic_map(&mut schema, &["secrets", "[]"]);
    for (key, value) in [
        ("x-kubernetes-list-type", json!("map")),
        ("x-kubernetes-list-map-keys", json!(["name"])),
        ("x-kubernetes-patch-merge-key", json!("name")),
        ("x-kubernetes-patch-strategy", json!("merge")),
    ] {
        openapi::set(&mut schema, &["secrets"], key, value);
    }
    // What tells the items of a list apart is never missing.
    openapi::set(&mut schema, &["secrets", "[]"], "required", json!(["name"]));
    let secrets = openapi::description(&schema, &["secrets"]);
    Declaration {
        group: "",
        version: "v1",
        kind: "ServiceAccount",
        plural: "serviceaccounts",
        short_names: &["sa"],
        categories: &[],
        namespaced: true,
        status: false,
        selectable_fields: &[],
        columns: vec![column("Secrets", CellForm::Count, &secrets, "=count .secrets"), age()],
        openapi: schema,
    }
    .into_kind()
}

/// The annotation that limits which Secrets Pods mount: on its way out upstream, and of no use here.
const MOUNTABLE: &str = "kubernetes.io/enforce-mountable-secrets";

/// What is doubtful about a new or changed ServiceAccount.
pub(super) fn doubts(new: &Value, old: Option<&Value>) -> Vec<String> {
    let has = |object: &Value| object["metadata"]["annotations"].get(MOUNTABLE).is_some();
    if !has(new) || old.is_some_and(has) {
        return Vec::new();
    }
    vec![format!(
        "metadata.annotations[{MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted \
         secrets"
    )]
}
