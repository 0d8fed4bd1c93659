//! Decides what an APIService is: that a version of a group is served, and from where. Here everything is served by
//! the server itself, so each is made of what is served and none is ever written.

use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1::APIService;
use serde_json::{Value, json};

use super::{CellForm, Declaration, Kind, age, column, openapi};

const GROUP: &str = "apiregistration.k8s.io";

/// How upstream ranks its own groups: a number for the group and, but for the core group, one for the version.
const RANKS: [(&str, i64); 9] = [
    ("", 18_000),
    ("events.k8s.io", 17_750),
    ("authentication.k8s.io", 17_700),
    ("authorization.k8s.io", 17_600),
    ("rbac.authorization.k8s.io", 17_000),
    ("apiextensions.k8s.io", 16_700),
    ("admissionregistration.k8s.io", 16_700),
    ("coordination.k8s.io", 16_500),
    // Groups of definitions.
    ("*", 1_000),
];

pub(super) fn kind() -> Kind {
    let mut schema = openapi::schema::<APIService>();
    openapi::set(&mut schema, &["status", "conditions"], "x-kubernetes-list-type", "map".into());
    openapi::set(&mut schema, &["status", "conditions"], "x-kubernetes-list-map-keys", json!(["type"]));
    let description = |fields: &[&str]| openapi::description(&schema, fields);
    let available = ".status.conditions[?(@.type==\"Available\")].status";
    let columns = vec![
        column("Service", CellForm::Text, &description(&["spec", "service"]), "=local .spec.service"),
        column("Available", CellForm::Text, &description(&["status", "conditions"]), available),
        age(),
    ];
    let kind = Declaration {
        group: GROUP,
        version: "v1",
        kind: "APIService",
        plural: "apiservices",
        short_names: &[],
        categories: &["api-extensions"],
        namespaced: false,
        status: false,
        selectable_fields: &[],
        columns,
        openapi: schema,
    }
    .into_kind();
    Kind { verbs: vec!["get", "list"], ..kind }
}

/// The object that says that a version of a group is served since then; `None` for the group of these objects itself,
/// which upstream doesn't list either.
pub(crate) fn object(group: &str, version: &str, is_built_in: bool, since: &Value) -> Option<Value> {
    if group == GROUP {
        return None;
    }
    let sought = if is_built_in { group } else { "*" };
    let (_, rank) = RANKS.iter().find(|(known, _)| *known == sought)?;
    let version_rank = match (is_built_in, group, version) {
        (false, ..) => 100,
        (true, "", _) => 1,
        (true, _, version) if version.contains("beta") => 9,
        _ => 15,
    };
    let mut object = json!({
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {
            "name": format!("{version}.{group}"),
            "labels": {"kube-aggregator.kubernetes.io/automanaged": if is_built_in { "onstart" } else { "true" }},
            "creationTimestamp": since,
        },
        "spec": {"version": version, "groupPriorityMinimum": rank, "versionPriority": version_rank},
        "status": {"conditions": [{
            "type": "Available",
            "status": "True",
            "lastTransitionTime": since,
            "reason": "Local",
            "message": "Local APIServices are always available",
        }]},
    });
    if !group.is_empty() {
        object["spec"]["group"] = group.into();
    }
    Some(object)
}
