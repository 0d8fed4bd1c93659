//! What holds when other content is put in the place of everything.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use crate::seal::{SealError, SealKey};
use crate::storage::Source;
use crate::{
    Batch, Content, Expect, Incoming, Key, Replacement, ResourceId, Restore, RestoreError, Revision, Sealer, Storage,
    StorageOptions, Store, StoreError, StoredObject,
};

use super::storage::open_with;
use super::{Database, batch, create, key, others, put, things};

const SOON: Duration = Duration::from_secs(20);
const INSTALLATION: Uuid = Uuid::from_u128(0x5151);

fn object(name: &str, revision: u64) -> StoredObject {
    let uid = Uuid::from_u128(u128::from(revision));
    StoredObject { key: key(name), uid, revision: Revision(revision), body: name.as_bytes().to_vec() }
}

async fn replacement(store: &Arc<dyn Store>, revision: u64, advance: u64) -> Replacement {
    Replacement {
        replaces: store.meta().await.expect("meta").epoch,
        epoch: Uuid::new_v4(),
        installation: INSTALLATION,
        seal_check: Some(b"check".to_vec()),
        revision: Revision(revision),
        advance,
        restored: "from a test".to_owned(),
    }
}

async fn held(store: &Arc<dyn Store>) -> Vec<StoredObject> {
    let mut held = Vec::new();
    store.load(&mut |object| held.push(object)).await.expect("the objects can be loaded");
    held.sort_by(|one, other| one.key.cmp(&other.key));
    held
}

pub(super) async fn staged_content_takes_the_place_of_everything_at_once(database: &dyn Database) {
    let store = database.open().await;
    let written = batch(&store, vec![create(key("a"), "1"), create(key("gone"), "1")]).await;
    store.commit(&written).await.expect("commit");
    let mut staging = store.stage().await.expect("staging");
    staging.put(vec![object("a", 7), object("b", 3)]).await.expect("gathered");
    staging.put(Vec::new()).await.expect("gathered");
    staging.put(vec![StoredObject { key: Key::new(others(), "", "c"), ..object("c", 9) }]).await.expect("gathered");
    assert_eq!(held(&store).await.len(), 2, "nothing is seen before the commit");

    let replacement = replacement(&store, 9, 1_000).await;
    let meta = staging.commit(&replacement).await.expect("replaced");
    assert_eq!(meta, replacement.meta(Revision(2)));
    assert_eq!((meta.revision, meta.compacted), (Revision(1_009), Revision(1_009)));
    assert_eq!(store.meta().await.expect("meta"), meta);
    let objects = held(&store).await;
    let brief: Vec<_> = objects.iter().map(|object| (object.key.name.as_str(), object.revision.0)).collect();
    assert_eq!(brief, [("c", 1_009), ("a", 1_007), ("b", 1_003)]);
    assert_eq!((objects[1].uid, objects[1].body.as_slice()), (Uuid::from_u128(7), b"a".as_slice()));
    assert!(matches!(store.changes(Revision(2), 10).await, Err(StoreError::Compacted { .. })));
    assert_eq!(store.changes(meta.revision, 10).await.expect("no changes"), []);

    let next = batch(&store, vec![put(key("a"), Expect::Revision(Revision(1_007)), Uuid::nil(), "2")]).await;
    assert_eq!(store.commit(&next).await.expect("commit").revision, Revision(1_010));
    store.mark_restored(None).await.expect("confirmed");
    assert_eq!(store.meta().await.expect("meta").restored, None);
    drop(store);
    let store = database.open().await;
    assert_eq!(store.meta().await.expect("meta").installation, INSTALLATION);
    assert_eq!(held(&store).await.len(), 3);
}

