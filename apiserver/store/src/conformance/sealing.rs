//! What data keys promise: each namespace has its own, and the master key alone opens no object.

use std::sync::Arc;

use crate::seal::{SealError, SealKey, is_sealed};
use crate::{Key, ResourceId, Sealer, Storage, StorageOptions, Store, StoreError, StoredObject};

use super::storage::{open_with, update};
use super::{Database, create, delete, key, others, things};

pub(super) fn data_keys() -> ResourceId {
    ResourceId::new("internal.example.dev", "datakeys")
}

/// As before there were data keys.
fn by_the_master_alone(master: &SealKey) -> StorageOptions {
    let sealer = Some(Sealer::new(master));
    StorageOptions { sealer, sealed: vec![others()], private: vec![data_keys()], ..StorageOptions::default() }
}

pub(super) fn enveloped(master: &SealKey) -> StorageOptions {
    StorageOptions { data_keys: Some(data_keys()), ..by_the_master_alone(master) }
}

pub(super) fn secret(namespace: &str, name: &str) -> Key {
    Key::new(others(), namespace, name)
}

async fn stored(store: &Arc<dyn Store>) -> Vec<StoredObject> {
    let mut objects = Vec::new();
    store.load(&mut |object| objects.push(object)).await.expect("loaded");
    objects
}

fn of<'a>(objects: &'a [StoredObject], key: &Key) -> &'a StoredObject {
    objects.iter().find(|object| object.key == *key).expect("it is stored")
}

/// Objects are sealed with the key of their namespace, which the master key seals.
pub(super) async fn each_namespace_has_its_own_data_key(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, enveloped(&master)).await;
    for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("", "x")] {
        storage.write(create(secret(namespace, name), "hush-hush")).await.expect("created");
    }
    storage.write(create(key("plain"), "open-sesame")).await.expect("created");
    let x = storage.get(&secret("a", "x")).expect("there");
    let x = update(&storage, &x, "hush-again").await.expect("updated");
    storage.write(delete(secret("a", "y"), storage.get(&secret("a", "y")).unwrap().revision, "")).await.expect("gone");
    let ids = storage.data_keys();
    assert_eq!(ids.keys().map(String::as_str).collect::<Vec<_>>(), ["", "a", "b"], "and none without an object");
    storage.shutdown().await;
    drop(storage);

    let store = database.open().await;
    let objects = stored(&store).await;
    let by_master = Sealer::new(&master);
    for object in objects.iter().filter(|object| object.key.resource == others()) {
        let opened = by_master.open(&object.key, object.uid, &object.body);
        assert!(matches!(opened, Err(SealError::UnknownKey { .. })), "the master key alone opens no object");
    }
    for object in objects.iter().filter(|object| object.key.resource == data_keys()) {
        assert!(is_sealed(&object.body) && by_master.open(&object.key, object.uid, &object.body).is_ok());
    }
    // Files that are about to go can't be searched.
    store.close().await;
    drop(store);
    let raw = database.raw_bytes().await;
    let contains = |text: &str| raw.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains("open-sesame") && !contains("hush") && !contains("the-cloud-seal-key"));

    let storage = open_with(database, enveloped(&master)).await;
    assert_eq!((storage.get(&secret("a", "x")), storage.data_keys()), (Some(x), ids));
    assert_eq!(storage.reseal().await.expect("nothing is to be done"), 0);
    storage.shutdown().await;
}

/// What lies in another row, be it in the same namespace or in another, does not open.
pub(super) async fn ciphertext_in_another_row_does_not_open(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, enveloped(&master)).await;
    for (namespace, name) in [("a", "x"), ("b", "x")] {
        storage.write(create(secret(namespace, name), "hush")).await.expect("created");
    }
    storage.shutdown().await;
    drop(storage);
    let store = database.open().await;
    let objects = stored(&store).await;
    let (from, to) = (of(&objects, &secret("a", "x")), of(&objects, &secret("b", "x")));
    let body = crate::Change::Put { uid: to.uid, body: from.body.clone() };
    let moved = crate::Write { key: to.key.clone(), expect: crate::Expect::Revision(to.revision), change: body };
    let committed = store.commit(&super::batch(&store, vec![moved]).await).await.expect("committed");
    assert!(committed.results[0].is_ok(), "whoever has the database can do that");
    store.close().await;
    drop(store);
    let error = Storage::open(database.open().await, enveloped(&master)).await.expect_err("it is noticed");
    assert!(matches!(error, StoreError::Seal(SealError::UnknownKey { .. } | SealError::Altered { .. })), "{error:?}");
}

