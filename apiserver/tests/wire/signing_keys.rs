//! The keys that sign tokens: rotated without logging anybody out, and published for whoever proves tokens elsewhere.

use std::sync::Arc;
use std::time::Duration;

use apiserver::ServiceAccountKey;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::harness::Server;
use crate::users::Hands;

const KEYS: &str = "/openid/v1/jwks";
const ADMIN: &str = "/admin/v1/signing-keys";
const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const GRACE: Duration = Duration::from_secs(120);

impl Server {
    async fn rotate(&self, how: &str) -> Vec<String> {
        let told = self.post(&format!("{ADMIN}/rotate{how}"), json!({})).await.expect(200);
        told["items"].as_array().unwrap().iter().map(|key| key["state"].as_str().unwrap().to_owned()).collect()
    }

    async fn published(&self) -> Vec<Value> {
        self.get(KEYS).await.expect(200)["keys"].as_array().unwrap().clone()
    }
}

/// With a service account, a user and a clock.
async fn server() -> (Server, Arc<Hands>) {
    let clock = Hands::new();
    let server = Server::with_ann(|config| config.clock = Arc::<Hands>::clone(&clock)).await;
    server.make_account().await;
    (server, clock)
}

fn part(token: &str, number: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(number).unwrap()).unwrap()).unwrap()
}

/// Proves a token by the published keys alone, with nothing of what the server does it with.
fn is_proven(token: &str, keys: &[Value]) -> bool {
    let Some(key) = keys.iter().find(|key| key["kid"] == part(token, 0)["kid"]) else { return false };
    for (field, value) in [("kty", "EC"), ("crv", "P-256"), ("alg", "ES256"), ("use", "sig")] {
        assert_eq!(key[field], value);
    }
    let number = |name: &str| URL_SAFE_NO_PAD.decode(key[name].as_str().unwrap()).unwrap();
    let point = [vec![4], number("x"), number("y")].concat();
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(signed.as_bytes(), &signature).is_ok()
}

#[tokio::test]
async fn nobody_is_logged_out_by_a_rotation() {
    let (server, clock) = server().await;
    let (account, user) = (server.token(json!({})).await, server.tokens("ann").await);
    assert_eq!(server.rotate("").await, ["Waits", "Signs"]);
    assert!(server.who(&account).await.is_ok() && server.is_in(&user).await);
    assert_eq!(part(&server.token(json!({})).await, 0), part(&account, 0), "not every server knows the new key yet");

    clock.pass(GRACE);
    assert!(server.who(&account).await.is_ok() && server.is_in(&user).await);
    let new = server.token(json!({})).await;
    assert_ne!(part(&new, 0)["kid"], part(&account, 0)["kid"]);
    assert!(server.who(&new).await.is_ok() && server.is_in(&server.tokens("ann").await).await);
    assert_eq!(server.get(ADMIN).await.expect(200)["items"][0]["id"], part(&new, 0)["kid"]);
}

#[tokio::test]
async fn tokens_from_before_a_rotation_count_after_a_restart_and_at_every_server() {
    let (server, clock) = server().await;
    let old = server.token(json!({"expirationSeconds": 31_536_000})).await;
    server.rotate("").await;
    clock.pass(GRACE);
    let new = server.token(json!({})).await;
    // A server that was started with another first key: the store has those that count.
    let other = Server::over(server.storage.clone(), |config| {
        config.service_account_key = Arc::new(ServiceAccountKey::generate());
        config.clock = Arc::<Hands>::clone(&clock);
    })
    .await;
    for token in [&old, &new] {
        assert!(other.who(token).await.is_ok());
    }
    assert_eq!(other.who(&old).await.unwrap()["username"], "system:serviceaccount:default:ci");
}

#[tokio::test]
async fn a_key_is_forgotten_once_no_token_of_it_counts() {
    let (server, clock) = server().await;
    let old = server.token(json!({"expirationSeconds": 31_536_000})).await;
    server.rotate("").await;
    clock.pass(YEAR - Duration::from_secs(1));
    assert!(server.who(&old).await.is_ok() && is_proven(&old, &server.published().await));
    clock.pass(GRACE * 2 + Duration::from_secs(1));
    assert_eq!(server.published().await.len(), 1);
    assert!(!is_proven(&old, &server.published().await));
    assert_eq!(server.rotate("").await, ["Waits", "Signs"]);
}

