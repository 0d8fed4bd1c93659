//! The audit log over the wire: what anybody did is in it, what they only looked at isn't, and no secret ever is.

use std::sync::Arc;

use apiserver::{Audit, AuditOptions, Policy, SystemClock};
use serde_json::{Value, json};

use crate::harness::{Server, config_map, request};

const BOB: (&str, &str) = ("authorization", "Bearer the-token-of-bob");
const MAPS: &str = "/api/v1/namespaces/default/configmaps";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

pub fn log(policy: Policy) -> (Arc<Audit>, tempfile::TempDir) {
    let place = tempfile::tempdir().unwrap();
    let options = AuditOptions {
        folder: place.path().join("audit"),
        policy,
        file_bytes: 1 << 20,
        files: 3,
        clock: Arc::new(SystemClock),
    };
    (Arc::new(Audit::open(options).unwrap()), place)
}

async fn server_with(policy: Policy) -> (Server, tempfile::TempDir) {
    let (audit, place) = log(policy);
    (Server::with(|config| config.audit = Some(audit)).await, place)
}

async fn server() -> (Server, tempfile::TempDir) {
    server_with(Policy::default()).await
}

pub async fn events(server: &Server, query: &str) -> Vec<Value> {
    let reply = server.get(&format!("/admin/v1/audit?{query}")).await;
    assert_eq!(reply.code, 200, "{}", reply.text);
    reply.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"w": value}})
}

#[tokio::test]
async fn write_is_logged_with_who_what_and_how_it_ended_and_reads_are_not() {
    let (server, _place) = server().await;
    let made = server.post(MAPS, config_map("c", [("k", "v")].into())).await;
    made.expect(201);
    server.post(MAPS, config_map("c", [("k", "v")].into())).await.refusal(409);
    server.get(&format!("{MAPS}/c")).await.expect(200);
    let seen = events(&server, "resource=configmaps").await;
    assert_eq!(seen.len(), 2, "{seen:?}");
    assert_eq!(seen[0]["auditID"], made.header("audit-id"));
    assert_eq!(seen[0]["objectRef"]["name"], "c");
    assert_eq!((&seen[0]["user"]["username"], &seen[0]["responseStatus"]["code"]), (&"admin".into(), &201.into()));
    assert_eq!(seen[1]["responseStatus"]["reason"], "AlreadyExists");
}

#[tokio::test]
async fn read_of_a_secret_is_logged_and_its_value_never_is() {
    let policy = "{apiVersion: audit.k8s.io/v1, kind: Policy, rules: [{level: Request}]}";
    let (server, place) = server_with(Policy::parse(policy).unwrap()).await;
    server.post(SECRETS, secret("hush-hush")).await.expect(201);
    server.get(&format!("{SECRETS}/s")).await.expect(200);
    server.get(SECRETS).await.expect(200);
    let mut broken = secret("hush-hush");
    broken["metadata"]["name"] = "hush-hush-".into();
    broken["type"] = "kubernetes.io/dockerconfigjson".into();
    server.post(SECRETS, broken).await.refusal(422);
    server.post(MAPS, config_map("c", [("k", "shown")].into())).await.expect(201);
    let verbs: Vec<Value> =
        events(&server, "resource=secrets").await.into_iter().map(|event| event["verb"].clone()).collect();
    assert_eq!(verbs, ["create", "get", "list", "create"]);
    let maps = events(&server, "resource=configmaps").await;
    assert_eq!(maps[0]["requestObject"]["data"]["k"], "shown");
    for file in std::fs::read_dir(place.path().join("audit")).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        assert!(!text.contains("hush-hush\"") && !text.contains("aHVzaC1odXNo"), "{text}");
    }
}

#[tokio::test]
async fn whoever_is_refused_is_logged_known_or_not() {
    let (server, _place) = server().await;
    server.send("DELETE", &format!("{SECRETS}/s"), &[BOB], "").await.refusal(403);
    server.send("DELETE", &format!("{SECRETS}/s"), &[("authorization", "Bearer stolen")], "").await.refusal(401);
    let seen = events(&server, "verb=delete").await;
    let told: Vec<_> =
        seen.iter().map(|event| (&event["user"]["username"], &event["responseStatus"]["reason"])).collect();
    assert_eq!(told, [(&"bob".into(), &"Forbidden".into()), (&"system:anonymous".into(), &"Unauthorized".into())]);
    assert_eq!(events(&server, "user=bob&code=403").await.len(), 1);
    server.send("GET", "/admin/v1/audit", &[BOB], "").await.refusal(403);
}

#[tokio::test]
async fn who_acts_as_somebody_else_is_logged_as_both() {
    let (server, _place) = server().await;
    let headers = [("impersonate-user", "eve"), ("content-type", "application/json")];
    server.send("POST", MAPS, &headers, config_map("c", [].into()).to_string()).await.refusal(403);
    let seen = events(&server, "user=eve").await;
    assert_eq!(
        (&seen[0]["user"]["username"], &seen[0]["impersonatedUser"]["username"]),
        (&"admin".into(), &"eve".into())
    );
}

