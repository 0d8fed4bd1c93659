//! What it costs to know who asks and whether they may, with a thousand roles and a thousand bindings: the time of a request
//! with a token of each make, less that of the same request by somebody in this process who may do everything. And what a login
//! with a password costs.
//!
//! `cargo run --release -p apiserver --example access_cost`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::{ApiServer, Config, Identity, PasswordCost, Service, TokenHash, TokenTable};
use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ROLES: usize = 1000;
const ROUNDS: usize = 20;
const REQUESTS: u32 = 2000;
const LOGINS: usize = 15;
const TOKEN: &str = "a-token";
const PASSWORD: &str = "correct horse battery";
const RBAC: &str = "rbac.authorization.k8s.io";
const CLOUD: &str = "thecloud.dev/v1alpha1";

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let store = Arc::new(MemoryStore::new(uuid::Uuid::from_u128(1)));
    let storage = Storage::open(store, StorageOptions::default()).await?;
    let tokens = TokenTable::new().with(TokenHash::of(TOKEN), Identity::new("ann", ["team".to_owned()]));
    let mut config = Config::new(storage, tokens);
    config.logins.cost = PasswordCost::least();
    config.limits.user_requests_per_second = 0;
    let server = ApiServer::new(config).await?;
    server.install_kinds(&[definition("users")?, definition("apikeys")?]).await?;
    let master = server.service_as(Identity::master("bench"));
    for number in 0..ROLES {
        post(&master, &format!("/apis/{RBAC}/v1/namespaces/default/roles"), role(number)).await?;
        post(&master, &format!("/apis/{RBAC}/v1/namespaces/default/rolebindings"), binding(number)).await?;
    }
    let service = server.service();
    let tokens = tokens_of_ann(&master, &service).await?;
    let mut without = Duration::MAX;
    let mut with = vec![Duration::MAX; tokens.len()];
    for _ in 0..ROUNDS {
        without = without.min(time(&master, TOKEN).await?);
        for (best, (_, token)) in with.iter_mut().zip(&tokens) {
            *best = (*best).min(time(&service, token).await?);
        }
    }
    println!("a GET with {ROLES} roles and {ROLES} bindings, of which 10 are the user's (best of {ROUNDS} rounds)");
    println!("  by somebody in the process: {without:?}");
    for (best, (make, _)) in with.iter().zip(&tokens) {
        println!("  with {make}: {best:?}, so access costs {:?}", best.saturating_sub(without));
    }
    let mut logins = logins().await?;
    logins.sort_unstable();
    println!("a login with a password: {:?} ({:?} to {:?})", logins[LOGINS / 2], logins[0], logins[LOGINS - 1]);
    Ok(())
}

/// The times of logins at a server that has passwords cost what they do everywhere.
async fn logins() -> Result<Vec<Duration>, Failure> {
    let store = Arc::new(MemoryStore::new(uuid::Uuid::from_u128(2)));
    let storage = Storage::open(store, StorageOptions::default()).await?;
    let server = ApiServer::new(Config::new(storage, TokenTable::new())).await?;
    server.install_kinds(&[definition("users")?]).await?;
    let (master, service) = (server.service_as(Identity::master("bench")), server.service());
    let users = format!("/apis/{CLOUD}/users");
    post(&master, &users, json!({"apiVersion": CLOUD, "kind": "User", "metadata": {"name": "ann"}, "spec": {}}))
        .await?;
    post(&master, &format!("{users}/ann/password"), json!({"password": PASSWORD})).await?;
    let mut times = Vec::new();
    for _ in 0..LOGINS {
        let begin = Instant::now();
        post(&service, "/auth/v1/login", json!({"username": "ann", "password": PASSWORD})).await?;
        times.push(begin.elapsed());
    }
    Ok(times)
}

/// Tokens by which somebody called `ann` comes in: one that the server was started with, and one of each make.
async fn tokens_of_ann(master: &Service, stranger: &Service) -> Result<Vec<(&'static str, String)>, Failure> {
    let (users, keys) = (format!("/apis/{CLOUD}/users"), format!("/apis/{CLOUD}/apikeys"));
    let text = |object: &Value, place: &str| object.pointer(place).and_then(Value::as_str).map(str::to_owned);
    let named =
        |kind: &str, spec: Value| json!({"apiVersion": CLOUD, "kind": kind, "metadata": {"name": "ann"}, "spec": spec});
    post(master, &users, named("User", json!({}))).await?;
    post(master, &format!("{users}/ann/password"), json!({"password": PASSWORD})).await?;
    let login = post(stranger, "/auth/v1/login", json!({"username": "ann", "password": PASSWORD})).await?;
    post(master, &keys, named("ApiKey", json!({"owner": {"kind": "User", "name": "ann"}}))).await?;
    let key = post(master, &format!("{keys}/ann/token"), json!({})).await?;
    let accounts = "/api/v1/namespaces/default/serviceaccounts";
    post(master, accounts, json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "ann"}})).await?;
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let account = post(master, &format!("{accounts}/ann/token"), request).await?;
    Ok(vec![
        ("a token of the server's own", TOKEN.to_owned()),
        ("a user's access token", text(&login, "/accessToken").ok_or("no access token")?),
        ("an API key", text(&key, "/status/key").ok_or("no key")?),
        ("a service account's token", text(&account, "/status/token").ok_or("no token")?),
    ])
}

fn definition(name: &str) -> Result<Value, Failure> {
    let path = format!("{}/../manifests/crds/{name}.thecloud.dev.yaml", env!("CARGO_MANIFEST_DIR"));
    Ok(serde_saphyr::from_str(&std::fs::read_to_string(path)?)?)
}

fn role(number: usize) -> Value {
    let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": [format!("c{number}")]});
    json!({"apiVersion": format!("{RBAC}/v1"), "kind": "Role", "metadata": {"name": format!("r{number}")}, "rules": [rule]})
}

/// One in a hundred is the user's and the service account's, and the last of them allows what is asked.
fn binding(number: usize) -> Value {
    let name = if number % 100 == 99 { "ann".to_owned() } else { format!("user-{number}") };
    json!({
        "apiVersion": format!("{RBAC}/v1"), "kind": "RoleBinding", "metadata": {"name": format!("b{number}")},
        "roleRef": {"apiGroup": RBAC, "kind": "Role", "name": format!("r{number}")},
        "subjects": [
            {"apiGroup": RBAC, "kind": "User", "name": name},
            {"kind": "ServiceAccount", "namespace": "default", "name": name},
        ],
    })
}

async fn post(service: &Service, path: &str, object: Value) -> Result<Value, Failure> {
    let request = Request::post(path).header("content-type", "application/json");
    let answer = service.clone().oneshot(request.body(Full::new(Bytes::from(object.to_string())))?).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    if !status.is_success() {
        return Err(format!("{path}: {status} {}", String::from_utf8_lossy(&body)).into());
    }
    Ok(serde_json::from_slice(&body).unwrap_or_default())
}

/// The time of one of many requests.
async fn time(service: &Service, token: &str) -> Result<Duration, Failure> {
    let last = ROLES - 1;
    let begin = Instant::now();
    for _ in 0..REQUESTS {
        let request = Request::get(format!("/api/v1/namespaces/default/configmaps/c{last}"));
        let request = request.header("authorization", format!("Bearer {token}"));
        let answer = service.clone().oneshot(request.body(Full::new(Bytes::new()))?).await?;
        if answer.status() != 404 {
            return Err(format!("the ConfigMap isn't there: {}", answer.status()).into());
        }
    }
    Ok(begin.elapsed() / REQUESTS)
}
