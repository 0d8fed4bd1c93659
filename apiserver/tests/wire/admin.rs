//! Backup and restore over the wire: what comes back is what went, and nothing less than a whole backup is taken.

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver::{Adopted, Adoption, Config, Orphan, OrphanError, Orphans};
use apiserver_store::memory::MemoryStore;
use apiserver_store::seal::SealKey;
use apiserver_store::{ResourceId, Sealer, Storage, StorageOptions};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::harness::{Server, config_map, widget, widgets};

const BACKUP: &str = "/admin/v1/backup";
const RESTORE: &str = "/admin/v1/restore";
const KEY: [u8; 32] = [7; 32];

async fn storage(store: &MemoryStore, key: [u8; 32]) -> Storage {
    let options = StorageOptions {
        sealer: Some(Sealer::new(&SealKey::from_bytes(key))),
        sealed: vec![ResourceId::new("", "secrets"), apiserver::secret_versions()],
        ..StorageOptions::default()
    };
    Storage::open(Arc::new(store.clone()), options).await.unwrap()
}

async fn server(store: &MemoryStore, key: [u8; 32]) -> Server {
    let storage = storage(store, key).await;
    Server::with(|config| *config = Config::new(storage, config.tokens.clone())).await
}

fn store(installation: u128) -> MemoryStore {
    MemoryStore::new(Uuid::from_u128(installation))
}

/// A server with a few things of everything.
async fn filled() -> Server {
    let server = server(&store(1), KEY).await;
    server.add_widgets().await;
    let secret =
        |word| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"w": word}});
    server.post("/api/v1/namespaces/a/secrets", secret("whisper")).await.expect(201);
    server.put("/api/v1/namespaces/a/secrets/s", secret("hush")).await.expect(200);
    server.post("/api/v1/namespaces/a/configmaps", config_map("c", BTreeMap::from([("k", "v")]))).await.expect(201);
    let made = server.post("/apis/wire.test/v1/namespaces/a/widgets", widget("w", json!({"color": "red"}))).await;
    made.expect(201);
    server
}

async fn restore(server: &Server, path: &str, backup: &str, headers: &[(&str, &str)]) -> crate::harness::Reply {
    server.send("POST", path, headers, backup.to_owned()).await
}

fn key_file(key: [u8; 32]) -> String {
    use base64::Engine;
    format!("the-cloud-seal-key-v1:{}", base64::engine::general_purpose::STANDARD.encode(key))
}

#[tokio::test]
async fn everything_comes_back_in_another_store_and_revisions_go_on() {
    let old = filled().await;
    let backup = old.get(BACKUP).await;
    assert_eq!((backup.code, backup.header("content-type")), (200, "application/x-ndjson"));
    for word in ["hush", "aHVzaA", "whisper", "d2hpc3Blcg"] {
        assert!(!backup.text.contains(word), "a Secret is in the clear: {word}");
    }
    let paths =
        ["namespaces/a/secrets/s", "namespaces/a/configmaps/c", "namespaces/a"].map(|path| format!("/api/v1/{path}"));
    let paths = [&paths[..], &["/apis/wire.test/v1/namespaces/a/widgets/w".to_owned()]].concat();

    let target = store(2);
    let fresh = server(&target, [9; 32]).await;
    let mut watch = fresh.watch("/api/v1/configmaps?watch=true", &[]).await;
    let (reason, message) = restore(&fresh, RESTORE, &backup.text, &[]).await.refusal(400);
    assert_eq!(reason, "BadRequest");
    assert!(message.contains("sealed with the key") && message.contains("secret.key"), "{message}");
    let key = key_file(KEY);
    let told = restore(&fresh, RESTORE, &backup.text, &[("thecloud-backup-key", &key)]).await.expect(200);
    assert_eq!(told["installation"], Uuid::from_u128(1).to_string());
    assert!(watch.next().await.is_none(), "watches end");
    fresh.get("/api/v1/namespaces/a/configmaps").await.refusal(503);

    let new = server(&target, [9; 32]).await;
    for path in &paths {
        let (mut before, mut after) = (old.get(path).await.expect(200), new.get(path).await.expect(200));
        let revision = |object: &Value| object["metadata"]["resourceVersion"].as_str().unwrap().parse::<u64>().unwrap();
        assert_eq!(revision(&after), 1_000_000 + revision(&before), "{path}");
        for object in [&mut before, &mut after] {
            object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        }
        assert_eq!(before, after, "{path}: uid, times, owners of fields and all");
    }
    let older = new.get("/api/v1/namespaces/a/secrets/s/versions?version=1").await.expect(200);
    assert_eq!(older["data"]["w"], "d2hpc3Blcg==");
    let gone = new.get("/api/v1/configmaps?watch=true&resourceVersion=5").await;
    assert!(gone.text.contains("\"code\":410"), "{}", gone.text);
    let listed = new.get("/apis/wire.test/v1/widgets").await.expect(200);
    assert_eq!(listed["metadata"]["resourceVersion"], told["resourceVersion"]);
}

