//! Service accounts and their tokens.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use apiserver::{ApiServer, Clock, Config, ServiceAccountKey, TokenTable};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::harness::{Server, request};
use crate::protobuf::{HEADERS, body, field};

const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const TOKEN: &str = "/api/v1/namespaces/default/serviceaccounts/ci/token";
const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

impl Server {
    pub(crate) async fn make_account(&self) -> Value {
        let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ci"}});
        self.post(ACCOUNTS, account).await.expect(201)
    }

    pub(crate) async fn token(&self, spec: Value) -> String {
        let made = self.post(TOKEN, wish(&spec)).await.expect(201);
        made["status"]["token"].as_str().unwrap().to_owned()
    }

    /// Who somebody is by a token; the code where they are nobody.
    pub(crate) async fn who(&self, token: &str) -> Result<Value, u16> {
        let bearer = format!("Bearer {token}");
        let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        let question = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).to_string();
        let answer = self.send("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", &headers, question).await;
        if answer.code == 201 { Ok(answer.json()["status"]["userInfo"].clone()) } else { Err(answer.code) }
    }

    pub(crate) async fn review(&self, token: &str, audiences: Value) -> Value {
        let question = json!({
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
            "spec": {"token": token, "audiences": audiences},
        });
        self.post("/apis/authentication.k8s.io/v1/tokenreviews", question).await.expect(201)["status"].clone()
    }
}

fn wish(spec: &Value) -> Value {
    json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
}

#[tokio::test]
async fn a_service_account_comes_in_by_its_token() {
    let server = Server::start().await;
    let account = server.make_account().await;
    let made = server.post(TOKEN, wish(&json!({}))).await.expect(201);
    assert_eq!(made["spec"], json!({"audiences": [AUDIENCE], "boundObjectRef": null, "expirationSeconds": 3600}));
    assert_eq!((&made["metadata"]["name"], &made["metadata"]["namespace"]), (&json!("ci"), &json!("default")));
    let time = |value: &Value| value.as_str().unwrap().parse::<Timestamp>().unwrap().as_second();
    let lifetime = time(&made["status"]["expirationTimestamp"]) - time(&made["metadata"]["creationTimestamp"]);
    assert_eq!(lifetime, 3600);

    let token = made["status"]["token"].as_str().unwrap();
    let who = server.who(token).await.unwrap();
    assert_eq!(who["username"], "system:serviceaccount:default:ci");
    assert_eq!(who["uid"], account["metadata"]["uid"]);
    assert_eq!(
        who["groups"],
        json!(["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"])
    );
    let credential = who["extra"]["authentication.kubernetes.io/credential-id"][0].as_str().unwrap();
    assert!(credential.starts_with("JTI="), "{credential}");
    let review = server.review(token, json!([])).await;
    assert_eq!((&review["authenticated"], &review["user"]), (&json!(true), &who));
    assert_eq!(review["audiences"], json!([AUDIENCE]));

    let bearer = format!("Bearer {token}");
    let (_, message) = server.send("GET", ACCOUNTS, &[("authorization", &bearer)], "").await.refusal(403);
    assert!(message.contains("User \"system:serviceaccount:default:ci\" cannot list"), "{message}");
    server.delete(&format!("{ACCOUNTS}/ci"), json!({})).await.expect(200);
    assert_eq!(server.who(token).await, Err(401));
    server.make_account().await;
    assert_eq!(server.who(token).await, Err(401), "another account has the name now");
    let error = server.review(token, json!([])).await["error"].as_str().unwrap().to_owned();
    assert!(error.starts_with("[invalid bearer token, service account UID"), "{error}");
}

#[tokio::test]
async fn a_token_is_asked_for_in_protobuf_too() {
    let server = Server::start().await;
    server.make_account().await;
    let spec = [field(1, "vault"), vec![4 << 3, 0xd8, 0x04]].concat();
    let question = body("authentication.k8s.io/v1", "TokenRequest", field(2, spec));
    let made = server.send("POST", TOKEN, &HEADERS, question).await.expect(201);
    assert_eq!(made["spec"], json!({"audiences": ["vault"], "boundObjectRef": null, "expirationSeconds": 600}));
    let token = made["status"]["token"].as_str().unwrap();
    assert_eq!(server.who(token).await, Err(401), "it is not meant for this API");
    assert_eq!(server.review(token, json!(["vault", "x"])).await["audiences"], json!(["vault"]));
    assert_eq!(server.review(token, json!(["x"])).await.get("authenticated"), None);
}

