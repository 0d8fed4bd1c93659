//! The keys that sign tokens: rotated without logging anybody out, and published for whoever proves tokens elsewhere.

use std::sync::Arc;
use std::time::Duration;

use apiserver::{SERVICE_ACCOUNT_ISSUER, ServiceAccountIssuers, ServiceAccountKey};
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

/// Another server of the same installation, whose issuer has these names.
async fn named(server: &Server, key: &Arc<ServiceAccountKey>, names: &[&str], jwks_uri: Option<&str>) -> Server {
    let names = names.iter().map(|name| (*name).to_owned()).collect();
    let issuers = ServiceAccountIssuers::new(names, jwks_uri.map(str::to_owned)).unwrap();
    Server::over(server.storage.clone(), |config| {
        config.service_account_key = Arc::clone(key);
        config.service_account_issuers = Arc::new(issuers);
    })
    .await
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

#[tokio::test]
async fn an_issuer_gets_another_name_and_the_tokens_of_the_old_one_count_as_long_as_it_is_given_too() {
    let key = Arc::new(ServiceAccountKey::generate());
    let before = Server::with_ann(|config| config.service_account_key = Arc::clone(&key)).await;
    before.make_account().await;
    let (old, ann) = (before.token(json!({})).await, before.tokens("ann").await);

    let name = "https://cloud.example.net/prod";
    let after = named(&before, &key, &[name, SERVICE_ACCOUNT_ISSUER], None).await;
    let discovery = after.get("/.well-known/openid-configuration").await.expect(200);
    assert_eq!(discovery["issuer"], name);
    let new = after.token(json!({})).await;
    assert_eq!((&part(&new, 1)["iss"], &part(&new, 1)["aud"]), (&json!(name), &json!([name, SERVICE_ACCOUNT_ISSUER])));
    assert!(is_proven(&new, &after.published().await));
    assert!(after.who(&old).await.is_ok() && after.who(&new).await.is_ok() && after.is_in(&ann).await);
    let audiences = [
        (&old, json!([]), json!([SERVICE_ACCOUNT_ISSUER])),
        (&new, json!([]), json!([name, SERVICE_ACCOUNT_ISSUER])),
        (&new, json!(["vault", name]), json!([name])),
    ];
    for (token, asked, answer) in audiences {
        assert_eq!(after.review(token, asked).await["audiences"], answer);
    }

    let done = named(&before, &key, &[name], None).await;
    assert_eq!(done.who(&old).await, Err(401));
    assert!(done.who(&new).await.is_ok() && !done.is_in(&ann).await);
    let renewed = done.ask("refresh", json!({"refreshToken": ann["refreshToken"]})).await.expect(200);
    assert!(done.is_in(&renewed).await, "a session goes on by its refresh token");
    assert_eq!(before.who(&new).await, Err(401), "a server that wasn't told of the new name refuses it");
}

#[tokio::test]
async fn an_issuer_without_an_address_is_not_discovered() {
    let key = Arc::new(ServiceAccountKey::generate());
    let first = Server::start().await;
    let server = named(&first, &key, &["cloud"], None).await;
    server.make_account().await;
    let token = server.token(json!({})).await;
    assert_eq!(part(&token, 1)["iss"], "cloud");
    assert!(server.who(&token).await.is_ok());
    for path in [KEYS, "/.well-known/openid-configuration"] {
        assert_eq!(server.get(path).await.code, 404, "{path}");
    }
}

#[tokio::test]
async fn discovery_says_that_the_keys_are_where_the_operator_puts_them() {
    let (first, key) = (Server::start().await, Arc::new(ServiceAccountKey::generate()));
    let keys = "https://keys.example.net/jwks.json";
    let server = named(&first, &key, &["https://cloud.example.net"], Some(keys)).await;
    assert_eq!(server.get("/.well-known/openid-configuration").await.expect(200)["jwks_uri"], keys);
}