pub(super) async fn writes_of_another_history_do_not_happen(database: &dyn Database) {
    let store = database.open().await;
    let late = batch(&store, vec![create(key("late"), "1")]).await;
    let empty = Batch { writes: Vec::new(), ..late.clone() };
    let stale = replacement(&store, 1, 10).await;
    let staging = store.stage().await.expect("staging");
    staging.commit(&stale).await.expect("replaced by nothing");
    for batch in [&late, &empty] {
        let refused = store.commit(batch).await;
        assert!(matches!(refused, Err(StoreError::NewHistory)), "{refused:?}");
    }
    let staging = store.stage().await.expect("staging");
    let refused = staging.commit(&stale).await;
    assert!(matches!(refused, Err(StoreError::NewHistory)), "{refused:?}");
    assert_eq!(held(&store).await, []);
    assert_eq!(store.meta().await.expect("meta").revision, Revision(11));
}

pub(super) async fn staging_that_is_dropped_leaves_no_trace(database: &dyn Database) {
    let store = database.open().await;
    let written = batch(&store, vec![create(key("a"), "1")]).await;
    store.commit(&written).await.expect("commit");
    let before = (store.meta().await.expect("meta"), held(&store).await);
    let mut staging = store.stage().await.expect("staging");
    staging.put((1..1_000).map(|number| object(&number.to_string(), number)).collect()).await.expect("gathered");
    drop(staging);
    assert_eq!((store.meta().await.expect("meta"), held(&store).await), before);
    let staging = store.stage().await.expect("staging");
    staging.commit(&replacement(&store, 1, 1).await).await.expect("replaced");
    assert_eq!(held(&store).await, [], "what was dropped is not gathered");
}

pub(super) async fn swap_is_not_seen_in_part(database: &dyn Database) {
    let store = database.open().await;
    let names: Vec<String> = (0..300).map(|number| format!("old-{number}")).collect();
    let written = batch(&store, names.iter().map(|name| create(key(name), "1")).collect()).await;
    store.commit(&written).await.expect("commit");
    let mut staging = store.stage().await.expect("staging");
    staging.put((1..=300).map(|number| object(&format!("new-{number}"), number)).collect()).await.expect("gathered");
    let replacement = replacement(&store, 300, 1_000).await;
    let looking = async {
        loop {
            let objects = held(&store).await;
            let new = objects.iter().filter(|object| object.key.name.starts_with("new")).count();
            assert!((objects.len(), new) == (300, 0) || (objects.len(), new) == (300, 300), "{}", objects.len());
            if new > 0 {
                return;
            }
            tokio::task::yield_now().await;
        }
    };
    let (replaced, ()) = futures::join!(staging.commit(&replacement), looking);
    replaced.expect("replaced");
}

fn private() -> ResourceId {
    ResourceId::new("internal.example.dev", "keys")
}

fn options(seal_key: &SealKey) -> StorageOptions {
    StorageOptions {
        sealer: Some(Sealer::new(seal_key)),
        sealed: vec![others(), private()],
        private: vec![private()],
        ..StorageOptions::default()
    }
}

/// Everything that an export has, as it would come back.
async fn carry(from: &Storage, into: &mut Restore) -> Source {
    let export = from.export();
    for (_, entries) in &export.resources {
        for entry in entries.iter() {
            let content = export.content(entry).expect("content");
            let incoming = Incoming { key: entry.key.clone(), uid: entry.uid, revision: entry.revision, content };
            into.put(incoming).await.expect("taken");
        }
    }
    Source { installation: export.installation, revision: export.revision, advance: 500, note: "a test".to_owned() }
}