/// Whoever writes first into a namespace, beside others who do, seals with its key.
pub(super) async fn first_writes_at_once_share_one_data_key(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, enveloped(&master)).await;
    for namespace in 0..20 {
        let writes = (0..16).map(|number| create(secret(&format!("n{namespace}"), &number.to_string()), "hush"));
        for written in futures::future::join_all(writes.map(|write| storage.write(write))).await {
            written.expect("created");
        }
    }
    storage.shutdown().await;
    drop(storage);
    let store = database.open().await;
    let by_master = Sealer::new(&master);
    for object in stored(&store).await.iter().filter(|object| object.key.resource == others()) {
        assert!(by_master.open(&object.key, object.uid, &object.body).is_err(), "{} has no data key", object.key);
    }
    store.close().await;
}

/// A store from before data keys opens, and is moved over once.
pub(super) async fn store_from_before_data_keys_is_moved_over(database: &dyn Database) {
    let master = SealKey::generate();
    let storage = open_with(database, by_the_master_alone(&master)).await;
    for number in 0..70 {
        storage.write(create(secret("a", &number.to_string()), "hush")).await.expect("created");
    }
    storage.shutdown().await;
    drop(storage);
    let storage = open_with(database, enveloped(&master)).await;
    let before = storage.get(&secret("a", "7")).expect("it opens");
    assert_eq!(storage.reseal().await.expect("moved over"), 70);
    let after = storage.get(&secret("a", "7")).expect("there");
    assert_eq!((after.uid, &after.value()["value"]), (before.uid, &before.value()["value"]));
    assert_eq!(storage.reseal().await.expect("nothing is left"), 0);
    storage.shutdown().await;
    drop(storage);
    let store = database.open().await;
    let by_master = Sealer::new(&master);
    for object in stored(&store).await.iter().filter(|object| object.key.resource == others()) {
        assert!(by_master.open(&object.key, object.uid, &object.body).is_err(), "{} is moved over", object.key);
    }
    store.close().await;
    drop(store);
    let storage = open_with(database, enveloped(&master)).await;
    assert_eq!(storage.get(&secret("a", "7")), Some(after));
    assert_eq!(storage.reseal().await.expect("nothing is left"), 0);
    storage.shutdown().await;
}

/// A kind is sealed by a start, and unsealed by another; what it was before is in no row.
pub(super) async fn kind_is_sealed_and_unsealed_by_a_start(database: &dyn Database) {
    let master = SealKey::generate();
    let with = |sealed: Vec<ResourceId>| StorageOptions { sealed, ..enveloped(&master) };
    let storage = open_with(database, with(vec![others()])).await;
    for number in 0..70 {
        storage.write(create(key(&number.to_string()), "open-sesame")).await.expect("created");
    }
    storage.shutdown().await;
    drop(storage);
    for (sealed, shows) in
        [(vec![others(), things()], false), (vec![others()], true), (vec![others(), things()], false)]
    {
        let storage = open_with(database, with(sealed.clone())).await;
        assert_eq!(storage.reseal().await.expect("moved over"), 70);
        assert_eq!(storage.sealed_resources().len(), sealed.len());
        let kept = storage.snapshot(&things()).entries;
        assert!(kept.len() == 70 && kept.iter().all(|entry| entry.value()["value"] == "open-sesame"));
        storage.shutdown().await;
        drop(storage);
        let rows = super::rotating::bodies(database).await;
        let of_things = rows.iter().filter(|(key, ..)| key.resource == things());
        let in_the_clear = of_things.clone().filter(|(_, _, body)| !is_sealed(body)).count();
        let all = of_things.count();
        assert!(all >= 70 && in_the_clear == if shows { all } else { 0 }, "{in_the_clear} of {all}");
        let storage = open_with(database, with(sealed)).await;
        assert_eq!(storage.reseal().await.expect("nothing is left"), 0);
        assert_eq!(storage.snapshot(&things()).entries, kept);
        storage.shutdown().await;
    }
}

/// For stores that are shared: of several that need the first key of a namespace, all use the same.
pub(super) async fn storages_agree_on_data_keys(database: &dyn Database) {
    let master = SealKey::generate();
    let (one, two) = (open_with(database, enveloped(&master)).await, open_with(database, enveloped(&master)).await);
    for namespace in ["a", "b", "c", "d"] {
        let write = |storage: &Storage, name: &str| {
            let (storage, write) = (storage.clone(), create(secret(namespace, name), "hush"));
            async move { storage.write(write).await.expect("created") }
        };
        let (first, second) = futures::join!(write(&one, "x"), write(&two, "y"));
        one.fresh().await.expect("fresh");
        two.fresh().await.expect("fresh");
        assert_eq!((two.get(&first.key), one.get(&second.key)), (Some(first), Some(second)));
    }
    assert_eq!(one.data_keys(), two.data_keys());
    one.shutdown().await;
    two.shutdown().await;
}
