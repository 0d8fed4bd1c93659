//! What a rotation of the master key promises: afterwards no row opens with the old one, wherever it was cut off before, and
//! whoever writes meanwhile, here or in another process, neither waits nor brings the old key back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::join_all;
use uuid::Uuid;

use crate::seal::{SealError, SealKey, sealed_by};
use crate::{
    Batch, Committed, DataKeyRule, Entries, Hints, Key, Meta, Revision, Sealer, Sharing, Staging, Storage,
    StorageOptions, Store, StoreError, StoredChange, StoredObject, WriteError,
};

use super::sealing::{data_keys, enveloped, secret};
use super::storage::{open_with, update};
use super::{Database, create, delete, others};

const SOON: Duration = Duration::from_secs(30);

/// As a process that was given these keys, the newest last.
fn given(keys: &[&SealKey]) -> StorageOptions {
    let all: Vec<SealKey> = keys.iter().copied().cloned().collect();
    StorageOptions { sealer: Sealer::of_all(&all), ..enveloped(&all[0]) }
}

pub(super) async fn fill(storage: &Storage) {
    for (namespace, name) in [("a", "x"), ("a", "y"), ("b", "x"), ("", "x"), ("c", "gone")] {
        storage.write(create(secret(namespace, name), "hush")).await.expect("created");
    }
    let x = storage.get(&secret("a", "x")).expect("there");
    update(storage, &x, "hush-hush").await.expect("updated");
    let gone = storage.get(&secret("c", "gone")).expect("there").revision;
    storage.write(delete(secret("c", "gone"), gone, "hush")).await.expect("deleted");
}

pub(super) fn secrets(storage: &Storage) -> Entries {
    storage.snapshot(&others()).entries
}

/// What the secrets hold, whichever revision they are at.
pub(super) fn plain(storage: &Storage) -> Vec<(Key, serde_json::Value)> {
    secrets(storage).iter().map(|entry| (entry.key.clone(), entry.value()["value"].clone())).collect()
}

/// The bodies of every row, sealed or not, and the seal check.
pub(super) async fn bodies(database: &dyn Database) -> Vec<(Key, Uuid, Vec<u8>)> {
    let store = database.open().await;
    let mut rows = Vec::new();
    let meta = store.load(&mut |object| rows.push((object.key, object.uid, object.body))).await.expect("loaded");
    let changes = store.changes(meta.compacted, 100_000).await.expect("the log is read");
    rows.extend(changes.into_iter().map(|change| (change.key, change.uid, change.body)));
    rows.push((secret("", "the seal check"), meta.installation, meta.seal_check.expect("it is sealed")));
    store.close().await;
    assert!(rows.len() > 5, "there is something to look at");
    rows
}

async fn assert_nothing_opens_with(database: &dyn Database, old: &SealKey) {
    let rows = bodies(database).await;
    assert!(rows.iter().any(|(_, _, body)| sealed_by(body).is_some()), "there is something sealed");
    for (key, _, body) in rows {
        assert_ne!(sealed_by(&body), Some(old.id()), "{key} opens with the old key");
    }
}

/// Both keys are given, one counts; after the rotation the other is all that is needed.
pub(super) async fn rotated_store_needs_the_new_key_alone(database: &dyn Database) {
    let (old, new) = (SealKey::generate(), SealKey::generate());
    let storage = open_with(database, given(&[&old])).await;
    fill(&storage).await;
    storage.shutdown().await;
    drop(storage);

    let storage = open_with(database, given(&[&old, &new])).await;
    let before = storage.rotation().await.expect("known");
    assert_eq!((before.keys.present, before.keys.newest), (old.id(), new.id()), "the old one counts");
    assert!(before.left == 0 && !before.is_complete(), "{before:?}");
    let content = secrets(&storage);
    storage.rotate(DataKeyRule::Kept).await.expect("rotated");
    let after = storage.rotation().await.expect("known");
    assert!(after.is_complete() && after.keys.present == new.id(), "{after:?}");
    assert_eq!(secrets(&storage), content, "no secret was touched");
    let written = storage.revision();
    storage.rotate(DataKeyRule::Kept).await.expect("nothing is to be done");
    assert_eq!(storage.revision(), written);
    storage.shutdown().await;
    drop(storage);

    assert_nothing_opens_with(database, &old).await;
    let refused = Storage::open(database.open().await, given(&[&old])).await;
    assert!(matches!(&refused, Err(StoreError::Seal(SealError::WrongKey { .. }))), "{refused:?}");
    let storage = open_with(database, given(&[&new])).await;
    assert_eq!(secrets(&storage), content);
    assert!(storage.rotation().await.expect("known").is_complete());
    storage.shutdown().await;
}