#[tokio::test]
async fn plain_backup_needs_no_key() {
    let old = filled().await;
    let backup = old.get("/admin/v1/backup?secrets=plain").await;
    assert!(backup.text.contains("aHVzaA"));
    let target = store(2);
    restore(&server(&target, [9; 32]).await, RESTORE, &backup.text, &[]).await.expect(200);
    let secret = server(&target, [9; 32]).await.get("/api/v1/namespaces/a/secrets/s").await.expect(200);
    assert_eq!(secret["data"]["w"], "aHVzaA==");
    old.get("/admin/v1/backup?secrets=some").await.refusal(400);
}

#[tokio::test]
async fn what_is_not_a_whole_backup_changes_nothing() {
    let backup = filled().await.get(BACKUP).await.text;
    let target = store(2);
    let fresh = server(&target, KEY).await;
    let before = fresh.storage.revision();
    let lines: Vec<&str> = backup.split_inclusive('\n').collect();
    assert!(lines.len() > 5);
    for kept in 0..lines.len() {
        let cut = lines[..kept].concat();
        let (_, message) = restore(&fresh, RESTORE, &cut, &[]).await.refusal(400);
        assert!(message.contains("cut off") || message.contains("empty"), "{kept} lines: {message}");
        let cut = cut + &lines[kept][..lines[kept].len() / 2];
        restore(&fresh, RESTORE, &cut, &[]).await.refusal(400);
    }
    let swapped = backup.replacen("\"k\":\"v\"", "\"k\":\"w\"", 1);
    assert_ne!(swapped, backup);
    let fewer = lines.iter().enumerate().filter(|(place, _)| *place != 2).map(|(_, line)| *line).collect::<String>();
    for damaged in [swapped, fewer, format!("{backup}{backup}"), format!("{backup}x")] {
        let (_, message) = restore(&fresh, RESTORE, &damaged, &[]).await.refusal(400);
        assert!(["checksum", "goes on", "cut off"].iter().any(|word| message.contains(word)), "{message}");
    }
    let newer = backup.replacen("\"version\":1", "\"version\":2", 1);
    assert!(restore(&fresh, RESTORE, &newer, &[]).await.refusal(400).1.contains("version 2"));
    assert!(restore(&fresh, RESTORE, "kind: Pod\n", &[]).await.refusal(400).1.contains("no backup"));
    assert_eq!(fresh.storage.revision(), before, "nothing was written");
    fresh.get("/api/v1/namespaces/default").await.expect(200);
    restore(&fresh, RESTORE, &backup, &[]).await.expect(200);
}

#[tokio::test]
async fn store_with_somebodys_objects_is_replaced_only_by_force() {
    let old = filled().await;
    let backup = old.get(BACKUP).await.text;
    old.post("/api/v1/namespaces/a/configmaps", config_map("late", BTreeMap::new())).await.expect(201);
    let (reason, message) = restore(&old, RESTORE, &backup, &[]).await.refusal(409);
    assert_eq!(reason, "Conflict");
    assert!(message.contains("objects (") && message.contains("force"), "{message}");
    old.get("/api/v1/namespaces/a/configmaps/late").await.expect(200);
    restore(&old, "/admin/v1/restore?force=true", &backup, &[]).await.expect(200);

    // The server's own definitions and namespaces are nobody's.
    let fresh = server(&store(2), KEY).await;
    fresh.server.install_kinds(&[widgets()]).await.unwrap();
    restore(&fresh, RESTORE, &backup, &[]).await.expect(200);
}

