//! Nobody gives away what they don't have, and ClusterRoles that gather others have their rules.

use serde_json::{Value, json};

use crate::harness::{Reply, Server, namespace};
use crate::rbac::BOB;

const API: &str = "rbac.authorization.k8s.io/v1";
const GROUP: &str = "/apis/rbac.authorization.k8s.io/v1";

fn rule(verbs: &[&str], resources: &[&str]) -> Value {
    json!({"verbs": verbs, "apiGroups": [""], "resources": resources})
}

fn role(kind: &str, name: &str, rules: &[Value]) -> Value {
    json!({"apiVersion": API, "kind": kind, "metadata": {"name": name}, "rules": rules})
}

fn binding(kind: &str, role: (&str, &str), user: &str) -> Value {
    json!({
        "apiVersion": API, "kind": kind, "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": role.0, "name": role.1},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": user}],
    })
}

/// Bob reads ConfigMaps of the namespace `a` and writes its roles and bindings.
async fn world() -> Server {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    let writes = json!({
        "verbs": ["create", "update", "patch", "get"], "apiGroups": ["rbac.authorization.k8s.io"],
        "resources": ["roles", "rolebindings"],
    });
    server.let_bob("a", writes).await;
    server.let_bob("a", rule(&["get", "list"], &["configmaps"])).await;
    server
}

impl Server {
    async fn as_bob(&self, method: &str, path: &str, body: &Value) -> Reply {
        self.send(method, path, &BOB, body.to_string()).await
    }
}

#[tokio::test]
async fn whoever_writes_a_role_must_have_all_of_it() {
    let server = world().await;
    let roles = format!("{GROUP}/namespaces/a/roles");
    server.as_bob("POST", &roles, &role("Role", "r", &[rule(&["get"], &["configmaps"])])).await.expect(201);
    let refused = "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"bob\" (groups=[\"system:authenticated\"]) \
                   is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], \
                   Resources:[\"configmaps\"], Verbs:[\"delete\"]}\n{APIGroups:[\"\"], Resources:[\"secrets\"], \
                   Verbs:[\"get\" \"delete\"]}";
    let more = role("Role", "r", &[rule(&["get", "delete"], &["configmaps", "secrets"])]);
    let one = format!("{roles}/r");
    assert_eq!(server.as_bob("PUT", &one, &more).await.refusal(403), ("Forbidden".into(), refused.into()));
    let patches = [
        ("application/merge-patch+json", json!({"rules": more["rules"]})),
        ("application/strategic-merge-patch+json", json!({"rules": more["rules"]})),
        ("application/json-patch+json", json!([{"op": "replace", "path": "/rules", "value": more["rules"]}])),
        ("application/apply-patch+yaml", more.clone()),
    ];
    for (form, patch) in patches {
        let headers = [BOB[0], ("content-type", form)];
        for query in ["fieldManager=f&force=true", "fieldManager=f&force=true&dryRun=All"] {
            let query = if form.contains("apply") { query } else { &query.replace("&force=true", "") };
            let answer = server.send("PATCH", &format!("{one}?{query}"), &headers, patch.to_string()).await;
            assert_eq!(answer.refusal(403).1, refused, "{form}");
        }
    }
    let applied = role("Role", "new", &[rule(&["*"], &["*"])]).to_string();
    let headers = [BOB[0], ("content-type", "application/apply-patch+yaml")];
    server.send("PATCH", &format!("{roles}/new?fieldManager=f"), &headers, applied).await.refusal(403);
    // Letting go what somebody else made needs no rights of it.
    server.put(&one, more).await.expect(200);
    let finalizers = json!({"metadata": {"finalizers": ["example.com/f"]}}).to_string();
    let headers = [BOB[0], ("content-type", "application/merge-patch+json")];
    server.send("PATCH", &one, &headers, finalizers).await.expect(200);
    server.send("PATCH", &one, &headers, json!({"metadata": {"labels": {"a": "b"}}}).to_string()).await.refusal(403);
}

