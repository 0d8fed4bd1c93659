//! What a Secret held before: every change of its content leaves a version, which can be read by whoever may read the
//! Secret, and which goes with it.

use apiserver::secret_versions;
use apiserver_store::{Change, Expect, Write};
use serde_json::{Value, json};

use crate::harness::{Server, namespace};
use crate::rbac::BOB;

const SECRETS: &str = "/api/v1/namespaces/a/secrets";
const ONE: &str = "/api/v1/namespaces/a/secrets/s";
const VERSIONS: &str = "/api/v1/namespaces/a/secrets/s/versions";

async fn server() -> Server {
    let server = Server::start().await;
    server.post("/api/v1/namespaces", namespace("a")).await.expect(201);
    server
}

fn secret(value: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"word": value}})
}

/// With a Secret that held `one` and then `two`.
async fn with_two() -> Server {
    let server = server().await;
    server.post(SECRETS, secret("one")).await.expect(201);
    server.put(ONE, secret("two")).await.expect(200);
    server
}

impl Server {
    /// The numbers of the versions, the newest first.
    async fn versions(&self) -> Vec<u64> {
        let listed = self.get(VERSIONS).await.expect(200);
        listed["items"].as_array().unwrap().iter().map(|item| item["version"].as_u64().unwrap()).collect()
    }

    async fn word(&self, version: u64) -> Value {
        self.get(&format!("{VERSIONS}?version={version}")).await.expect(200)["data"]["word"].clone()
    }
}

#[tokio::test]
async fn versions_that_cannot_be_read_are_told_of_and_keep_nobody_from_changing_the_secret() {
    let server = with_two().await;
    let (snapshot, _) = server.storage.snapshot_and_watch(&secret_versions());
    let entry = snapshot.entries.iter().next().expect("a history");
    let change = Change::Put { uid: entry.uid, body: br#"{"versions": [{"version": "hush"}]}"#.to_vec() };
    let write = Write { key: entry.key.clone(), expect: Expect::Revision(entry.revision), change };
    server.storage.write(write).await.unwrap();
    let (_, message) = server.get(VERSIONS).await.refusal(500);
    assert!(message.contains("the older versions of `a/s` can't be read"), "{message}");
    assert!(!message.contains("hush"), "{message}");
    server.get(ONE).await.expect(200);
    server.put(ONE, secret("three")).await.expect(200);
    assert_eq!((server.versions().await, server.word(1).await), (vec![2, 1], json!("dHdv")));
}

#[tokio::test]
async fn every_way_of_changing_the_content_leaves_the_older_one() {
    let server = with_two().await;
    server.merge(ONE, json!({"stringData": {"word": "three"}})).await.expect(200);
    server.json_patch(ONE, json!([{"op": "replace", "path": "/data/word", "value": "Zm91cg=="}])).await.expect(200);
    let strategic = [("content-type", "application/strategic-merge-patch+json")];
    server.send("PATCH", ONE, &strategic, json!({"stringData": {"word": "five"}}).to_string()).await.expect(200);
    let apply = [("content-type", "application/apply-patch+yaml")];
    let path = format!("{ONE}?fieldManager=t&force=true");
    server.send("PATCH", &path, &apply, secret("six").to_string()).await.expect(200);

    assert_eq!(server.versions().await, [6, 5, 4, 3, 2, 1]);
    let words = ["b25l", "dHdv", "dGhyZWU=", "Zm91cg==", "Zml2ZQ==", "c2l4"];
    for (version, word) in (1..).zip(words) {
        assert_eq!(server.word(version).await, word);
    }
}

#[tokio::test]
async fn the_list_has_no_value_and_a_version_is_a_secret() {
    let server = with_two().await;
    let listed = server.get(VERSIONS).await;
    assert!(!listed.text.contains("b25l") && !listed.text.contains("dHdv"), "{}", listed.text);
    let listed = listed.expect(200);
    assert_eq!(listed["kind"], "SecretVersionList");
    let [now, before] = [&listed["items"][0], &listed["items"][1]];
    assert_eq!((&now["current"], &before["current"]), (&json!(true), &json!(false)));
    assert_eq!((&now["keys"], &before["keys"]), (&json!(["word"]), &json!(["word"])));
    let made = server.get(ONE).await.expect(200);
    assert_eq!(before["created"], made["metadata"]["creationTimestamp"]);

    let first = server.get(&format!("{VERSIONS}?version=1")).await.expect(200);
    assert_eq!((&first["kind"], &first["type"]), (&json!("Secret"), &json!("Opaque")));
    assert_eq!(first["metadata"]["uid"], made["metadata"]["uid"]);
    assert!(first["metadata"].get("resourceVersion").is_none(), "it is no state to build on");
    assert_eq!(server.get(&format!("{VERSIONS}?version=2")).await.expect(200), made);
    let (reason, message) = server.get(&format!("{VERSIONS}?version=3")).await.refusal(404);
    assert_eq!((reason.as_str(), message.as_str()), ("NotFound", "secrets \"s\" has no version 3, or none any more"));
    server.get(&format!("{VERSIONS}?version=x")).await.refusal(400);
    server.get(&format!("{SECRETS}/nobody/versions")).await.refusal(404);
    server.put(VERSIONS, secret("x")).await.refusal(405);
    server.get("/api/v1/namespaces/a/configmaps/c/versions").await.refusal(404);
}

#[tokio::test]
async fn what_does_not_change_the_content_leaves_nothing() {
    let server = with_two().await;
    server.merge(ONE, json!({"metadata": {"labels": {"l": "1"}}})).await.expect(200);
    server.put(ONE, secret("two")).await.expect(200);
    server.merge(&format!("{ONE}?dryRun=All"), json!({"stringData": {"word": "x"}})).await.expect(200);
    server.put(ONE, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}})).await.refusal(400);
    assert_eq!(server.versions().await, [2, 1]);
    server.merge(ONE, json!({"immutable": true})).await.expect(200);
    server.merge(ONE, json!({"stringData": {"word": "x"}})).await.refusal(422);
    assert_eq!(server.versions().await, [2, 1]);
}

