//! Roles and bindings as objects, and what they allow.

use serde_json::{Value, json};

use crate::harness::{Server, WIDGETS, namespace, widget};

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

pub(crate) const BOB: [(&str, &str); 2] =
    [("authorization", "Bearer the-token-of-bob"), ("content-type", "application/json")];

impl Server {
    /// Gives bob a role of a namespace; of the whole installation where that is empty.
    pub(crate) async fn let_bob(&self, namespace: &str, rule: Value) {
        let api = "rbac.authorization.k8s.io/v1";
        let (kind, place) = match namespace {
            "" => ("ClusterRole", GROUP.to_owned()),
            _ => ("Role", format!("{GROUP}/namespaces/{namespace}")),
        };
        let plural = kind.to_lowercase();
        let metadata = json!({"generateName": "bobs-"});
        let role = json!({"apiVersion": api, "kind": kind, "metadata": metadata, "rules": [rule]});
        let made = self.post(&format!("{place}/{plural}s"), role).await.expect(201);
        let binding = json!({
            "apiVersion": api, "kind": format!("{kind}Binding"), "metadata": metadata,
            "roleRef": {"kind": kind, "name": made["metadata"]["name"]}, "subjects": [{"kind": "User", "name": "bob"}],
        });
        self.post(&format!("{place}/{plural}bindings"), binding).await.expect(201);
    }
}

#[tokio::test]
async fn a_role_counts_from_the_very_next_request() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let maps = "/api/v1/namespaces/a/configmaps";
    let (_, message) = server.send("GET", maps, &BOB, "").await.refusal(403);
    assert_eq!(
        message,
        "configmaps is forbidden: User \"bob\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"a\""
    );
    server.let_bob("a", json!({"verbs": ["list", "create"], "apiGroups": [""], "resources": ["configmaps"]})).await;
    assert_eq!(server.send("GET", maps, &BOB, "").await.code, 200);
    assert_eq!(server.send("GET", "/api/v1/configmaps", &BOB, "").await.code, 403, "only in its namespace");
    assert_eq!(server.send("GET", &format!("{maps}/c"), &BOB, "").await.code, 403);
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}).to_string();
    assert_eq!(server.send("POST", maps, &BOB, map.clone()).await.code, 201);
    assert_eq!(server.send("PUT", &format!("{maps}/c"), &BOB, map).await.code, 403);
    let bindings = server.get(&format!("{GROUP}/namespaces/a/rolebindings")).await.expect(200);
    let name = bindings["items"][0]["metadata"]["name"].as_str().unwrap();
    server.delete(&format!("{GROUP}/namespaces/a/rolebindings/{name}"), json!({})).await.expect(200);
    assert_eq!(server.send("GET", maps, &BOB, "").await.code, 403);
}

#[tokio::test]
async fn who_may_see_one_object_may_list_and_watch_that_one() {
    let server = Server::start().await;
    let rule = json!({
        "verbs": ["get", "list", "watch"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["c"],
    });
    server.let_bob("default", rule).await;
    let maps = "/api/v1/namespaces/default/configmaps";
    assert_eq!(server.send("GET", maps, &BOB, "").await.code, 403);
    assert_eq!(server.send("GET", &format!("{maps}?fieldSelector=metadata.name%3Dc"), &BOB, "").await.code, 200);
    server.watch(&format!("{maps}?watch=1&fieldSelector=metadata.name%3Dc"), &BOB).await;
    for selector in ["metadata.name%3Dd", "metadata.name!%3Dc", "metadata.name%3D"] {
        let path = format!("{maps}?fieldSelector={selector}");
        assert_eq!(server.send("GET", &path, &BOB, "").await.code, 403, "{selector}");
    }
    assert_eq!(server.send("DELETE", &format!("{maps}?fieldSelector=metadata.name%3Dc"), &BOB, "").await.code, 403);
}

#[tokio::test]
async fn a_namespace_is_one_of_the_things_in_it() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server.let_bob("a", json!({"verbs": ["get"], "apiGroups": [""], "resources": ["namespaces"]})).await;
    assert_eq!(server.send("GET", "/api/v1/namespaces/a", &BOB, "").await.code, 200);
    let (_, message) = server.send("GET", "/api/v1/namespaces/default", &BOB, "").await.refusal(403);
    assert_eq!(
        message,
        "namespaces \"default\" is forbidden: User \"bob\" cannot get resource \"namespaces\" in API group \"\" in the \
         namespace \"default\""
    );
    assert_eq!(server.send("GET", "/api/v1/namespaces", &BOB, "").await.code, 403);
}

#[tokio::test]
async fn everybody_known_may_ask_what_is_here_and_no_more() {
    let server = Server::start().await;
    for path in ["/version", "/api", "/apis", "/api/v1", "/apis/coordination.k8s.io/v1", "/openapi/v2", "/openapi/v3"] {
        assert_eq!(server.send("GET", path, &BOB, "").await.code, 200, "{path}");
    }
    for (method, path) in [("GET", "/metrics"), ("GET", "/"), ("POST", "/version"), ("HEAD", "/version")] {
        assert_eq!(server.send(method, path, &BOB, "").await.code, 403, "{method} {path}");
    }
    server.let_bob("", json!({"verbs": ["get"], "nonResourceURLs": ["/metrics"]})).await;
    assert_eq!(server.send("GET", "/metrics", &BOB, "").await.code, 200);
}

