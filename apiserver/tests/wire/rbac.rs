//! Roles and bindings as objects, and what they allow.

use serde_json::{Value, json};

use crate::harness::{Server, namespace};

const GROUP: &str = "/apis/rbac.authorization.k8s.io/v1";

fn binding(role: &str, subjects: Value) -> Value {
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": role}, "subjects": subjects,
    })
}

#[tokio::test]
async fn bindings_are_completed_printed_and_kept_to_their_role() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let bindings = format!("{GROUP}/namespaces/a/rolebindings");
    let subjects = json!([{"kind": "User", "name": "ann"}, {"kind": "ServiceAccount", "name": "ci", "namespace": "a"}]);
    let made = server.post(&bindings, binding("view", subjects)).await.expect(201);
    assert_eq!(made["roleRef"]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(made["subjects"][0]["apiGroup"], "rbac.authorization.k8s.io");
    assert_eq!(made["subjects"][1].get("apiGroup"), None);

    let table = [("accept", "application/json;as=Table;v=v1;g=meta.k8s.io")];
    let table = server.send("GET", &bindings, &table, "").await.expect(200);
    let headings: Vec<&str> =
        table["columnDefinitions"].as_array().unwrap().iter().map(|column| column["name"].as_str().unwrap()).collect();
    assert_eq!(headings, ["Name", "Role", "Age", "Users", "Groups", "ServiceAccounts"]);
    let cells = &table["rows"][0]["cells"];
    assert_eq!([&cells[0], &cells[1], &cells[3], &cells[4], &cells[5]], ["b", "ClusterRole/view", "ann", "", "a/ci"]);

    let one = format!("{bindings}/b");
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    let patch = json!({"subjects": [{"kind": "Group", "name": "g"}]}).to_string();
    let patched = server.send("PATCH", &one, &strategic, patch).await.expect(200);
    let group = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "g"}]);
    assert_eq!(patched["subjects"], group, "the list is one value");
    let (reason, message) = server.merge(&one, json!({"roleRef": {"name": "edit"}})).await.refusal(422);
    assert_eq!(reason, "Invalid");
    assert_eq!(
        message,
        "RoleBinding.rbac.authorization.k8s.io \"b\" is invalid: roleRef: Invalid value: {\"APIGroup\":\
         \"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"edit\"}: cannot change roleRef"
    );
}

#[tokio::test]
async fn one_manager_has_all_subjects() {
    let server = Server::start().await;
    let path = format!("{GROUP}/namespaces/default/rolebindings/b?fieldManager=");
    let apply = [("content-type", "application/apply-patch+yaml")];
    let subject = |name: &str| json!([{"kind": "User", "name": name}]);
    let config = |name| {
        let mut binding = binding("view", subject(name));
        binding["roleRef"]["apiGroup"] = "rbac.authorization.k8s.io".into();
        binding.to_string()
    };
    server.send("PATCH", &format!("{path}one"), &apply, config("ann")).await.expect(201);
    let (reason, message) = server.send("PATCH", &format!("{path}two"), &apply, config("bob")).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert_eq!(message, "Apply failed with 1 conflict: conflict with \"one\": .subjects");
}

#[tokio::test]
async fn roles_have_names_that_fit_a_path() {
    let server = Server::start().await;
    let role = |name: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name},
            "rules": [{"verbs": ["get"], "nonResourceURLs": ["/metrics"]}],
        })
    };
    let roles = format!("{GROUP}/clusterroles");
    server.post(&roles, role("system:Reader_1")).await.expect(201);
    server.get(&format!("{roles}/system%3AReader_1")).await.expect(200);
    server.get(&format!("{roles}/system:Reader_1")).await.expect(200);
    assert_eq!(server.post(&roles, role("a/b")).await.refusal(422).0, "Invalid");
}