/// Killed before or after each thing that it writes, it goes on.
pub(super) async fn rotation_that_is_killed_anywhere_goes_on(database: &dyn Database) {
    kill_anywhere(database, DataKeyRule::Kept, 6).await;
}

/// So does one that renews the data keys.
pub(super) async fn renewal_that_is_killed_anywhere_goes_on(database: &dyn Database) {
    kill_anywhere(database, DataKeyRule::Renewed, 16).await;
}

async fn kill_anywhere(database: &dyn Database, rule: DataKeyRule, least: usize) {
    let mut old = SealKey::generate();
    let storage = open_with(database, given(&[&old])).await;
    fill(&storage).await;
    let content = plain(&storage);
    storage.shutdown().await;
    drop(storage);
    for round in 0..60 {
        let new = SealKey::generate();
        let dying = Dying::after(database.open().await, round / 2, round % 2 == 0);
        let storage = Storage::open(dying.clone(), given(&[&old, &new])).await.expect("it opens");
        let ended = storage.rotate(rule).await;
        assert_eq!(ended.is_err(), dying.is_dead(), "{ended:?}");
        storage.shutdown().await;
        drop((storage, dying));

        for alone in [&old, &new] {
            // Whether one key is enough depends on where it died; nothing in between is taken for the whole.
            let store = database.open().await;
            match Storage::open(Arc::clone(&store), given(&[alone])).await {
                Ok(storage) => {
                    assert_eq!(plain(&storage), content, "round {round}");
                    storage.shutdown().await;
                }
                Err(StoreError::Seal(_)) => store.close().await,
                Err(error) => panic!("round {round}: {error:?}"),
            }
        }
        let living = Dying::after(database.open().await, usize::MAX, true);
        let storage = Storage::open(living.clone(), given(&[&old, &new])).await.expect("it opens");
        assert_eq!(plain(&storage), content, "round {round}");
        storage.rotate(DataKeyRule::Kept).await.expect("it goes on");
        assert!(storage.rotation().await.expect("known").is_complete(), "round {round}");
        storage.shutdown().await;
        drop((storage, living));
        assert_nothing_opens_with(database, &old).await;
        old = new;
        if ended.is_ok() {
            assert!(round >= least, "it was killed in between");
            return;
        }
    }
    panic!("it never ended");
}

/// What is written meanwhile is written, and not with the old key.
pub(super) async fn writes_go_on_during_a_rotation(database: &dyn Database) {
    let keys: Vec<SealKey> = (0..5).map(|_| SealKey::generate()).collect();
    let storage = open_with(database, given(&[&keys[0]])).await;
    fill(&storage).await;
    let written = write_while(&[&storage], async {
        for count in 2..=keys.len() {
            storage.offer_keys(&keys[..count]).expect("the present one is among them");
            storage.rotate(DataKeyRule::Kept).await.expect("rotated");
        }
    })
    .await;
    storage.shutdown().await;
    drop(storage);
    assert_kept(database, &keys, written).await;
}

/// For stores that are shared: the others take the new key over, whatever they are at.
pub(super) async fn storages_that_write_take_the_new_key_over(database: &dyn Database) {
    let keys = [SealKey::generate(), SealKey::generate()];
    let storages = [open_with(database, given(&[&keys[0]])).await, open_with(database, given(&[&keys[0]])).await];
    fill(&storages[0]).await;
    for storage in &storages {
        storage.offer_keys(&keys).expect("the present one is among them");
    }
    let rotating = async { storages[0].rotate(DataKeyRule::Kept).await.expect("rotated") };
    let written = write_while(&[&storages[0], &storages[1]], rotating).await;
    for storage in &storages {
        storage.fresh().await.expect("fresh");
        let status = storage.rotation().await.expect("known");
        assert!(status.is_complete() && status.keys.present == keys[1].id(), "{status:?}");
        storage.shutdown().await;
    }
    assert_kept(database, &keys, written).await;
}

/// For stores that are shared: whoever doesn't know the new key can write nothing with the old one, and hears why.
pub(super) async fn storage_without_the_new_key_is_shut_out(database: &dyn Database) {
    let (old, new) = (SealKey::generate(), SealKey::generate());
    let first = open_with(database, given(&[&old])).await;
    fill(&first).await;
    let ignorant = open_with(database, given(&[&old])).await;
    first.offer_keys(&[old.clone(), new.clone()]).expect("known");
    first.rotate(DataKeyRule::Kept).await.expect("rotated");
    for name in ["late", "later"] {
        let refused = ignorant.write(create(secret("late", name), "hush")).await;
        assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
    }
    tokio::time::timeout(SOON, ignorant.replaced()).await.expect("it learns that it can't go on");
    first.fresh().await.expect("fresh");
    assert!(first.get(&secret("late", "late")).is_none() && first.rotation().await.expect("known").is_complete());
    ignorant.shutdown().await;
    first.shutdown().await;
    assert_nothing_opens_with(database, &old).await;
}