#[tokio::test]
async fn a_refusal_tells_which_role_a_binding_lacks() {
    let server = Server::start().await;
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "b"},
        "roleRef": {"kind": "ClusterRole", "name": "gone"}, "subjects": [{"kind": "User", "name": "bob"}],
    });
    server.post(&format!("{GROUP}/clusterrolebindings"), binding).await.expect(201);
    let (_, message) = server.send("GET", "/api/v1/secrets", &BOB, "").await.refusal(403);
    assert_eq!(
        message,
        "secrets is forbidden: User \"bob\" cannot list resource \"secrets\" in API group \"\" at the cluster scope: RBAC: \
         clusterrole.rbac.authorization.k8s.io \"gone\" not found"
    );
}

#[tokio::test]
async fn whom_somebody_may_stand_for_is_a_rule_like_any() {
    let server = Server::start().await;
    let maps = "/api/v1/namespaces/default/configmaps";
    let as_user = |user| [BOB[0], ("impersonate-user", user)];
    let (_, message) = server.send("GET", maps, &as_user("carol"), "").await.refusal(403);
    assert_eq!(
        message,
        "users \"carol\" is forbidden: User \"bob\" cannot impersonate resource \"users\" in API group \"\" at the cluster \
         scope"
    );
    let rule =
        json!({"verbs": ["impersonate"], "apiGroups": [""], "resources": ["serviceaccounts"], "resourceNames": ["ci"]});
    server.let_bob("default", rule).await;
    let ci = "system:serviceaccount:default:ci";
    let (_, message) = server.send("GET", maps, &as_user(ci), "").await.refusal(403);
    assert_eq!(
        message,
        format!(
            "configmaps is forbidden: User \"{ci}\" cannot list resource \"configmaps\" in API group \"\" in the namespace \
             \"default\""
        )
    );
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "all"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "Group", "name": "system:serviceaccounts:default"}],
    });
    server.post(&format!("{GROUP}/clusterrolebindings"), binding).await.expect(201);
    let role = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "view"},
        "rules": [{"verbs": ["list"], "apiGroups": ["*"], "resources": ["*"]}],
    });
    server.post(&format!("{GROUP}/clusterroles"), role).await.expect(201);
    assert_eq!(server.send("GET", maps, &as_user(ci), "").await.code, 200);
    let with_group = [BOB[0], ("impersonate-user", ci), ("impersonate-group", "system:masters")];
    let (_, message) = server.send("GET", maps, &with_group, "").await.refusal(403);
    assert!(
        message.starts_with("groups \"system:masters\" is forbidden: User \"bob\" cannot impersonate"),
        "{message}"
    );
}

#[tokio::test]
async fn who_may_patch_may_not_yet_make_by_applying() {
    let server = Server::start().await;
    server.let_bob("default", json!({"verbs": ["patch"], "apiGroups": [""], "resources": ["configmaps"]})).await;
    let path = "/api/v1/namespaces/default/configmaps/c?fieldManager=m";
    let apply = [BOB[0], ("content-type", "application/apply-patch+yaml")];
    let config = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}}).to_string();
    let (_, message) = server.send("PATCH", path, &apply, config.clone()).await.refusal(403);
    assert_eq!(
        message,
        "configmaps \"c\" is forbidden: User \"bob\" cannot create resource \"configmaps\" in API group \"\" in the namespace \
         \"default\""
    );
    server.let_bob("default", json!({"verbs": ["create"], "apiGroups": [""], "resources": ["configmaps"]})).await;
    server.send("PATCH", path, &apply, config.clone()).await.expect(201);
    server.send("PATCH", path, &apply, config).await.expect(200);
}

#[tokio::test]
async fn who_may_look_at_everything_may_not_come_in() {
    let server = Server::with_widgets().await;
    server.post(WIDGETS, widget("w", json!({"color": "red"}))).await.expect(201);
    server.let_bob("a", json!({"verbs": ["get", "list", "watch"], "apiGroups": ["*"], "resources": ["*"]})).await;
    let session = |name: &str| format!("{WIDGETS}/w/{name}?command=sh&stdout=true");
    let (_, message) = server.send("GET", &session("exec"), &BOB, "").await.refusal(403);
    assert!(message.contains("User \"bob\" cannot create resource \"widgets/exec\""), "{message}");
    assert_eq!(server.send("GET", &session("log"), &BOB, "").await.code, 503, "a log is looked at; nothing runs here");
    server.let_bob("a", json!({"verbs": ["create"], "apiGroups": ["*"], "resources": ["widgets/exec"]})).await;
    assert_eq!(server.send("GET", &session("exec"), &BOB, "").await.code, 503);
}
