//! The master key is rotated over the wire: with the keys that the server is given by then, for administrators, and told by
//! what is in the store.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use apiserver::{Config, KeySource};
use apiserver_store::memory::MemoryStore;
use apiserver_store::seal::SealKey;
use apiserver_store::{ResourceId, Sealer, Storage, StorageOptions, Store};
use async_trait::async_trait;
use serde_json::json;
use uuid::Uuid;

use crate::harness::Server;

const PATH: &str = "/admin/v1/key-rotation";
const SECRETS: &str = "/api/v1/namespaces/default/secrets";

/// A key file, as it is now.
#[derive(Clone)]
struct Given(Arc<Mutex<Vec<SealKey>>>);

#[async_trait]
impl KeySource for Given {
    async fn read(&self) -> Result<Vec<SealKey>, String> {
        let keys = self.0.lock().unwrap().clone();
        if keys.is_empty() { Err("the file is gone".to_owned()) } else { Ok(keys) }
    }
}

async fn server(store: &MemoryStore, given: &Given) -> Server {
    let data_keys = ResourceId::new("internal.example.dev", "datakeys");
    let options = StorageOptions {
        sealer: Sealer::of_all(&given.0.lock().unwrap()),
        sealed: vec![ResourceId::new("", "secrets")],
        private: vec![data_keys.clone(), apiserver::key_questions()],
        data_keys: Some(data_keys),
        ..StorageOptions::default()
    };
    let storage = Storage::open(Arc::new(store.clone()), options).await.unwrap();
    let source = given.clone();
    Server::with(|config| {
        *config = Config::new(storage, config.tokens.clone());
        config.key_source = Some(Arc::new(source));
    })
    .await
}

#[tokio::test]
async fn a_key_that_was_given_meanwhile_takes_over() {
    let (old, new) = (SealKey::generate(), SealKey::generate());
    let given = Given(Arc::new(Mutex::new(vec![old.clone()])));
    let store = MemoryStore::new(Uuid::from_u128(1));
    let running = server(&store, &given).await;
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"w": "hush"}});
    let made = running.post(SECRETS, secret).await.expect(201);
    let told = running.post(PATH, json!({})).await.expect(200);
    assert_eq!((&told["state"], &told["key"]), (&json!("Complete"), &json!(old.id().to_string())), "no other is given");

    given.0.lock().unwrap().push(new.clone());
    let told = running.post(PATH, json!({})).await.expect(200);
    assert_eq!((&told["state"], &told["newestKey"]), (&json!("Running"), &json!(new.id().to_string())));
    running.until(PATH, "complete", |told| told.is_some_and(|told| told["state"] == "Complete")).await;
    let told = running.get(PATH).await.expect(200);
    assert_eq!((&told["key"], &told["left"]), (&json!(new.id().to_string()), &json!(0)));
    assert_eq!(running.get(&format!("{SECRETS}/s")).await.expect(200), made, "it is the same Secret");
    assert_eq!(running.post(PATH, json!({})).await.expect(200)["state"], "Complete");

    let before = running.storage.data_keys();
    let renew = format!("{PATH}?dataKeys=renew");
    assert_eq!(running.post(&renew, json!({})).await.expect(200)["state"], "Running");
    running.until(PATH, "complete", |told| told.is_some_and(|told| told["state"] == "Complete")).await;
    let after = running.storage.data_keys();
    assert!(!before.is_empty() && before.iter().all(|(namespace, id)| after[namespace] != *id));
    running.post(&format!("{PATH}?dataKeys=some"), json!({})).await.refusal(400);

    *given.0.lock().unwrap() = vec![new];
    let anew = server(&store, &given).await;
    assert_eq!(anew.get(&format!("{SECRETS}/s")).await.expect(200)["data"], made["data"]);
    let mut rows = 0;
    store
        .load(&mut |object| {
            rows += usize::from(object.body.starts_with(b"SEAL"));
            let opened = Sealer::new(&old).open(&object.key, object.uid, &object.body);
            assert!(opened.is_err(), "{} opens with the old key", object.key);
        })
        .await
        .unwrap();
    assert!(rows >= 2, "the Secret and its data key");
}

#[tokio::test]
async fn another_apiserver_that_lacks_the_key_objects_and_one_that_has_it_takes_it_over() {
    let (old, new) = (SealKey::generate(), SealKey::generate());
    let files = [0; 2].map(|_| Given(Arc::new(Mutex::new(vec![old.clone()]))));
    let store = MemoryStore::shared(Uuid::from_u128(1), Duration::from_millis(100));
    let (one, two) = (server(&store.another(), &files[0]).await, server(&store.another(), &files[1]).await);
    files[0].0.lock().unwrap().push(new.clone());
    let (reason, message) = one.post(PATH, json!({})).await.refusal(409);
    assert!(reason == "Conflict" && message.contains(&new.id().to_string()), "{message}");
    assert!(message.contains(&format!("process {}", std::process::id())), "{message}");
    assert_eq!(one.get(PATH).await.expect(200)["key"], old.id().to_string(), "nothing has changed");

    files[1].0.lock().unwrap().push(new.clone());
    one.post(PATH, json!({})).await.expect(200);
    for server in [&one, &two] {
        server.until(PATH, "complete", |told| told.is_some_and(|told| told["state"] == "Complete")).await;
        assert_eq!(server.get(PATH).await.expect(200)["key"], new.id().to_string());
    }
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"w": "hush"}});
    two.post(SECRETS, secret).await.expect(201);
    one.get(&format!("{SECRETS}/s")).await.expect(200);
}

#[tokio::test]
async fn keys_that_lack_the_one_in_use_are_refused_and_so_is_everybody_else() {
    let old = SealKey::generate();
    let given = Given(Arc::new(Mutex::new(vec![old.clone()])));
    let running = server(&MemoryStore::new(Uuid::from_u128(1)), &given).await;
    *given.0.lock().unwrap() = vec![SealKey::generate()];
    let (_, message) = running.post(PATH, json!({})).await.refusal(409);
    assert!(message.contains(&old.id().to_string()) && message.contains("put it back"), "{message}");
    given.0.lock().unwrap().clear();
    let (_, message) = running.post(PATH, json!({})).await.refusal(503);
    assert!(message.contains("the file is gone"), "{message}");
    for method in ["GET", "POST"] {
        running.send(method, PATH, &[("authorization", "Bearer the-token-of-bob")], "").await.refusal(403);
    }
    assert_eq!(Server::start().await.get(PATH).await.refusal(409).0, "Conflict", "a store without a seal has no key");
}
