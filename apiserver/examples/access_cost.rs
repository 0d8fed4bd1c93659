//! What it costs to know who asks and whether they may, with a thousand roles and a thousand bindings: the time of a request
//! with a token, less that of the same request by somebody in this process who may do everything.
//!
//! `cargo run --release -p apiserver --example access_cost`

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use apiserver::{ApiServer, Config, Identity, Service, TokenHash, TokenTable};
use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt as _;

const ROLES: usize = 1000;
const ROUNDS: usize = 20;
const REQUESTS: u32 = 2000;
const TOKEN: &str = "a-token";
const API: &str = "rbac.authorization.k8s.io";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let store = Arc::new(MemoryStore::new(uuid::Uuid::from_u128(1)));
    let storage = Storage::open(store, StorageOptions::default()).await?;
    let tokens = TokenTable::new().with(TokenHash::of(TOKEN), Identity::new("ann", ["team".to_owned()]));
    let server = ApiServer::new(Config::new(storage, tokens)).await?;
    let master = server.service_as(Identity::master("bench"));
    for number in 0..ROLES {
        make(&master, &format!("/apis/{API}/v1/namespaces/default/roles"), role(number)).await?;
        make(&master, &format!("/apis/{API}/v1/namespaces/default/rolebindings"), binding(number)).await?;
    }
    let service = server.service();
    let (mut without, mut with) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        without = without.min(time(&master).await?);
        with = with.min(time(&service).await?);
    }
    println!("a GET with {ROLES} roles and {ROLES} bindings, of which 10 are the user's (best of {ROUNDS} rounds)");
    println!("  by somebody in the process: {without:?}");
    println!("  with a token and RBAC:      {with:?}");
    println!("  so access costs:            {:?}", with.saturating_sub(without));
    Ok(())
}

fn role(number: usize) -> Value {
    let rule = json!({"verbs": ["get"], "apiGroups": [""], "resources": ["configmaps"], "resourceNames": [format!("c{number}")]});
    json!({"apiVersion": format!("{API}/v1"), "kind": "Role", "metadata": {"name": format!("r{number}")}, "rules": [rule]})
}

/// One in a hundred is the user's, and the last of them allows what is asked.
fn binding(number: usize) -> Value {
    let user = if number % 100 == 99 { "ann".to_owned() } else { format!("user-{number}") };
    json!({
        "apiVersion": format!("{API}/v1"), "kind": "RoleBinding", "metadata": {"name": format!("b{number}")},
        "roleRef": {"apiGroup": API, "kind": "Role", "name": format!("r{number}")},
        "subjects": [{"apiGroup": API, "kind": "User", "name": user}],
    })
}

async fn make(service: &Service, path: &str, object: Value) -> Result<(), Box<dyn Error>> {
    let request = Request::post(path).header("content-type", "application/json");
    let answer = service.clone().oneshot(request.body(Full::new(Bytes::from(object.to_string())))?).await?;
    if answer.status().is_success() { Ok(()) } else { Err(format!("{path}: {}", answer.status()).into()) }
}

/// The time of one of many requests.
async fn time(service: &Service) -> Result<Duration, Box<dyn Error>> {
    let last = ROLES - 1;
    let begin = Instant::now();
    for _ in 0..REQUESTS {
        let request = Request::get(format!("/api/v1/namespaces/default/configmaps/c{last}"));
        let request = request.header("authorization", format!("Bearer {TOKEN}"));
        let answer = service.clone().oneshot(request.body(Full::new(Bytes::new()))?).await?;
        if answer.status() != 404 {
            return Err(format!("the ConfigMap isn't there: {}", answer.status()).into());
        }
    }
    Ok(begin.elapsed() / REQUESTS)
}
