//! The roles that every installation ships, made of the kinds there are: `cloud-viewer`, `cloud-editor` and
//! `cloud-admin`, given in a namespace by a RoleBinding or everywhere by a ClusterRoleBinding.
//!
//! They gather by upstream's labels, so that whoever adds a kind can add it to them, and charts that do so for `view`,
//! `edit` and `admin` do it here too.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::{Value, json};

use crate::{CONNECT, GROUP, all};

const RBAC: &str = "rbac.authorization.k8s.io";
const READ: [&str; 3] = ["get", "list", "watch"];
const WRITE: [&str; 5] = ["create", "delete", "deletecollection", "patch", "update"];
/// What everybody known may read: what machines are made of.
const CATALOG: [&str; 2] = ["clusterimages", "instancetypes"];
/// The connect subresources that only look.
const LOOKS: [&str; 2] = ["log", "metrics"];

/// Who may read what proves service accounts' tokens. Name and rules are upstream's.
const ISSUER_DISCOVERY: &str = "system:service-account-issuer-discovery";
const ISSUER_PATHS: [&str; 4] =
    ["/.well-known/openid-configuration", "/.well-known/openid-configuration/", "/openid/v1/jwks", "/openid/v1/jwks/"];

/// Every shipped role and binding, in the order in which they are installed.
#[must_use]
pub fn shipped() -> Vec<Value> {
    vec![
        role(
            "cluster-admin",
            None,
            json!([
                {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]},
                {"verbs": ["*"], "nonResourceURLs": ["*"]},
            ]),
        ),
        role("system:aggregate-to-cloud-viewer", Some("view"), viewer()),
        role("system:aggregate-to-cloud-editor", Some("edit"), editor()),
        role("system:aggregate-to-cloud-admin", Some("admin"), admin()),
        gathering("cloud-viewer", "view", Some("edit")),
        gathering("cloud-editor", "edit", Some("admin")),
        gathering("cloud-admin", "admin", None),
        role("system:catalog-reader", None, json!([rule(&READ, GROUP, CATALOG)])),
        binding("system:catalog-reader", "system:authenticated"),
        role(ISSUER_DISCOVERY, None, json!([{"verbs": ["get"], "nonResourceURLs": ISSUER_PATHS}])),
        binding(ISSUER_DISCOVERY, "system:serviceaccounts"),
    ]
}

/// Everything but Secrets and what opens a session.
fn viewer() -> Value {
    let ours = plurals(Scope::Any).into_iter().flat_map(|plural| {
        let status = format!("{plural}/status");
        [plural, status]
    });
    let core = ["configmaps", "events", "namespaces", "resourcequotas", "resourcequotas/status", "serviceaccounts"];
    json!([
        rule(&READ, GROUP, ours),
        rule(&["get"], GROUP, connects(|subresource| LOOKS.contains(&subresource))),
        rule(&READ, "", core),
        rule(&READ, "events.k8s.io", ["events"]),
    ])
}

/// Changes what is in a namespace, reads its Secrets with their versions and goes into its machines, but gives nobody rights.
fn editor() -> Value {
    json!([
        rule(&WRITE, GROUP, plurals(Scope::Namespaced)),
        // A session begins with a GET, and needs both.
        rule(&["create", "get"], GROUP, connects(|subresource| !LOOKS.contains(&subresource))),
        rule(&WRITE, "", ["configmaps", "secrets", "serviceaccounts"]),
        rule(&READ, "", ["secrets"]),
        rule(&["get"], "", ["secrets/versions"]),
        rule(&[&READ[..], &WRITE[..]].concat(), "coordination.k8s.io", ["leases"]),
    ])
}

/// Gives roles, and stands for the namespace's service accounts, which may have any of them. Where it is given
/// everywhere, it changes the kinds of the whole installation.
fn admin() -> Value {
    json!([
        rule(&[&READ[..], &WRITE[..]].concat(), RBAC, ["rolebindings", "roles"]),
        rule(&["create"], "authorization.k8s.io", ["localsubjectaccessreviews"]),
        rule(&["create"], "", ["serviceaccounts/token"]),
        rule(&["impersonate"], "", ["serviceaccounts"]),
        rule(&WRITE, GROUP, plurals(Scope::Cluster)),
    ])
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    Any,
    Namespaced,
    Cluster,
}

fn plurals(scope: Scope) -> Vec<String> {
    let is_meant = |crd: &CustomResourceDefinition| {
        scope == Scope::Any || (crd.spec.scope == "Namespaced") == (scope == Scope::Namespaced)
    };
    all().into_iter().filter(|crd| !is_reserved(crd)).filter(is_meant).map(|crd| crd.spec.names.plural).collect()
}

/// Whether a kind says who comes in, or lets machines out of their bounds: only `cluster-admin` may see and change it.
fn is_reserved(crd: &CustomResourceDefinition) -> bool {
    matches!(crd.spec.names.kind.as_str(), "User" | "ApiKey" | "InstancePolicy")
}

