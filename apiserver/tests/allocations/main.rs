//! What the hot paths allocate, held against a stored baseline: a figure that no neighbour on the machine moves.
//!
//! `BLESS=1 cargo nextest run -p apiserver --test allocations` writes the baseline anew; read its diff.

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver::{ApiServer, Config, Identity, Service, TokenHash, TokenTable};
use apiserver_store::memory::MemoryStore;
use apiserver_store::{Storage, StorageOptions};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tower::ServiceExt;
use uuid::Uuid;

const TOKEN: &str = "the-token-of-the-tests";
const USER_TOKEN: &str = "the-token-of-a-user";
const THINGS: &str = "/apis/guard.test/v1/namespaces/default/things";
const BASELINE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/allocations/baseline.json");
/// How often each path is taken: enough that background work and growing tables hardly count.
const TIMES: usize = 200;
/// How far above the baseline a path may be, in percent.
const TOLERANCE: u64 = 5;

#[test]
fn hot_paths_allocate_no_more_than_they_did() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime.block_on(service());
    let call = |method: &str, path: String, kind: &str, body: String| {
        let code = runtime.block_on(send(&service, method, &path, kind, body));
        assert!((200..300).contains(&code), "{method} {path}: {code}");
    };
    let one = |number: usize| format!("{THINGS}/thing-{number:04}");
    // Once before counting: what is made at first use isn't the path's.
    call("POST", THINGS.into(), "application/json", thing(9_999));
    let mut measured = BTreeMap::new();
    let mut measure = |name: &str, times: usize, path: &dyn Fn(usize)| {
        let info = allocation_counter::measure(|| (0..times).for_each(path));
        let each = |total: u64| total / times as u64;
        measured.insert(name.to_owned(), (each(info.count_total), each(info.bytes_total)));
    };
    measure("create", TIMES, &|n| call("POST", THINGS.into(), "application/json", thing(n)));
    measure("get", TIMES, &|n| call("GET", one(n), "", String::new()));
    let by_rules = |n| {
        let code = runtime.block_on(send_as(USER_TOKEN, &service, "GET", &one(n), "", String::new()));
        assert_eq!(code, 200);
    };
    by_rules(9_999);
    measure("get by the rules of a role", TIMES, &by_rules);
    let status = |n| json!({"status": {"ready": n}}).to_string();
    measure("status patch", TIMES, &|n| call("PATCH", one(n) + "/status", "application/merge-patch+json", status(n)));
    measure("list of 200", 10, &|_| call("GET", THINGS.into(), "", String::new()));
    measure("delete", TIMES, &|n| call("DELETE", one(n), "", String::new()));
    hold_against_baseline(&measured);
}

fn hold_against_baseline(measured: &BTreeMap<String, (u64, u64)>) {
    let figures: BTreeMap<&String, Value> =
        measured.iter().map(|(name, (count, bytes))| (name, json!({"allocations": count, "bytes": bytes}))).collect();
    let written = format!("{:#}\n", json!(figures));
    if std::env::var("BLESS").is_ok_and(|bless| bless == "1") {
        std::fs::write(BASELINE, written).unwrap();
        return;
    }
    let baseline: Value = serde_json::from_str(&std::fs::read_to_string(BASELINE).unwrap()).unwrap();
    for (name, (count, bytes)) in measured {
        for (what, is, was) in [
            ("allocations", *count, baseline[name]["allocations"].as_u64()),
            ("bytes", *bytes, baseline[name]["bytes"].as_u64()),
        ] {
            let was = was.unwrap_or_else(|| panic!("`{name}` has no {what} in the baseline"));
            assert!(
                is <= was + was * TOLERANCE / 100,
                "`{name}` takes {is} {what} a request, it took {was}. If that is worth it, write the baseline anew \
                 with BLESS=1. All figures now: {written}"
            );
        }
    }
}

async fn service() -> Service {
    let store = Arc::new(MemoryStore::new(Uuid::from_u128(1)));
    let storage = Storage::open(store, StorageOptions::default()).await.unwrap();
    let tokens = TokenTable::new()
        .with(TokenHash::of(TOKEN), Identity::master("admin"))
        .with(TokenHash::of(USER_TOKEN), Identity::new("user", []));
    let server = ApiServer::new(Config::new(storage, tokens)).await.unwrap();
    server.install_kinds(&[definition()]).await.unwrap();
    let service = server.service();
    for (plural, object) in rules() {
        let path = format!("/apis/rbac.authorization.k8s.io/v1/{plural}");
        assert_eq!(send(&service, "POST", &path, "application/json", object.to_string()).await, 201);
    }
    service
}

/// What lets a user read things.
fn rules() -> [(&'static str, Value); 2] {
    let (api, metadata) = ("rbac.authorization.k8s.io/v1", json!({"name": "reader"}));
    let rule = json!({"verbs": ["get", "list"], "apiGroups": ["guard.test"], "resources": ["things"]});
    let role = json!({"apiVersion": api, "kind": "ClusterRole", "metadata": metadata, "rules": [rule]});
    let binding = json!({
        "apiVersion": api, "kind": "ClusterRoleBinding", "metadata": metadata,
        "roleRef": {"kind": "ClusterRole", "name": "reader"}, "subjects": [{"kind": "User", "name": "user"}],
    });
    [("clusterroles", role), ("clusterrolebindings", binding)]
}

async fn send(service: &Service, method: &str, path: &str, kind: &str, body: String) -> u16 {
    send_as(TOKEN, service, method, path, kind, body).await
}

async fn send_as(token: &str, service: &Service, method: &str, path: &str, kind: &str, body: String) -> u16 {
    let mut request = Request::builder().method(method).uri(path).header("authorization", format!("Bearer {token}"));
    if !kind.is_empty() {
        request = request.header("content-type", kind);
    }
    let request = request.body(Full::new(Bytes::from(body))).unwrap();
    let answer = service.clone().oneshot(request).await.unwrap();
    let code = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    code
}

fn thing(number: usize) -> String {
    let object = json!({
        "apiVersion": "guard.test/v1",
        "kind": "Thing",
        "metadata": {"name": format!("thing-{number:04}"), "labels": {"app": "guard"}},
        "spec": {
            "image": "images/debian-12",
            "env": {"MODE": "production", "REGION": "zone-a"},
            "ports": [{"name": "http", "port": 80}, {"name": "https", "port": 443}],
            "notes": "x".repeat(1_500),
        },
    });
    object.to_string()
}

fn definition() -> Value {
    let port = json!({
        "type": "object",
        "required": ["port"],
        "properties": {
            "name": {"type": "string"},
            "port": {"type": "integer", "minimum": 1},
            "protocol": {"type": "string", "default": "TCP"},
        },
    });
    let spec = json!({
        "type": "object",
        "properties": {
            "image": {"type": "string", "minLength": 1},
            "env": {"type": "object", "additionalProperties": {"type": "string"}},
            "ports": {"type": "array", "items": port},
            "notes": {"type": "string"},
        },
    });
    let status = json!({"type": "object", "properties": {"ready": {"type": "integer"}}});
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": "things.guard.test"},
        "spec": {
            "group": "guard.test",
            "scope": "Namespaced",
            "names": {"plural": "things", "singular": "thing", "kind": "Thing"},
            "versions": [{
                "name": "v1",
                "served": true,
                "storage": true,
                "subresources": {"status": {}},
                "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec, "status": status}}},
            }],
        },
    })
}