#[tokio::test]
async fn a_token_counts_for_a_year_at_most() {
    let (server, _) = server().await;
    let wish = json!({
        "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"expirationSeconds": 31_536_001},
    });
    let made = server.post("/api/v1/namespaces/default/serviceaccounts/ci/token", wish).await;
    assert_eq!(made.expect(201)["spec"]["expirationSeconds"], 31_536_000);
    let warning = "requested expiration of 31536001 seconds shortened to 31536000 seconds";
    assert!(made.header("warning").contains(warning), "{made:?}");
    let token = made.json()["status"]["token"].as_str().unwrap().to_owned();
    let claims = part(&token, 1);
    assert_eq!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap(), 31_536_000);
}

#[tokio::test]
async fn keys_that_somebody_else_may_have_are_revoked_at_once() {
    let (server, _) = server().await;
    let (account, user) = (server.token(json!({})).await, server.tokens("ann").await);
    assert!(server.who(&account).await.is_ok() && server.is_in(&user).await);
    assert_eq!(server.rotate("?revoke=true").await, ["Signs"]);
    assert_eq!(server.who(&account).await, Err(401));
    assert!(!server.is_in(&user).await);
    assert_eq!(server.published().await.len(), 1);
    let renewed = server.ask("refresh", json!({"refreshToken": user["refreshToken"]})).await.expect(200);
    assert!(server.is_in(&renewed).await, "a session goes on by its refresh token");
}

#[tokio::test]
async fn only_who_may_rotates() {
    let (server, _) = server().await;
    let bob = [("authorization", "Bearer the-token-of-bob")];
    for (method, path) in [("GET", ADMIN.to_owned()), ("POST", format!("{ADMIN}/rotate"))] {
        server.send(method, &path, &bob, "").await.refusal(403);
    }
    server.get(&format!("{ADMIN}/rotate")).await.refusal(405);
    let shown = server.get(ADMIN).await;
    assert!(!shown.text.contains("PRIVATE"), "{}", shown.text);
}

#[tokio::test]
async fn tokens_are_proven_by_what_is_published() {
    let (server, clock) = server().await;
    let discovery = server.get("/.well-known/openid-configuration").await;
    assert_eq!(
        discovery.expect(200),
        json!({
            "issuer": "https://kubernetes.default.svc.cluster.local",
            "jwks_uri": "https://localhost:6443/openid/v1/jwks",
            "response_types_supported": ["id_token"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        })
    );
    assert_eq!(discovery.header("content-type"), "application/json");
    let reply = server.get(KEYS).await;
    assert_eq!(reply.header("content-type"), "application/jwk-set+json");
    assert_eq!(reply.header("cache-control"), "public, max-age=60");
    assert!(!reply.text.contains("\"d\""), "{}", reply.text);

    let old = server.token(json!({"audiences": ["vault"]})).await;
    server.rotate("").await;
    let keys = server.published().await;
    clock.pass(GRACE);
    let new = server.token(json!({"audiences": ["vault"]})).await;
    assert!(is_proven(&old, &keys) && is_proven(&new, &keys), "also by keys that were read before");
    let parts: Vec<&str> = old.split('.').collect();
    let of_another = new.split('.').nth(1).unwrap();
    assert!(!is_proven(&[parts[0], of_another, parts[2]].join("."), &keys));
}

#[tokio::test]
async fn who_may_read_what_proves_tokens_is_a_matter_of_roles() {
    let (server, _) = server().await;
    for path in [KEYS, "/.well-known/openid-configuration"] {
        server.send("GET", path, &[("authorization", "Bearer the-token-of-bob")], "").await.refusal(403);
        server.send("GET", path, &[("authorization", "")], "").await.refusal(401);
        server.post(path, json!({})).await.refusal(405);
    }
}