/// `plural/subresource` of the connect subresources that are wanted.
fn connects(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let of = |crd: CustomResourceDefinition| -> Vec<String> {
        let listed = crd.metadata.annotations.unwrap_or_default().remove(CONNECT).unwrap_or_default();
        let named = listed.split(',').filter(|name| !name.is_empty() && wanted(name));
        named.map(|name| format!("{}/{name}", crd.spec.names.plural)).collect()
    };
    all().into_iter().flat_map(of).collect()
}

fn rule<R: Into<String>>(verbs: &[&str], group: &str, resources: impl IntoIterator<Item = R>) -> Value {
    let resources: Vec<String> = resources.into_iter().map(Into::into).collect();
    json!({"apiGroups": [group], "resources": resources, "verbs": verbs})
}

/// A ClusterRole whose rules one of the gathering roles gets.
fn role(name: &str, part_of: Option<&str>, rules: Value) -> Value {
    object("ClusterRole", name, part_of, json!({"rules": rules}))
}

/// Gives a ClusterRole to a group, everywhere, by a binding of the role's name.
fn binding(role: &str, group: &str) -> Value {
    object(
        "ClusterRoleBinding",
        role,
        None,
        json!({
            "roleRef": {"apiGroup": RBAC, "kind": "ClusterRole", "name": role},
            "subjects": [{"apiGroup": RBAC, "kind": "Group", "name": group}],
        }),
    )
}

/// A ClusterRole that gathers what is labelled for it, and is itself gathered by the next.
fn gathering(name: &str, label: &str, part_of: Option<&str>) -> Value {
    let selector = json!({"matchLabels": {aggregate_to(label): "true"}});
    object(
        "ClusterRole",
        name,
        part_of,
        json!({"aggregationRule": {"clusterRoleSelectors": [selector]}, "rules": null}),
    )
}

fn aggregate_to(label: &str) -> String {
    format!("{RBAC}/aggregate-to-{label}")
}

fn object(kind: &str, name: &str, part_of: Option<&str>, content: Value) -> Value {
    let mut object = content;
    object["apiVersion"] = format!("{RBAC}/v1").into();
    object["kind"] = kind.into();
    object["metadata"] = json!({
        "name": name,
        "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
        "annotations": {"rbac.authorization.kubernetes.io/autoupdate": "true"},
    });
    if let Some(label) = part_of {
        object["metadata"]["labels"][aggregate_to(label)] = "true".into();
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(rules: &Value, verb: &str, resource: &str) -> bool {
        let has = |list: &Value, text: &str| list.as_array().unwrap().iter().any(|known| known == text);
        rules.as_array().unwrap().iter().any(|rule| has(&rule["verbs"], verb) && has(&rule["resources"], resource))
    }

    #[test]
    fn every_kind_can_be_read_by_viewers_and_changed_by_editors_or_admins() {
        for crd in all().into_iter().filter(|crd| !is_reserved(crd)) {
            let plural = crd.spec.names.plural.as_str();
            assert!(READ.iter().all(|verb| allows(&viewer(), verb, plural)), "{plural}");
            let changes = if crd.spec.scope == "Namespaced" { editor() } else { admin() };
            assert!(WRITE.iter().all(|verb| allows(&changes, verb, plural)), "{plural}");
            assert!(!WRITE.iter().any(|verb| allows(&viewer(), verb, plural)), "{plural}");
        }
    }

    #[test]
    fn who_comes_in_is_for_cluster_admins_alone() {
        let of_others: Vec<Value> = shipped().into_iter().skip(1).collect();
        for crd in all().iter().filter(|crd| is_reserved(crd)) {
            let plural = format!("{:?}", crd.spec.names.plural);
            assert!(of_others.iter().all(|role| !role.to_string().contains(&plural)), "{plural}");
        }
    }

    #[test]
    fn viewers_read_logs_but_no_secret_and_open_no_session() {
        assert!(allows(&viewer(), "get", "instances/log"));
        for (verb, resource) in [("get", "secrets"), ("get", "instances/exec"), ("create", "instances/exec")] {
            assert!(!allows(&viewer(), verb, resource), "{verb} {resource}");
            assert!(allows(&editor(), verb, resource), "{verb} {resource}");
        }
    }

    #[test]
    fn service_accounts_may_read_what_proves_their_tokens() {
        let named = |kind: &str| {
            let mut all = shipped().into_iter();
            all.find(|object| object["kind"] == kind && object["metadata"]["name"] == ISSUER_DISCOVERY).unwrap()
        };
        assert_eq!(named("ClusterRole")["rules"], json!([{"verbs": ["get"], "nonResourceURLs": ISSUER_PATHS}]));
        assert_eq!(named("ClusterRoleBinding")["subjects"][0]["name"], "system:serviceaccounts");
    }

    #[test]
    fn only_admins_give_roles() {
        for rules in [viewer(), editor()] {
            for (verb, resource) in
                [("create", "rolebindings"), ("impersonate", "serviceaccounts"), ("create", "serviceaccounts/token")]
            {
                assert!(!allows(&rules, verb, resource), "{verb} {resource}");
                assert!(allows(&admin(), verb, resource), "{verb} {resource}");
            }
        }
    }
}