#[tokio::test]
async fn a_token_is_bound_to_a_secret() {
    let server = Server::start().await;
    server.make_account().await;
    let secrets = "/api/v1/namespaces/default/secrets";
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}});
    server.post(secrets, secret).await.expect(201);
    let reference =
        |kind: &str, uid: &str| json!({"boundObjectRef": {"apiVersion": "v1", "kind": kind, "name": "s", "uid": uid}});
    let token = server.token(reference("Secret", "")).await;
    assert!(server.who(&token).await.is_ok());
    let (reason, message) = server.post(TOKEN, wish(&reference("Secret", "other"))).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert!(message.contains("the UID in the bound object reference (other) does not match"), "{message}");
    let (_, message) = server.post(TOKEN, wish(&reference("Pod", ""))).await.refusal(400);
    assert_eq!(message, "cannot bind token to object of type /v1, Kind=Pod");
    server.delete(&format!("{secrets}/s"), json!({})).await.expect(200);
    assert_eq!(server.who(&token).await, Err(401));
    let (_, message) = server.post(TOKEN, wish(&reference("Secret", ""))).await.refusal(404);
    assert_eq!(message, "secrets \"s\" not found");
}

#[tokio::test]
async fn a_wish_for_a_token_that_cannot_be_is_refused() {
    let server = Server::start().await;
    let (_, message) = server.post(TOKEN, wish(&json!({}))).await.refusal(404);
    assert_eq!(message, "serviceaccounts \"ci\" not found");
    server.make_account().await;
    for (seconds, detail) in [
        (599, "may not specify a duration less than 10 minutes"),
        ((1_i64 << 32) + 1, "may not specify a duration larger than 2^32 seconds"),
    ] {
        let (_, message) = server.post(TOKEN, wish(&json!({"expirationSeconds": seconds}))).await.refusal(422);
        let place = "TokenRequest.authentication.k8s.io \"\" is invalid: spec.expirationSeconds";
        assert_eq!(message, format!("{place}: Invalid value: {seconds}: {detail}"));
    }
    let mut named = wish(&json!({}));
    named["metadata"] = json!({"name": "other"});
    let (_, message) = server.post(TOKEN, named).await.refusal(422);
    assert_eq!(
        message,
        "TokenRequest.authentication.k8s.io \"ci\" is invalid: metadata.name: Invalid value: \"other\": must match the \
         service account name if specified"
    );
    server.get(TOKEN).await.refusal(405);
    let bob = [("authorization", "Bearer the-token-of-bob"), ("content-type", "application/json")];
    let (_, message) = server.send("POST", TOKEN, &bob, wish(&json!({})).to_string()).await.refusal(403);
    assert!(message.contains("cannot create resource \"serviceaccounts/token\" in API group \"\""), "{message}");
    let list = server.get("/api/v1").await.expect(200);
    let row = list["resources"].as_array().unwrap().iter().find(|row| row["name"] == "serviceaccounts/token").unwrap();
    assert_eq!((&row["kind"], &row["verbs"]), (&json!("TokenRequest"), &json!(["create"])));
}

/// A clock that the test sets.
struct Hands(AtomicI64);

impl Clock for Hands {
    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }
}

#[tokio::test]
async fn a_token_expires() {
    let clock = Arc::new(Hands(AtomicI64::new(1_800_000_000)));
    let server = Server::with(|config| config.clock = Arc::<Hands>::clone(&clock)).await;
    server.make_account().await;
    let token = server.token(json!({"expirationSeconds": 600})).await;
    clock.0.fetch_add(599, Ordering::Relaxed);
    assert!(server.who(&token).await.is_ok());
    clock.0.fetch_add(1, Ordering::Relaxed);
    assert_eq!(server.who(&token).await, Err(401));
    let error = server.review(&token, json!([])).await["error"].clone();
    assert_eq!(error, "[invalid bearer token, service account token has expired]");
}

#[tokio::test]
async fn servers_that_share_a_key_take_each_others_tokens() {
    let key = Arc::new(ServiceAccountKey::generate());
    let server = Server::with(|config| config.service_account_key = Arc::clone(&key)).await;
    server.make_account().await;
    let token = server.token(json!({})).await;
    for (key, code) in [(key, 200), (Arc::new(ServiceAccountKey::generate()), 401)] {
        let mut config = Config::new(server.storage.clone(), TokenTable::new());
        config.service_account_key = key;
        let other = ApiServer::new(config).await.unwrap();
        let bearer = format!("Bearer {token}");
        let asked = request("GET", "/version", &[("authorization", &bearer)], "");
        assert_eq!(other.service().oneshot(asked).await.unwrap().status(), code);
    }
}
