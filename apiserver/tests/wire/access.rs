//! Who comes in.

use serde_json::json;

use crate::harness::{Server, WIDGETS, namespace, widget};

#[tokio::test]
async fn strangers_learn_nothing_but_the_health() {
    let server = Server::start().await;
    for path in ["/version", "/api", "/apis", "/openapi/v2", "/metrics", "/", "/api/v1/namespaces", "/nonsense"] {
        let reply = server.send("GET", path, &[("authorization", "Bearer wrong")], "").await;
        assert_eq!(reply.refusal(401), ("Unauthorized".into(), "Unauthorized".into()), "{path}");
    }
    for path in ["/livez", "/readyz", "/healthz", "/readyz/"] {
        let reply = server.send("GET", path, &[("authorization", "")], "").await;
        assert_eq!((reply.code, reply.text.as_str()), (200, "ok"), "{path}");
    }
}

#[tokio::test]
async fn health_is_told_check_by_check() {
    let server = Server::start().await;
    let verbose = server.get("/readyz?verbose").await;
    assert_eq!(verbose.text, "[+]ping ok\n[+]store ok\n[+]shutdown ok\nreadyz check passed\n");
    let without = server.get("/readyz?verbose&exclude=store&exclude=etcd").await;
    assert_eq!(
        without.text,
        "[+]ping ok\n[+]store excluded: ok\n[+]shutdown ok\nwarn: some health checks cannot be excluded: no matches \
         for \"etcd\"\nreadyz check passed\n"
    );
    for path in ["/readyz/store", "/healthz/ping", "/livez/ping"] {
        let one = server.get(path).await;
        assert_eq!((one.code, one.text.as_str()), (200, "ok"), "{path}");
        let bob = server.send("GET", path, &[("authorization", "Bearer the-token-of-bob")], "").await;
        assert_eq!(bob.code, 403, "one check alone is for those who may: {path}");
    }
    for path in ["/livez/store", "/readyz/etcd", "/readyz/ping/x", "/version/ping"] {
        assert_eq!(server.get(path).await.code, 404, "{path}");
    }
    server.shutdown.cancel();
    let failing = server.get("/readyz").await;
    assert_eq!(failing.code, 500);
    assert_eq!(failing.text, "[+]ping ok\n[+]store ok\n[-]shutdown failed: reason withheld\nreadyz check failed\n");
    assert_eq!(server.get("/readyz?exclude=shutdown").await.code, 200);
    assert_eq!(server.get("/livez").await.code, 200, "what ends on purpose is alive");
}

#[tokio::test]
async fn users_without_rights_are_refused_in_the_words_that_tools_parse() {
    let server = Server::with_widgets().await;
    let bob = [("authorization", "Bearer the-token-of-bob")];
    let (reason, message) = server.send("GET", WIDGETS, &bob, "").await.refusal(403);
    assert_eq!(reason, "Forbidden");
    assert_eq!(
        message,
        "widgets.wire.test is forbidden: User \"bob\" cannot list resource \"widgets\" in API group \"wire.test\" in \
         the namespace \"a\""
    );
    let (_, message) = server.send("GET", "/metrics", &bob, "").await.refusal(403);
    assert_eq!(message, "forbidden: User \"bob\" cannot get path \"/metrics\"");
}

#[tokio::test]
async fn impersonation_is_honoured_and_never_ignored() {
    let server = Server::with_widgets().await;
    let as_bob = [("impersonate-user", "bob"), ("content-type", "application/json")];
    let body = widget("w", json!({"color": "red"})).to_string();
    assert_eq!(server.send("POST", WIDGETS, &as_bob, body).await.code, 403);
    let as_master = [("impersonate-user", "bob"), ("impersonate-group", "system:masters")];
    assert_eq!(server.send("GET", WIDGETS, &as_master, "").await.code, 200);
    let bob_as_admin = [("authorization", "Bearer the-token-of-bob"), ("impersonate-user", "admin")];
    assert_eq!(server.send("GET", WIDGETS, &bob_as_admin, "").await.code, 403);
}

#[tokio::test]
async fn a_full_server_asks_to_come_back() {
    let server = Server::with(|config| config.limits.streams = 1).await;
    let path = "/api/v1/namespaces?watch=true";
    let first = server.watch(path, &[]).await;
    let reply = server.get(path).await;
    assert_eq!(reply.refusal(429).0, "TooManyRequests");
    assert_eq!(reply.header("retry-after"), "1");
    assert_eq!(server.get("/api/v1/namespaces").await.code, 200, "only streams are full");
    drop(first);
    drop(server.watch(path, &[]).await);
}

#[tokio::test]
async fn requests_are_counted_by_verb_resource_and_code() {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server.get("/api/v1/namespaces/none").await.refusal(404);
    let metrics = server.get("/metrics").await.text;
    for line in [
        "apiserver_requests_total{verb=\"create\",resource=\"namespaces\",code=\"201\"} 1",
        "apiserver_requests_total{verb=\"get\",resource=\"namespaces\",code=\"404\"} 1",
        "apiserver_store_writes_total 2",
    ] {
        assert!(metrics.contains(line), "{line} is not in\n{metrics}");
    }
    server.get("/apis/made.up/v1/anything").await;
    assert!(!server.get("/metrics").await.text.contains("made.up"));
}
