//! What is promised of data keys: a renewed one opens nothing that is there afterwards, and one whose namespace is empty is
//! deleted, so that nothing that was deleted there can be read, whoever kept it.

use std::time::Duration;

use futures::future::join_all;

use crate::seal::{SealKey, sealed_by};
use crate::{DataKeyRule, Key, Sealer, Storage, StorageOptions};

use super::rotating::{bodies, fill, plain};
use super::sealing::{data_keys, enveloped, secret};
use super::storage::open_with;
use super::{Database, create, delete};

const SOON: Duration = Duration::from_secs(30);

/// What the object of a namespace's data key says is the key.
fn key_text(storage: &Storage, namespace: &str) -> String {
    let object = storage.get(&Key::new(data_keys(), namespace, "data-key")).expect("there is a data key");
    object.value()["key"].as_str().expect("a text").to_owned()
}

/// Nothing in the database is sealed with these data keys, and nothing that the master key opens holds one.
async fn assert_gone(database: &dyn Database, master: &SealKey, keys: &[String]) {
    let by_master = Sealer::new(master);
    for (key, uid, body) in bodies(database).await {
        for text in keys {
            let old = SealKey::parse(text).expect("it is a key");
            assert_ne!(sealed_by(&body), Some(old.id()), "{key} is sealed with a data key of before");
            let opened = by_master.open(&key, uid, &body).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&opened).contains(text.as_str()), "{key} holds a data key of before");
        }
    }
}

pub(super) async fn renewed_data_keys_are_nowhere_any_more(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, enveloped(&master)).await;
    fill(&storage).await;
    let (content, before) = (plain(&storage), storage.data_keys());
    let old: Vec<String> = ["", "a", "b", "c"].iter().map(|namespace| key_text(&storage, namespace)).collect();
    storage.rotate(DataKeyRule::Renewed).await.expect("renewed");
    let after = storage.data_keys();
    assert_eq!(before.len(), 4);
    assert!(before.iter().all(|(namespace, id)| after[namespace] != *id), "each is another one");
    assert!(storage.rotation().await.expect("known").is_complete());
    assert_eq!(plain(&storage), content);
    storage.shutdown().await;
    drop(storage);
    assert_gone(database, &master, &old).await;
    let storage = open_with(database, enveloped(&master)).await;
    assert_eq!((plain(&storage), storage.data_keys()), (content, after));
    storage.shutdown().await;
}

/// As a process that keeps the log for a moment only.
fn forgetful(master: &SealKey) -> StorageOptions {
    let moment = Duration::from_millis(20);
    StorageOptions { compaction_interval: moment, keep_changes_for: moment, ..enveloped(master) }
}

pub(super) async fn data_key_goes_with_the_last_of_its_namespace(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, forgetful(&master)).await;
    fill(&storage).await;
    let old = key_text(&storage, "b");
    let gone = storage.get(&secret("b", "x")).expect("there");
    storage.write(delete(secret("b", "x"), gone.revision, "hush")).await.expect("deleted");
    let forgotten = async {
        while storage.data_keys().contains_key("b") {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(SOON, forgotten).await.expect("it is deleted");
    assert!(storage.data_keys().contains_key("a"), "what is needed stays");
    storage.shutdown().await;
    drop(storage);
    assert_gone(database, &master, std::slice::from_ref(&old)).await;

    let storage = open_with(database, enveloped(&master)).await;
    storage.write(create(secret("b", "x"), "hush")).await.expect("the namespace is used again");
    assert_ne!(key_text(&storage, "b"), old);
    storage.shutdown().await;
}

pub(super) async fn namespaces_that_empty_and_fill_lose_nothing(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, forgetful(&master)).await;
    come_and_go(database, &master, &[storage]).await;
}

/// For stores that are shared: as above, with writers in several processes.
pub(super) async fn namespaces_that_several_empty_and_fill_lose_nothing(database: &dyn Database) {
    let master = SealKey::generate();
    let storages = [open_with(database, forgetful(&master)).await, open_with(database, forgetful(&master)).await];
    come_and_go(database, &master, &storages).await;
}

/// Writers make and delete the only object of a namespace again and again, with pauses in which its key may go.
async fn come_and_go(database: &dyn Database, master: &SealKey, storages: &[Storage]) {
    let writers = (0..4 * storages.len()).map(|writer| async move {
        let storage = &storages[writer % storages.len()];
        let key = secret(&format!("n{}", writer / 2), &writer.to_string());
        for round in 0..12_u64 {
            let made = storage.write(create(key.clone(), "hush")).await.expect("created");
            storage.write(delete(key.clone(), made.revision, "hush")).await.expect("deleted");
            tokio::time::sleep(Duration::from_millis(10 * (round % 7))).await;
        }
        storage.write(create(key.clone(), "hush")).await.expect("created");
        key
    });
    let written = join_all(writers).await;
    for storage in storages {
        storage.fresh().await.expect("fresh");
        assert!(written.iter().all(|key| storage.get(key).is_some()));
        storage.shutdown().await;
    }
    let storage = open_with(database, enveloped(master)).await;
    assert!(written.iter().all(|key| storage.get(key).is_some()), "all of it opens");
    storage.shutdown().await;
}