#[tokio::test]
async fn whoever_binds_a_role_must_have_all_of_it() {
    let server = world().await;
    let bindings = format!("{GROUP}/namespaces/a/rolebindings");
    server
        .post(&format!("{GROUP}/clusterroles"), role("ClusterRole", "all", &[rule(&["*"], &["*"])]))
        .await
        .expect(201);
    let reads = role("ClusterRole", "reads", &[rule(&["list"], &["configmaps"])]);
    server.post(&format!("{GROUP}/clusterroles"), reads).await.expect(201);

    let all = binding("RoleBinding", ("ClusterRole", "all"), "bob");
    let (reason, message) = server.as_bob("POST", &bindings, &all).await.refusal(403);
    assert_eq!(reason, "Forbidden");
    assert_eq!(
        message,
        "rolebindings.rbac.authorization.k8s.io \"b\" is forbidden: user \"bob\" (groups=[\"system:authenticated\"]) is \
         attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"*\"], Verbs:[\"*\"]}"
    );
    let none = binding("RoleBinding", ("Role", "none"), "bob");
    let (_, message) = server.as_bob("POST", &bindings, &none).await.refusal(404);
    assert_eq!(message, "role.rbac.authorization.k8s.io \"none\" not found");
    server.as_bob("POST", &bindings, &binding("RoleBinding", ("ClusterRole", "reads"), "carol")).await.expect(201);

    // Somebody else's binding to more is no door either.
    server.delete(&format!("{bindings}/b"), json!({})).await.expect(200);
    server.post(&bindings, binding("RoleBinding", ("ClusterRole", "all"), "carol")).await.expect(201);
    server.as_bob("PUT", &format!("{bindings}/b"), &all).await.refusal(403);
}

#[tokio::test]
async fn escalate_and_bind_let_somebody_give_more() {
    let server = world().await;
    let group = "rbac.authorization.k8s.io";
    server.let_bob("a", json!({"verbs": ["escalate"], "apiGroups": [group], "resources": ["roles"]})).await;
    let bind = json!({
        "verbs": ["bind"], "apiGroups": [group], "resources": ["clusterroles"], "resourceNames": ["secrets"],
    });
    server.let_bob("a", bind).await;
    for name in ["secrets", "other"] {
        let role = role("ClusterRole", name, &[rule(&["get"], &["secrets"])]);
        server.post(&format!("{GROUP}/clusterroles"), role).await.expect(201);
    }
    let roles = format!("{GROUP}/namespaces/a/roles");
    server.as_bob("POST", &roles, &role("Role", "r", &[rule(&["*"], &["*"])])).await.expect(201);
    let bindings = format!("{GROUP}/namespaces/a/rolebindings");
    server.as_bob("POST", &bindings, &binding("RoleBinding", ("ClusterRole", "other"), "bob")).await.refusal(403);
    server.as_bob("POST", &bindings, &binding("RoleBinding", ("ClusterRole", "secrets"), "bob")).await.expect(201);
}

#[tokio::test]
async fn a_role_that_gathers_has_the_rules_of_those_that_it_selects() {
    let server = Server::start().await;
    let roles = format!("{GROUP}/clusterroles");
    let labelled = |name: &str, label: &str, rules: &[Value]| {
        let mut role = role("ClusterRole", name, rules);
        role["metadata"]["labels"] = json!({label: "true"});
        role
    };
    let gathers = |name: &str, label: &str| {
        let mut role = labelled(name, "to-whole", &[]);
        role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
        role
    };
    let (one, two) = (rule(&["get"], &["configmaps"]), rule(&["get"], &["secrets"]));
    server.post(&roles, gathers("whole", "to-whole")).await.expect(201);
    server.post(&roles, gathers("part", "to-part")).await.expect(201);
    server.post(&roles, labelled("b", "to-part", std::slice::from_ref(&two))).await.expect(201);
    server.post(&roles, labelled("a", "to-part", &[one.clone(), two.clone()])).await.expect(201);
    let sees = async |name: &str, rules: Value| {
        let what = format!("put together of {rules}");
        server.until(&format!("{roles}/{name}"), &what, |role| role.is_some_and(|role| role["rules"] == rules)).await;
    };
    sees("part", json!([one, two])).await;
    sees("whole", json!([one, two])).await;
    server.delete(&format!("{roles}/a"), json!({})).await.expect(200);
    sees("whole", json!([two])).await;
    server.merge(&format!("{roles}/part"), json!({"rules": [one]})).await.expect(200);
    sees("part", json!([two])).await;
    server.merge(&format!("{roles}/b"), json!({"metadata": {"labels": {"to-part": null}}})).await.expect(200);
    sees("whole", json!([])).await;
}