pub(super) async fn restored_content_is_the_same_under_a_new_history(database: &dyn Database) {
    let (theirs, ours) = (SealKey::generate(), SealKey::generate());
    let source = crate::memory::MemoryStore::new(INSTALLATION);
    let source = Storage::open(Arc::new(source), options(&theirs)).await.expect("opened");
    let secret = Key::new(others(), "default", "secret");
    for write in [create(key("a"), "1"), create(secret.clone(), "hush"), create(key("b"), "2")] {
        source.write(write).await.expect("created");
    }
    source.write(create(Key::new(private(), "", "k"), "theirs")).await.expect("created");

    let storage = open_with(database, options(&ours)).await;
    storage.write(create(key("gone"), "1")).await.expect("created");
    storage.write(create(Key::new(private(), "", "k"), "ours")).await.expect("created");
    let mut watch = storage.watch(&things(), Revision(1)).expect("a watch");
    let mut wrong = storage.restore(&[]).await.expect("begun");
    assert!(matches!(storage.restore(&[]).await, Err(RestoreError::Busy)));
    let content = source.export().content(&source.get(&secret).expect("there")).expect("content");
    assert!(matches!(&content, Content::Sealed(sealed) if !sealed.windows(4).any(|part| part == b"hush")));
    let incoming = Incoming { key: secret.clone(), uid: Uuid::nil(), revision: Revision(2), content };
    let refused = wrong.put(incoming).await;
    assert!(matches!(&refused, Err(RestoreError::Sealed { source: SealError::UnknownKey { .. }, .. })), "{refused:?}");
    drop(wrong);

    let mut restore = storage.restore(std::slice::from_ref(&theirs)).await.expect("begun");
    let from = carry(&source, &mut restore).await;
    assert_eq!(storage.snapshot(&things()).entries.len(), 1, "nothing has happened yet");
    let meta = restore.commit(from).await.expect("restored");
    assert_eq!(meta.revision, Revision(4 + 500));
    tokio::time::timeout(SOON, storage.replaced()).await.expect("its history is over");
    assert!(watch.next().await.is_none(), "watches end");
    assert!(matches!(storage.fresh().await, Err(StoreError::NewHistory)));
    storage.write(create(key("late"), "1")).await.expect_err("nothing is written into another history");
    storage.shutdown().await;
    drop((storage, watch));

    let raw = database.raw_bytes().await;
    assert!(!raw.windows(4).any(|part| part == b"hush"), "a secret is stored in the clear");
    let storage = open_with(database, options(&ours)).await;
    assert_eq!((storage.installation(), storage.epoch()), (INSTALLATION, meta.epoch));
    assert_eq!(storage.restored().as_deref(), Some("a test"));
    assert_eq!(storage.snapshot(&things()).entries.len(), 2);
    for name in [key("a"), secret, key("b")] {
        let (before, after) = (source.get(&name).expect("there"), storage.get(&name).expect("restored"));
        assert_eq!((after.uid, after.revision.0), (before.uid, before.revision.0 + 500));
        assert_eq!(after.value()["value"], before.value()["value"]);
    }
    let kept = storage.get(&Key::new(private(), "", "k")).expect("what is private stays");
    assert_eq!(kept.value()["value"], "ours");
    assert!(storage.watch(&things(), Revision(1)).is_err(), "old watchers start anew");
    assert_eq!(storage.write(create(key("next"), "1")).await.expect("created").revision, meta.revision.next());
    storage.mark_restored(None).await.expect("confirmed");
    assert_eq!(storage.restored(), None);
    storage.shutdown().await;
}

/// For stores that are shared: whoever did not restore learns of it, and writes nothing into the new history.
pub(super) async fn others_learn_that_their_history_is_over(database: &dyn Database) {
    let seal_key = SealKey::generate();
    let one = open_with(database, options(&seal_key)).await;
    let (two, three) = (open_with(database, options(&seal_key)).await, open_with(database, options(&seal_key)).await);
    let made = one.write(create(key("a"), "1")).await.expect("created");
    two.fresh().await.expect("fresh");
    let mut watch = three.watch(&things(), made.revision).expect("a watch");
    let mut restore = one.restore(&[]).await.expect("begun");
    let from = carry(&one, &mut restore).await;
    restore.commit(from).await.expect("restored");
    // The same object under the same name: only the history tells it from the one that `two` knows.
    two.write(put(key("a"), Expect::Revision(made.revision), made.uid, "2")).await.expect_err("it is void");
    two.write(create(key("b"), "1")).await.expect_err("it is void");
    for storage in [&two, &three] {
        tokio::time::timeout(SOON, storage.replaced()).await.expect("it is told");
        assert!(storage.fresh().await.is_err());
    }
    assert!(watch.next().await.is_none());
    for storage in [one, two, three] {
        storage.shutdown().await;
    }
    let four = open_with(database, options(&seal_key)).await;
    assert_eq!(four.snapshot(&things()).entries.len(), 1);
    four.shutdown().await;
}