#[tokio::test]
async fn what_a_client_did_not_wait_for_is_logged_all_the_same() {
    let (server, _place) = server().await;
    let body = config_map("c", [].into()).to_string();
    let sent = request("POST", MAPS, &[("content-type", "application/json")], body);
    let mut sent = Box::pin(server.raw(sent));
    // As far as the first thing it waits for.
    assert!(futures::poll!(&mut sent).is_pending());
    drop(sent);
    // Lines are written in the order in which they came.
    server
        .post("/api/v1/namespaces", json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "b"}}))
        .await
        .expect(201);
    let seen = events(&server, "verb=create&resource=configmaps").await;
    assert_eq!(seen[0]["responseStatus"]["code"], 499, "{seen:?}");
    assert!(seen[0]["annotations"]["thecloud.dev/outcome"].as_str().unwrap().contains("left"));
}

#[tokio::test]
async fn questions_to_the_log_are_checked_and_limited() {
    let (server, _place) = server().await;
    for name in ["a", "b", "c"] {
        server.post(MAPS, config_map(name, [].into())).await.expect(201);
    }
    let names =
        |events: Vec<Value>| events.into_iter().map(|event| event["objectRef"]["name"].clone()).collect::<Vec<_>>();
    assert_eq!(names(events(&server, "resource=configmaps&limit=2").await), ["b", "c"]);
    assert_eq!(names(events(&server, "name=a&namespace=default").await), ["a"]);
    assert_eq!(events(&server, "since=2100-01-01T00:00:00Z").await, Vec::<Value>::new());
    assert_eq!(events(&server, "until=2000-01-01T00:00:00Z").await, Vec::<Value>::new());
    for (query, part) in
        [("since=yesterday", "not a time"), ("code=x", "not a status code"), ("who=bob", "only for user")]
    {
        let (_, message) = server.get(&format!("/admin/v1/audit?{query}")).await.refusal(400);
        assert!(message.contains(part), "{message}");
    }
}

#[tokio::test]
async fn log_is_verified_over_the_wire() {
    let (server, place) = server().await;
    server.post(MAPS, config_map("c", [].into())).await.expect(201);
    server.post(MAPS, config_map("d", [].into())).await.expect(201);
    let report = server.get("/admin/v1/audit/verify").await.expect(200);
    assert_eq!((&report["kind"], &report["problems"]), (&"AuditReport".into(), &json!([])));
    let line = format!("{}:{}", report["last"], report["hash"].as_str().unwrap());
    assert_eq!(server.get(&format!("/admin/v1/audit/verify?line={line}")).await.expect(200)["problems"], json!([]));
    server.get("/admin/v1/audit/verify?line=7").await.refusal(400);

    let file = place.path().join("audit/audit-0000000000000001.jsonl");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace("\"name\":\"c\"", "\"name\":\"x\"")).unwrap();
    let report = server.get("/admin/v1/audit/verify").await.expect(200);
    assert!(report["problems"][0].as_str().unwrap().contains("is not what it was"), "{report}");
}

#[tokio::test]
async fn nothing_that_is_to_be_logged_is_done_while_it_cannot_be() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("audit");
    std::fs::create_dir(&folder).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join("audit-0000000000000001.jsonl")).unwrap();
    let options =
        AuditOptions { folder, policy: Policy::default(), file_bytes: 1 << 20, files: 3, clock: Arc::new(SystemClock) };
    let audit = Arc::new(Audit::open(options).unwrap());
    let server = Server::with(|config| config.audit = Some(audit)).await;
    server.post(MAPS, config_map("c", [].into())).await.expect(201);
    let (_, message) = server.post(MAPS, config_map("d", [].into())).await.refusal(507);
    assert!(message.contains("audit log") && message.contains("full"), "{message}");
    server.get(&format!("{MAPS}/c")).await.expect(200);
    server.get(&format!("{MAPS}/d")).await.refusal(404);
    server.log_in("ann", "anything").await.refusal(507);
    server.send("DELETE", &format!("{MAPS}/c"), &[("authorization", "Bearer stolen")], "").await.refusal(401);
}

#[tokio::test]
async fn server_without_a_log_says_so() {
    let (_, message) = Server::start().await.get("/admin/v1/audit").await.refusal(404);
    assert!(message.contains("keeps no audit log"), "{message}");
}

#[tokio::test]
async fn login_is_logged_with_the_user_but_not_with_what_was_typed_for_one() {
    let place = tempfile::tempdir().unwrap();
    let options = AuditOptions {
        folder: place.path().join("audit"),
        policy: Policy::default(),
        file_bytes: 1 << 20,
        files: 3,
        clock: Arc::new(SystemClock),
    };
    let audit = Arc::new(Audit::open(options).unwrap());
    let server = Server::with_users(|config| config.audit = Some(audit)).await;
    server.make_user("ann", json!({})).await;
    server.log_in("ann", "correct horse battery").await.expect(200);
    server.log_in("ann", "wrong wrong wrong").await.refusal(401);
    server.log_in("typed-my-password-here", "x").await.refusal(401);
    let seen = events(&server, "verb=post").await;
    let told: Vec<_> = seen
        .iter()
        .map(|event| (&event["annotations"]["thecloud.dev/login"], &event["responseStatus"]["code"]))
        .collect();
    assert_eq!(told, [(&"ann".into(), &200.into()), (&"ann".into(), &401.into()), (&Value::Null, &401.into())]);
    let text = format!("{seen:?}");
    assert!(!text.contains("horse") && !text.contains("wrong wrong") && !text.contains("typed-my"), "{text}");
    for _ in 0..30 {
        server.log_in("nobody", "x").await;
    }
    assert!(events(&server, "verb=post").await.len() <= 3 + 2 * 10, "strangers can't fill the log");
}