#[tokio::test]
async fn sweep_is_held_after_a_restore_until_it_is_confirmed() {
    let backup = filled().await.get(BACKUP).await.text;
    let target = store(2);
    let fresh = server(&target, KEY).await;
    assert_eq!(fresh.get("/admin/v1/sweep").await.expect(200)["held"], false);
    restore(&fresh, RESTORE, &backup, &[]).await.expect(200);
    let new = server(&target, KEY).await;
    let told = new.get("/admin/v1/sweep").await.expect(200);
    assert_eq!(told["held"], true);
    assert!(told["reason"].as_str().unwrap().contains("was restored"), "{told}");
    let confirmed = new.post("/admin/v1/sweep/confirm", json!({})).await.expect(200);
    assert_eq!(confirmed["confirmed"], told["reason"]);
    assert_eq!(new.get("/admin/v1/sweep").await.expect(200)["held"], false);
    assert_eq!(new.post("/admin/v1/sweep/confirm", json!({})).await.expect(200)["confirmed"], "");
}

#[tokio::test]
async fn administrators_only() {
    let server = filled().await;
    let bob = [("authorization", "Bearer the-token-of-bob")];
    for (method, path) in [
        ("GET", BACKUP),
        ("POST", RESTORE),
        ("GET", "/admin/v1/sweep"),
        ("POST", "/admin/v1/sweep/confirm"),
        ("GET", "/admin/v1/orphans"),
        ("POST", "/admin/v1/orphans/u/adopt"),
        ("DELETE", "/admin/v1/orphans/u"),
    ] {
        server.send(method, path, &bob, "").await.refusal(403);
    }
    server.get(RESTORE).await.refusal(405);
    assert_eq!(server.get("/admin/v1/other").await.code, 404);
}

/// One piece of data, of which everybody who asks is told.
struct OneOrphan;

#[async_trait::async_trait]
impl Orphans for OneOrphan {
    async fn list(&self) -> Result<Vec<Orphan>, OrphanError> {
        Ok(vec![self.purge("u").await?])
    }

    async fn adopt(&self, uid: &str, adoption: Adoption) -> Result<Adopted, OrphanError> {
        let namespace = adoption.namespace.ok_or_else(|| OrphanError::Refused(format!("{uid}: no namespace")))?;
        Ok(Adopted { of: "Volume".into(), namespace, name: adoption.name.unwrap_or_default() })
    }

    async fn purge(&self, uid: &str) -> Result<Orphan, OrphanError> {
        if uid != "u" {
            return Err(OrphanError::Conflict(format!("{uid} is somebody's")));
        }
        Ok(Orphan {
            of: "InstanceSnapshot".into(),
            namespace: "a".into(),
            name: "data".into(),
            uid: uid.into(),
            size: "1Gi".into(),
            taken_at: Some("2026-01-02T03:04:05Z".into()),
            backend: Some("docker".into()),
            retained: true,
            claimed_by: None,
        })
    }
}

#[tokio::test]
async fn data_without_an_object_is_decided_about_where_the_controllers_run() {
    let alone = server(&store(1), KEY).await;
    alone.get("/admin/v1/orphans").await.refusal(503);
    let server = Server::with(|config| config.orphans = Some(Arc::new(OneOrphan))).await;
    let listed = server.get("/admin/v1/orphans").await.expect(200);
    let orphan = json!({
        "of": "InstanceSnapshot", "namespace": "a", "name": "data", "uid": "u", "size": "1Gi",
        "takenAt": "2026-01-02T03:04:05Z", "backend": "docker", "retained": true,
    });
    assert_eq!(listed, json!({"kind": "OrphanList", "items": [orphan]}));
    let adopted = server.post("/admin/v1/orphans/u/adopt", json!({"namespace": "b", "name": "n"})).await.expect(200);
    assert_eq!(adopted["object"], json!({"of": "Volume", "namespace": "b", "name": "n"}));
    server.post("/admin/v1/orphans/u/adopt", json!({})).await.refusal(403);
    server.post("/admin/v1/orphans/u/adopt", json!({"namspace": "b"})).await.refusal(400);
    assert_eq!(server.send("DELETE", "/admin/v1/orphans/u", &[], String::new()).await.expect(200)["orphan"], orphan);
    server.send("DELETE", "/admin/v1/orphans/v", &[], String::new()).await.refusal(409);
    server.send("PUT", "/admin/v1/orphans/u", &[], String::new()).await.refusal(405);
}
