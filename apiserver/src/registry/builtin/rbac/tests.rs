use serde_json::{Value, json};

use super::*;
use crate::patch::apply::managers::Versions as _;
use crate::schema::object;

fn find(plural: &str) -> Kind {
    kinds().into_iter().find(|kind| kind.plural == plural).unwrap()
}

fn errors(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut new = new.clone();
    let version = &kind.versions[0];
    object::check(kind, version, &new).unwrap();
    assert_eq!(version.schema.prune(&mut new), [""; 0]);
    object::complete(kind, version, &mut new);
    object::validate(kind, version, &new, old).iter().map(ToString::to_string).collect()
}

fn role(namespaced: bool, rule: &Value) -> Vec<String> {
    let (kind, metadata) = if namespaced {
        (find("roles"), json!({"name": "r:eader", "namespace": "a"}))
    } else {
        (find("clusterroles"), json!({"name": "system:r"}))
    };
    errors(&kind, &json!({"metadata": metadata, "rules": [rule]}), None)
}

fn binding(new: &Value, old: Option<&Value>) -> Vec<String> {
    let mut whole = json!({"metadata": {"name": "b", "namespace": "a"}});
    whole.as_object_mut().unwrap().extend(new.as_object().unwrap().clone());
    errors(&find("rolebindings"), &whole, old)
}

#[test]
fn rules_are_of_resources_or_of_urls() {
    let good = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["secrets"], "resourceNames": ["s"]});
    assert_eq!(role(true, &good), [""; 0]);
    assert_eq!(role(false, &json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]})), [""; 0]);
    assert_eq!(
        role(true, &json!({"resources": null})),
        [
            "rules[0].verbs: Required value: verbs must contain at least one value",
            "rules[0].apiGroups: Required value: resource rules must supply at least one api group",
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ]
    );
    let urls = json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]});
    let refused = "rules[0].nonResourceURLs: Invalid value: [\"/metrics\"]: namespaced rules cannot apply to \
                   non-resource URLs";
    assert_eq!(role(true, &urls), [refused]);
    let both = json!({"verbs": ["get"], "nonResourceURLs": ["*"], "resources": ["secrets"]});
    let refused = "rules[0].nonResourceURLs: Invalid value: [\"*\"]: rules cannot apply to both regular resources and \
                   non-resource URLs";
    assert_eq!(role(false, &both), [refused]);
}

#[test]
fn an_aggregation_selects_something() {
    let of = |aggregation: Value| {
        errors(&find("clusterroles"), &json!({"metadata": {"name": "r"}, "aggregationRule": aggregation}), None)
    };
    assert_eq!(of(json!({"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]})), [""; 0]);
    assert_eq!(
        of(json!({})),
        ["aggregationRule.clusterRoleSelectors: Required value: at least one clusterRoleSelector required if \
          aggregationRule is non-nil"]
    );
    let expressions = json!([
        {"key": "a", "operator": "In"}, {"key": "a", "operator": "Exists", "values": ["b"]}, {"key": "a", "operator": "Is"},
    ]);
    let place = "aggregationRule.clusterRoleSelectors[0].matchExpressions";
    assert_eq!(
        of(json!({"clusterRoleSelectors": [{"matchExpressions": expressions}]})),
        [
            format!("{place}[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'"),
            format!("{place}[1].values: Forbidden: may not be specified when `operator` is 'Exists' or 'DoesNotExist'"),
            format!("{place}[2].operator: Invalid value: \"Is\": not a valid selector operator"),
        ]
    );
}

#[test]
fn groups_of_roles_users_and_groups_are_filled_in() {
    let mut binding = json!({
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [
            {"kind": "User", "name": "ann"}, {"kind": "Group", "name": "g", "apiGroup": ""},
            {"kind": "ServiceAccount", "name": "ci"},
        ],
    });
    prepare(&mut binding);
    assert_eq!(binding["roleRef"]["apiGroup"], GROUP);
    assert_eq!(binding["subjects"][0]["apiGroup"], GROUP);
    assert_eq!(binding["subjects"][1]["apiGroup"], GROUP);
    assert_eq!(binding["subjects"][2].get("apiGroup"), None);
}

#[test]
fn a_binding_names_a_role_and_subjects() {
    assert_eq!(
        binding(&json!({}), None),
        [
            "roleRef.apiGroup: Unsupported value: \"\": supported values: \"rbac.authorization.k8s.io\"",
            "roleRef.kind: Unsupported value: \"\": supported values: \"Role\", \"ClusterRole\"",
            "roleRef.name: Required value",
        ]
    );
    let subjects = json!([
        {"kind": "User", "name": "ann", "apiGroup": "x"}, {"kind": "Group"}, {"kind": "ServiceAccount", "name": "C I"},
        {"kind": "Robot", "name": "r"},
    ]);
    let found = binding(&json!({"roleRef": {"kind": "ClusterRole", "name": "a/b"}, "subjects": subjects}), None);
    assert_eq!(found[0], "roleRef.name: Invalid value: \"a/b\": may not contain '/'");
    let group = "subjects[0].apiGroup: Unsupported value: \"x\": supported values: \"rbac.authorization.k8s.io\"";
    assert_eq!(
        found[1..4],
        [
            group,
            "subjects[1].name: Required value",
            "subjects[1].name: Invalid value: \"\": group name cannot be empty",
        ]
    );
    assert!(found[4].starts_with("subjects[2].name: Invalid value: \"C I\": a lowercase RFC 1123 subdomain"));
    assert_eq!(
        found[5..],
        ["subjects[3].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\""]
    );
}

#[test]
fn a_binding_of_the_installation_says_which_namespace_and_takes_no_role_of_one() {
    let binding = json!({
        "metadata": {"name": "b"},
        "roleRef": {"kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "ci"}],
    });
    assert_eq!(
        errors(&find("clusterrolebindings"), &binding, None),
        [
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
            "subjects[0].namespace: Required value",
        ]
    );
}

#[test]
fn the_role_of_a_binding_stays() {
    let old = json!({"metadata": {"name": "b", "namespace": "a"}, "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"}});
    assert_eq!(binding(&json!({"roleRef": {"kind": "Role", "name": "r"}}), Some(&old)), [""; 0]);
    assert_eq!(
        binding(&json!({"roleRef": {"kind": "ClusterRole", "name": "r"}}), Some(&old)),
        [
            "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"r\"}: \
          cannot change roleRef"
        ]
    );
}

#[test]
fn lists_of_rules_and_subjects_are_owned_as_a_whole() {
    use crate::managed_fields::{Author, Scope, create};
    let kind = find("rolebindings");
    let binding = json!({
        "metadata": {"name": "b", "namespace": "a"},
        "roleRef": {"apiGroup": GROUP, "kind": "Role", "name": "r"},
        "subjects": [{"kind": "User", "name": "ann", "apiGroup": GROUP}],
    });
    let scope = Scope::new(&kind, &kind.versions[0], "");
    assert!(scope.types("rbac.authorization.k8s.io/v1").is_some());
    let author = Author { manager: "m".into(), subresource: String::new() };
    let fields = create(&scope, &binding, None, &author, "2026-01-02T03:04:05Z").unwrap();
    assert_eq!(fields[0]["fieldsV1"], json!({"f:roleRef": {}, "f:subjects": {}}));
}
