//! API keys: by whom they are made, whom they let in, and when no more.

use std::sync::Arc;
use std::time::Duration;

use apiserver::{Config, Policy};
use serde_json::{Value, json};

use crate::audit::{events, log};
use crate::harness::Server;
use crate::users::{BOB, Hands, USERS, definition, let_bob};

const KEYS: &str = "/apis/thecloud.dev/v1alpha1/apikeys";

async fn server(set: impl FnOnce(&mut Config)) -> Server {
    let server = Server::with_users(set).await;
    server.server.install_kinds(&[definition("apikeys")]).await.unwrap();
    server.make_user("ann", json!({"groups": ["developers"]})).await;
    server
}

async fn make(server: &Server, name: &str, owner: Value, expires: Option<&str>) {
    let mut key = json!({
        "apiVersion": "thecloud.dev/v1alpha1", "kind": "ApiKey", "metadata": {"name": name}, "spec": {"owner": owner},
    });
    if let Some(expires) = expires {
        key["spec"]["expires"] = expires.into();
    }
    server.post(KEYS, key).await.expect(201);
}

async fn key(server: &Server, name: &str) -> String {
    let made = server.post(&format!("{KEYS}/{name}/token"), json!({})).await;
    assert_eq!(made.header("cache-control"), "no-store");
    made.expect(201)["status"]["key"].as_str().unwrap().to_owned()
}

fn ann() -> Value {
    json!({"kind": "User", "name": "ann"})
}

#[tokio::test]
async fn a_key_lets_its_owner_in_and_is_shown_once() {
    let server = server(|_| {}).await;
    make(&server, "ci", ann(), None).await;
    let first = key(&server, "ci").await;
    let who = server.who_is(&first).await.unwrap();
    assert_eq!((&who["username"], &who["groups"]), (&json!("ann"), &json!(["developers", "system:authenticated"])));
    let path = format!("{KEYS}/ci");
    server.until(&path, "noted as used", |key| key.is_some_and(|key| key["status"]["lastUsed"].is_string())).await;
    let object = server.get(&path).await.expect(200);
    let prefix = object["status"]["prefix"].as_str().unwrap();
    assert!(first.starts_with(prefix) && prefix.starts_with("tck_ci."), "{prefix}");
    assert!(!object.to_string().contains(&first), "{object}");

    let second = key(&server, "ci").await;
    assert_eq!(server.who_is(&first).await, Err(401), "a new key takes the place of the old");
    assert!(server.who_is(&second).await.is_ok());
    server.delete(&path, json!({})).await.expect(200);
    assert_eq!(server.who_is(&second).await, Err(401));
    make(&server, "ci", ann(), None).await;
    assert_eq!(server.who_is(&second).await, Err(401), "another ApiKey has the name now");
}

#[tokio::test]
async fn lines_of_the_audit_log_tell_which_key_it_was_and_are_found_by_its_prefix() {
    let (audit, _place) = log(Policy::default());
    let server = server(|config| config.audit = Some(audit)).await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let mut prefixes = Vec::new();
    for name in ["ci", "nightly"] {
        make(&server, name, ann(), None).await;
        let key = key(&server, name).await;
        server.send_as(&key, "GET", secrets, json!({})).await.refusal(403);
        let object = server.get(&format!("{KEYS}/{name}")).await.expect(200);
        prefixes.push(object["status"]["prefix"].as_str().unwrap().to_owned());
    }
    for prefix in &prefixes {
        let seen = events(&server, &format!("resource=secrets&credential={prefix}")).await;
        assert_eq!(seen.len(), 1, "{seen:?}");
        let user = &seen[0]["user"];
        assert_eq!(user["username"], "ann");
        let credential = &user["extra"]["authentication.kubernetes.io/credential-id"][0];
        assert_eq!(credential, &json!(format!("ApiKey={prefix}")));
    }
    assert_eq!(events(&server, "resource=secrets&credential=tck_").await.len(), 2);
    assert_eq!(events(&server, "credential=tck_other").await.len(), 0);
}

#[tokio::test]
async fn a_key_ends_with_its_time_and_with_its_owner() {
    let clock = Hands::new();
    let server = server(|config| config.clock = Arc::<Hands>::clone(&clock)).await;
    make(&server, "brief", ann(), Some("2027-01-15T09:00:00Z")).await;
    make(&server, "long", ann(), None).await;
    let (brief, long) = (key(&server, "brief").await, key(&server, "long").await);
    assert!(server.who_is(&brief).await.is_ok());
    clock.pass(Duration::from_secs(3600));
    assert_eq!(server.who_is(&brief).await, Err(401));
    let path = format!("{USERS}/ann");
    server.merge(&path, json!({"spec": {"disabled": true}})).await.expect(200);
    assert_eq!(server.who_is(&long).await, Err(401));
    server.merge(&path, json!({"spec": {"disabled": false}})).await.expect(200);
    assert!(server.who_is(&long).await.is_ok());
    server.delete(&path, json!({})).await.expect(200);
    server.make_user("ann", json!({})).await;
    assert_eq!(server.who_is(&long).await, Err(401), "another user has the name now");
}

#[tokio::test]
async fn a_service_account_has_keys_too() {
    let server = server(|_| {}).await;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "robot"}});
    server.post(accounts, account).await.expect(201);
    make(&server, "robot", json!({"kind": "ServiceAccount", "namespace": "default", "name": "robot"}), None).await;
    let token = key(&server, "robot").await;
    assert_eq!(server.who_is(&token).await.unwrap()["username"], "system:serviceaccount:default:robot");
    server.delete(&format!("{accounts}/robot"), json!({})).await.expect(200);
    assert_eq!(server.who_is(&token).await, Err(401));
}

#[tokio::test]
async fn who_makes_a_key_for_somebody_else_must_be_allowed_to_stand_for_them() {
    let server = server(|_| {}).await;
    make(&server, "ci", ann(), None).await;
    let manage = json!({"apiGroups": ["thecloud.dev"], "resources": ["apikeys", "apikeys/token"], "verbs": ["*"]});
    let_bob(&server, json!([manage])).await;
    let path = format!("{KEYS}/ci/token");
    let (_, message) = server.send_as(BOB, "POST", &path, json!({})).await.refusal(403);
    assert!(message.contains("cannot impersonate resource \"users\""), "{message}");
    let stand_for = json!({"apiGroups": [""], "resources": ["users", "groups"], "verbs": ["impersonate"]});
    let_bob(&server, json!([manage, stand_for])).await;
    server.send_as(BOB, "POST", &path, json!({})).await.expect(201);
    server.post(&format!("{KEYS}/none/token"), json!({})).await.refusal(404);
    make(&server, "nobodys", json!({"kind": "User", "name": "nobody"}), None).await;
    server.post(&format!("{KEYS}/nobodys/token"), json!({})).await.refusal(400);
}

#[tokio::test]
async fn what_only_looks_like_a_key_lets_nobody_in() {
    let server = server(|_| {}).await;
    make(&server, "ci", ann(), None).await;
    let good = key(&server, "ci").await;
    for token in ["tck_", "tck_ci", "tck_ci.", "tck_.x", "tck_none.abc", &good[..good.len() - 1], &format!("{good}x")] {
        assert_eq!(server.who_is(token).await, Err(401), "{token}");
    }
}