/// Writes into ever new namespaces, by all of these storages, until `meanwhile` has ended. Returns what was acknowledged.
async fn write_while(storages: &[&Storage], meanwhile: impl Future<Output = ()>) -> Vec<Key> {
    let done = AtomicBool::new(false);
    let writers = storages.iter().enumerate().map(|(writer, storage)| {
        let done = &done;
        async move {
            let mut written = Vec::new();
            while !done.load(Ordering::Relaxed) {
                let key = secret(&format!("n{}", written.len() % 40), &format!("{writer}-{}", written.len()));
                storage.write(create(key.clone(), "hush")).await.expect("writing goes on");
                written.push(key);
                tokio::task::yield_now().await;
            }
            written
        }
    });
    let ending = async {
        meanwhile.await;
        done.store(true, Ordering::Relaxed);
    };
    let (written, ()) = futures::join!(join_all(writers), ending);
    written.concat()
}

/// Everything that was written is there, and opens with the last key alone.
async fn assert_kept(database: &dyn Database, keys: &[SealKey], written: Vec<Key>) {
    let (newest, older) = keys.split_last().expect("there is a key");
    for old in older {
        assert_nothing_opens_with(database, old).await;
    }
    let storage = open_with(database, given(&[newest])).await;
    assert!(!written.is_empty() && written.iter().all(|key| storage.get(key).is_some()));
    assert!(storage.snapshot(&data_keys()).entries.len() > 1, "there were data keys to seal anew");
    storage.shutdown().await;
}

/// A store whose process is killed at the one thing that it writes after so many others.
struct Dying {
    store: Arc<dyn Store>,
    left: AtomicUsize,
    /// Whether what it died of was written.
    is_written: bool,
    is_dead: AtomicBool,
}

impl Dying {
    fn after(store: Arc<dyn Store>, writes: usize, is_written: bool) -> Arc<Dying> {
        Arc::new(Dying { store, left: AtomicUsize::new(writes), is_written, is_dead: AtomicBool::new(false) })
    }

    fn is_dead(&self) -> bool {
        self.is_dead.load(Ordering::Relaxed)
    }

    fn living(&self) -> Result<&Arc<dyn Store>, StoreError> {
        if self.is_dead() { Err(StoreError::Closed) } else { Ok(&self.store) }
    }

    /// Whether the next write happens, and whether anybody hears of it.
    fn next(&self) -> Result<(bool, bool), StoreError> {
        self.living()?;
        let dies = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_err();
        self.is_dead.store(dies, Ordering::Relaxed);
        Ok((!dies || self.is_written, !dies))
    }

    async fn write<T>(&self, write: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let (happens, is_heard) = self.next()?;
        let written = if happens { Some(write.await) } else { None };
        written.filter(|_| is_heard).unwrap_or(Err(StoreError::Closed))
    }
}

#[async_trait]
impl Store for Dying {
    async fn meta(&self) -> Result<Meta, StoreError> {
        self.living()?.meta().await
    }

    async fn load(&self, each: &mut (dyn FnMut(StoredObject) + Send)) -> Result<Meta, StoreError> {
        self.living()?.load(each).await
    }

    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        self.write(self.store.commit(batch)).await
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        self.living()?.changes(after, limit).await
    }

    async fn compact(&self, through: Revision) -> Result<(), StoreError> {
        self.write(self.store.compact(through)).await
    }

    async fn keep_seal_check(&self, check: &[u8]) -> Result<Vec<u8>, StoreError> {
        self.living()?.keep_seal_check(check).await
    }

    async fn replace_seal_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError> {
        self.write(self.store.replace_seal_check(old, new)).await
    }

    async fn mark_restored(&self, note: Option<&str>) -> Result<(), StoreError> {
        self.living()?.mark_restored(note).await
    }

    async fn stage(&self) -> Result<Box<dyn Staging>, StoreError> {
        self.living()?.stage().await
    }

    fn sharing(&self) -> Sharing {
        // Nobody follows who would need time.
        match self.store.sharing() {
            Sharing::Shared { .. } => Sharing::Shared { poll: Duration::from_millis(20) },
            Sharing::Exclusive => Sharing::Exclusive,
        }
    }

    async fn hints(&self) -> Result<Option<Hints>, StoreError> {
        self.store.hints().await
    }

    async fn close(&self) {
        self.store.close().await;
    }
}