#[tokio::test]
async fn only_whoever_has_everything_makes_a_role_that_gathers() {
    let server = Server::start().await;
    let roles = format!("{GROUP}/clusterroles");
    let writes = json!({"verbs": ["create", "patch"], "apiGroups": ["rbac.authorization.k8s.io"], "resources": ["clusterroles"]});
    server.let_bob("", writes).await;
    let gathers = json!({
        "apiVersion": API, "kind": "ClusterRole", "metadata": {"name": "g"},
        "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"a": "b"}}]},
    });
    let refused = "clusterroles.rbac.authorization.k8s.io \"g\" is forbidden: must have cluster-admin privileges to use \
                   the aggregationRule";
    assert_eq!(server.as_bob("POST", &roles, &gathers).await.refusal(403).1, refused);
    server.post(&roles, gathers.clone()).await.expect(201);
    let headers = [BOB[0], ("content-type", "application/merge-patch+json")];
    let lets_go = json!({"aggregationRule": null}).to_string();
    assert_eq!(server.send("PATCH", &format!("{roles}/g"), &headers, lets_go).await.refusal(403).1, refused);
    server.let_bob("", json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]})).await;
    server.let_bob("", json!({"verbs": ["*"], "nonResourceURLs": ["*"]})).await;
    server
        .send("PATCH", &format!("{roles}/g"), &headers, json!({"aggregationRule": null}).to_string())
        .await
        .expect(200);
}

#[tokio::test]
async fn what_is_shipped_is_made_once_and_given_back_what_it_lacks() {
    let server = Server::start().await;
    let roles = format!("{GROUP}/clusterroles");
    let shipped = [
        role("ClusterRole", "cloud", &[rule(&["get", "list"], &["configmaps"])]),
        json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot", "namespace": "default"},
        }),
    ];
    server.server.install_shipped(&shipped).await.unwrap();
    let first = server.get(&format!("{roles}/cloud")).await.expect(200);
    server.server.install_shipped(&shipped).await.unwrap();
    assert_eq!(server.get(&format!("{roles}/cloud")).await.expect(200), first, "the second start changes nothing");
    server
        .merge(&format!("{roles}/cloud"), json!({"rules": [rule(&["get", "delete"], &["configmaps"])]}))
        .await
        .expect(200);
    server.server.install_shipped(&shipped).await.unwrap();
    let healed = server.get(&format!("{roles}/cloud")).await.expect(200);
    assert_eq!(healed["rules"], json!([rule(&["get", "delete"], &["configmaps"]), rule(&["list"], &["configmaps"])]));
    let kept = json!({"rules": null, "metadata": {"annotations": {apiserver::AUTOUPDATE: "false"}}});
    server.merge(&format!("{roles}/cloud"), kept).await.expect(200);
    server.server.install_shipped(&shipped).await.unwrap();
    assert_eq!(server.get(&format!("{roles}/cloud")).await.expect(200)["rules"], json!(null));
}

#[tokio::test]
async fn a_shipped_role_that_is_narrowed_loses_what_an_earlier_version_gave_it_unless_it_is_left_alone() {
    let server = Server::start().await;
    let roles = format!("{GROUP}/clusterroles");
    let version =
        |verbs: &[&str]| ["one", "two"].map(|name| role("ClusterRole", name, &[rule(verbs, &["configmaps"])]));
    let (earlier, now) = (version(&["get", "list", "patch"]), version(&["get", "watch"]));
    server.server.install_shipped(&earlier).await.unwrap();
    let alone = json!({"metadata": {"annotations": {apiserver::AUTOUPDATE: "false"}}});
    server.merge(&format!("{roles}/two"), alone).await.expect(200);

    server.server.install_shipped(&now).await.unwrap();
    server.server.narrow_shipped(&now).await.unwrap();
    let one = server.get(&format!("{roles}/one")).await.expect(200);
    assert_eq!(one["rules"], json!([rule(&["get", "watch"], &["configmaps"])]));
    let two = server.get(&format!("{roles}/two")).await.expect(200);
    assert_eq!(two["rules"], json!([rule(&["get", "list", "patch"], &["configmaps"])]));
    server.server.install_shipped(&now).await.unwrap();
    server.server.narrow_shipped(&now).await.unwrap();
    assert_eq!(server.get(&format!("{roles}/one")).await.expect(200), one, "the second start changes nothing");
}