#[tokio::test]
async fn only_the_last_ten_older_ones_are_kept() {
    let server = server().await;
    server.post(SECRETS, secret("0")).await.expect(201);
    for number in 1..=14 {
        server.put(ONE, secret(&number.to_string())).await.expect(200);
    }
    assert_eq!(server.versions().await, (5..=15).rev().collect::<Vec<_>>());
}

#[tokio::test]
async fn versions_go_with_their_secret_and_another_of_the_same_name_has_none() {
    let server = with_two().await;
    let kept = |server: &Server| server.storage.snapshot(&secret_versions()).entries.len();
    assert_eq!(kept(&server), 1);
    server.merge(ONE, json!({"metadata": {"finalizers": ["t/t"]}})).await.expect(200);
    server.delete(ONE, json!({})).await.expect(200);
    assert_eq!(server.versions().await, [2, 1], "it is still there");
    server.merge(ONE, json!({"metadata": {"finalizers": null}})).await.expect(200);
    assert_eq!(kept(&server), 0);

    server.post(SECRETS, secret("three")).await.expect(201);
    assert_eq!(server.versions().await, [1]);
    server.put(ONE, secret("four")).await.expect(200);
    server.send("DELETE", SECRETS, &[], "").await.expect(200);
    assert_eq!(kept(&server), 0, "a deletion of all");
    server.get(VERSIONS).await.refusal(404);
}

#[tokio::test]
async fn a_quota_counts_secrets_as_before_and_their_versions_not_at_all() {
    let server = with_two().await;
    let quota = json!({"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "q"},
        "spec": {"hard": {"count/secrets": "1"}}});
    server.post("/api/v1/namespaces/a/resourcequotas", quota).await.expect(201);
    server.put(ONE, secret("three")).await.expect(200);
    server.delete(ONE, json!({})).await.expect(200);
    assert!(server.storage.snapshot(&secret_versions()).entries.is_empty());
    server.post(SECRETS, secret("four")).await.expect(201);
    let (_, message) = server
        .post(SECRETS, json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "t"}}))
        .await
        .refusal(403);
    assert!(message.contains("exceeded quota"), "{message}");
}

#[tokio::test]
async fn whoever_reads_versions_must_be_allowed_to_read_them_and_the_secret() {
    let server = with_two().await;
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/a";
    let subject = json!([{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "bob"}]);
    let role_ref = json!({"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"});
    let role = |resources: Value| {
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "r"},
            "rules": [{"verbs": ["get"], "apiGroups": [""], "resources": resources, "resourceNames": ["s"]}]})
    };
    server.post(&format!("{roles}/roles"), role(json!(["secrets"]))).await.expect(201);
    let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": {"name": "b"},
        "roleRef": role_ref, "subjects": subject});
    server.post(&format!("{roles}/rolebindings"), binding).await.expect(201);
    let read = async || server.send("GET", VERSIONS, &BOB, "").await;
    let (_, message) = read().await.refusal(403);
    assert!(message.contains("cannot get resource \"secrets/versions\""), "{message}");
    server.put(&format!("{roles}/roles/r"), role(json!(["secrets/versions"]))).await.expect(200);
    let (_, message) = read().await.refusal(403);
    assert!(message.contains("cannot get resource \"secrets\""), "{message}");
    server.put(&format!("{roles}/roles/r"), role(json!(["secrets", "secrets/versions"]))).await.expect(200);
    read().await.expect(200);
    server.send("GET", &format!("{SECRETS}/t/versions"), &BOB, "").await.refusal(403);
}

#[tokio::test]
async fn no_definition_makes_them_readable() {
    let server = server().await;
    let definition = json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "secretversions.internal.thecloud.dev"},
        "spec": {
            "group": "internal.thecloud.dev", "scope": "Namespaced",
            "names": {"plural": "secretversions", "kind": "SecretVersion"},
            "versions": [{"name": "v1", "served": true, "storage": true,
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}}],
        },
    });
    let (_, message) =
        server.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", definition).await.refusal(422);
    assert!(message.contains("what the server keeps for itself"), "{message}");
}
