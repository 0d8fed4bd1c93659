//! What somebody has open, a watch or a session, is closed soon after they may not have it any more.

use std::sync::Arc;
use std::time::Duration;

use apiserver::{Config, Identity, TokenHash, TokenTable};
use futures::StreamExt;
use serde_json::{Value, json};

use crate::harness::{Lines, Server, WIDGETS, config_map, widget};
use crate::rbac::BOB;
use crate::streams::{Endless, over_tls, soon};
use crate::users::USERS;

const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const BINDINGS: &str = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings";

fn often(config: &mut Config) {
    config.limits.tenure_interval = Duration::from_millis(20);
}

/// Lets somebody read ConfigMaps.
async fn allow(server: &Server, subject: Value) {
    let api = "rbac.authorization.k8s.io/v1";
    let rule = json!({"verbs": ["list", "watch"], "apiGroups": [""], "resources": ["configmaps"]});
    let role = json!({"apiVersion": api, "kind": "ClusterRole", "metadata": {"name": "reader"}, "rules": [rule]});
    server.post("/apis/rbac.authorization.k8s.io/v1/clusterroles", role).await.expect(201);
    let binding = json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "reader"},
        "roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": [subject],
    });
    server.post(BINDINGS, binding).await.expect(201);
}

async fn watch(server: &Server, token: &str) -> Lines {
    let bearer = format!("Bearer {token}");
    // Longer than anybody is employed.
    let path = format!("{MAPS}?watch=true&timeoutSeconds=999999999");
    let mut lines = server.watch(&path, &[("authorization", &bearer)]).await;
    server.post(MAPS, config_map("seen", [].into())).await.expect(201);
    assert_eq!(lines.next_brief().await.1, "seen");
    tokio::time::sleep(Duration::from_millis(100)).await;
    lines.expect_silence().await;
    lines
}

#[tokio::test]
async fn watch_ends_when_the_role_goes() {
    let server = Server::with(often).await;
    allow(&server, json!({"kind": "User", "name": "bob"})).await;
    let mut lines = watch(&server, "the-token-of-bob").await;
    server.delete(&format!("{BINDINGS}/reader"), json!({})).await.expect(200);
    assert_eq!(lines.next().await, None);
    assert_eq!(server.send("GET", MAPS, &BOB, "").await.code, 403);
}

#[tokio::test]
async fn watch_of_a_user_ends_with_the_login_the_group_and_the_user() {
    for end in ["logout", "password", "group", "disabled", "deleted"] {
        let server = Server::with_ann(often).await;
        allow(&server, json!({"kind": "Group", "name": "developers"})).await;
        let tokens = server.tokens("ann").await;
        let mut lines = watch(&server, tokens["accessToken"].as_str().unwrap()).await;
        let ann = format!("{USERS}/ann");
        let done = match end {
            "logout" => server.ask("logout", json!({"refreshToken": tokens["refreshToken"]})).await,
            "password" => server.post(&format!("{ann}/password"), json!({"password": "another one, and long"})).await,
            "group" => server.merge(&ann, json!({"spec": {"groups": []}})).await,
            "disabled" => server.merge(&ann, json!({"spec": {"disabled": true}})).await,
            _ => server.delete(&ann, json!({})).await,
        };
        done.expect(200);
        assert_eq!(lines.next().await, None, "{end}");
    }
}

#[tokio::test]
async fn watch_goes_on_when_the_access_token_has_ended_by_its_time() {
    let hands = crate::users::Hands::new();
    let clock = Arc::clone(&hands);
    let server = Server::with_ann(|config| {
        often(config);
        config.clock = clock;
    })
    .await;
    allow(&server, json!({"kind": "Group", "name": "developers"})).await;
    let tokens = server.tokens("ann").await;
    let mut lines = watch(&server, tokens["accessToken"].as_str().unwrap()).await;
    hands.pass(Duration::from_secs(1_000));
    assert!(!server.is_in(&tokens).await);
    tokio::time::sleep(Duration::from_millis(100)).await;
    lines.expect_silence().await;
}

#[tokio::test]
async fn session_in_a_machine_ends_when_who_has_it_may_not_any_more() {
    let (left, mut leaving) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::with(|config| {
        often(config);
        config.streams = Some(Arc::new(Endless { talks: true, left }));
        // The client's token is bob's.
        config.tokens = TokenTable::new()
            .with(TokenHash::of(crate::harness::TOKEN), Identity::new("bob", []))
            .with(TokenHash::of("the-token-of-the-master"), Identity::master("admin"));
    })
    .await;
    let master = [("authorization", "Bearer the-token-of-the-master"), ("content-type", "application/json")];
    let post = async |path: &str, body: Value| server.send("POST", path, &master, body.to_string()).await.expect(201);
    server.server.install_kinds(&[crate::harness::widgets()]).await.unwrap();
    post("/api/v1/namespaces", crate::harness::namespace("a")).await;
    post(WIDGETS, widget("w", json!({"color": "red"}))).await;
    let api = "rbac.authorization.k8s.io/v1";
    let rule = json!({"verbs": ["get", "create"], "apiGroups": ["wire.test"], "resources": ["widgets/exec"]});
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/a/roles";
    post(roles, json!({"apiVersion": api, "kind": "Role", "metadata": {"name": "in"}, "rules": [rule]})).await;
    let binding = json!({
        "apiVersion": api, "kind": "RoleBinding", "metadata": {"name": "in"},
        "roleRef": {"kind": "Role", "name": "in"}, "subjects": [{"kind": "User", "name": "bob"}],
    });
    post("/apis/rbac.authorization.k8s.io/v1/namespaces/a/rolebindings", binding).await;

    let (client, task) = over_tls(&server).await;
    let path = format!("{WIDGETS}/w/exec?command=top&stdout=true");
    let request = http::Request::get(path).body(Vec::new()).unwrap();
    let mut socket = client.connect(request).await.unwrap().into_stream();
    assert_eq!(socket.next().await.unwrap().unwrap().into_data(), &b"\x01ready\n"[..]);
    // Who may still look may not go on.
    let patch = json!({"rules": [{"verbs": ["get"], "apiGroups": ["wire.test"], "resources": ["widgets/exec"]}]});
    let merge = [master[0], ("content-type", "application/merge-patch+json")];
    server.send("PATCH", &format!("{roles}/in"), &merge, patch.to_string()).await.expect(200);
    soon(async { while socket.next().await.is_some_and(|message| message.is_ok()) {} }).await;
    soon(leaving.recv()).await.unwrap();
    server.shutdown.cancel();
    soon(task).await.unwrap();
}
