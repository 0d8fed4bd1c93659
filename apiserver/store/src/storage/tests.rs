//! Storages over the store in memory: faults, virtual time and what can be seen from outside only there.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use crate::conformance::{
    Database, Databases, check_rotation, check_shared_rotation, check_sharing, check_storage, check_store,
};
use crate::memory::{Fault, MemoryStore};
use crate::seal::SealKey;
use crate::{
    Change, DataKeyRule, Expect, Key, ResourceId, Revision, Sealer, Storage, StorageOptions, Store, StoreError,
    WatchItem, Write, WriteError,
};

struct Memory {
    poll: Option<Duration>,
}

#[async_trait]
impl Databases for Memory {
    async fn create(&self) -> Box<dyn Database> {
        let installation = Uuid::new_v4();
        Box::new(match self.poll {
            None => MemoryStore::new(installation),
            Some(poll) => MemoryStore::shared(installation, poll),
        })
    }
}

#[async_trait]
impl Database for MemoryStore {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(self.another())
    }

    async fn raw_bytes(&self) -> Vec<u8> {
        MemoryStore::raw_bytes(self)
    }
}

#[tokio::test]
async fn memory_store_conforms() {
    check_store(&Memory { poll: None }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storage_over_memory_conforms() {
    check_storage(&Memory { poll: None }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn storage_over_shared_memory_conforms() {
    let memory = Memory { poll: Some(Duration::from_secs(1)) };
    check_storage(&memory).await;
    check_sharing(&memory).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotation_over_memory_conforms() {
    check_rotation(&Memory { poll: None }).await;
    let shared = Memory { poll: Some(Duration::from_millis(200)) };
    check_rotation(&shared).await;
    check_shared_rotation(&shared).await;
}

fn things() -> ResourceId {
    ResourceId::new("example.dev", "things")
}

fn put(name: &str, expect: Expect) -> Write {
    Write {
        key: Key::new(things(), "default", name),
        expect,
        change: Change::Put { uid: Uuid::from_u128(1), body: b"{\"spec\":1}".to_vec() },
    }
}

fn create(name: &str) -> Write {
    put(name, Expect::Absent)
}

async fn open(store: &MemoryStore) -> Storage {
    Storage::open(Arc::new(store.clone()), StorageOptions::default()).await.unwrap()
}

#[tokio::test]
async fn refused_commit_fails_its_writes_only() {
    let store = MemoryStore::default();
    let storage = open(&store).await;
    store.inject(Fault::Refuse);
    let refused = storage.write(create("a")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
    assert_eq!(storage.get(&create("a").key), None);
    let made = storage.write(create("a")).await.unwrap();
    assert_eq!(made.revision, Revision(1));
    assert_eq!(storage.stats().failed_commits, 1);
}

#[tokio::test]
async fn lost_answer_is_found_in_the_log() {
    let store = MemoryStore::default();
    let storage = open(&store).await;
    storage.write(create("a")).await.unwrap();
    store.inject(Fault::LoseAnswer);
    let (again, b, b_again) =
        tokio::join!(storage.write(create("a")), storage.write(create("b")), storage.write(create("b")));
    assert!(matches!(again, Err(WriteError::AlreadyExists)), "{again:?}");
    assert_eq!(b.unwrap().revision, Revision(2));
    assert!(matches!(b_again, Err(WriteError::AlreadyExists)), "{b_again:?}");
    assert_eq!(storage.write(create("c")).await.unwrap().revision, Revision(3));
    assert_eq!(storage.stats().commits, 3, "the three writes were one batch");
}

#[tokio::test]
async fn lost_request_is_reported_as_not_done() {
    let store = MemoryStore::default();
    let storage = open(&store).await;
    store.inject(Fault::LoseRequest);
    let lost = storage.write(create("a")).await;
    let Err(WriteError::Unavailable(error)) = lost else { panic!("{lost:?}") };
    assert!(matches!(*error, StoreError::Unavailable { .. }), "its fate is known: {error:?}");
    assert_eq!(storage.write(create("a")).await.unwrap().revision, Revision(1));
}

#[tokio::test(start_paused = true)]
async fn lost_answer_among_the_writes_of_others_is_found() {
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(3_600));
    let (ours, theirs) = (store.another(), store.another());
    let (one, two) = (open(&ours).await, open(&theirs).await);
    for number in 0..10 {
        let (mine, other) = (format!("mine-{number}"), format!("other-{number}"));
        ours.inject(Fault::LoseAnswer);
        let (first, second) = tokio::join!(one.write(create(&mine)), two.write(create(&other)));
        assert_eq!(one.get(&create(&mine).key), Some(first.unwrap()));
        assert_eq!(two.get(&create(&other).key), Some(second.unwrap()));
    }
    one.fresh().await.unwrap();
    assert_eq!(one.snapshot(&things()).entries.len(), 20);
}

#[tokio::test]
async fn batch_is_gathered_while_another_is_committed() {
    let storage = open(&MemoryStore::default()).await;
    let names: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let writes = names.iter().map(|name| storage.write(create(name)));
    for (result, name) in futures::future::join_all(writes).await.into_iter().zip(&names) {
        assert_eq!(result.unwrap().key.name, *name);
    }
    let stats = storage.stats();
    assert_eq!((stats.writes, stats.objects, stats.revision), (1_000, 1_000, Revision(1_000)));
    assert!(stats.commits <= 20, "{stats:?}");
    assert_eq!(stats.batch_sizes.iter().sum::<u64>(), stats.commits);
    assert_eq!(stats.batch_sizes[8], 0, "no batch exceeds 128 writes");
}

#[tokio::test(start_paused = true)]
async fn log_is_compacted_by_age_and_count() {
    let store = MemoryStore::default();
    let options = StorageOptions { keep_changes: 50, ..StorageOptions::default() };
    let storage = Storage::open(Arc::new(store.clone()), options).await.unwrap();
    for minute in 0..30 {
        for number in 0..10 {
            storage.write(create(&format!("{minute}-{number}"))).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let compacted = store.meta().await.unwrap().compacted;
        let young = Revision((minute + 1_u64).saturating_sub(10) * 10);
        assert!(compacted <= young, "minute {minute}: {compacted} is younger than ten minutes");
    }
    let compacted = store.meta().await.unwrap().compacted;
    assert!(compacted >= Revision(170), "{compacted}");
    assert_eq!(storage.stats().compacted, compacted);
    assert_eq!(storage.stats().objects, 300);
}

#[tokio::test(start_paused = true)]
async fn log_holds_no_more_bytes_than_it_may() {
    let store = MemoryStore::default();
    let Change::Put { body, .. } = create("100").change else { unreachable!("it is made") };
    let size = body.len() as u64;
    let options = StorageOptions { keep_changes_bytes: 100 * size, ..StorageOptions::default() };
    let storage = Storage::open(Arc::new(store.clone()), options).await.unwrap();
    for number in 0..1_000_u64 {
        storage.write(create(&format!("{number}"))).await.unwrap();
        // The log is looked at without any time passing.
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        let compacted = store.meta().await.unwrap().compacted;
        let held = number + 1 - compacted.0;
        assert!(held <= 120, "{held} changes after {number}");
    }
    assert!(store.meta().await.unwrap().compacted >= Revision(850));
    assert!(storage.watch(&things(), Revision(995)).is_ok(), "the memory has a bound of its own");
}

#[tokio::test(start_paused = true)]
async fn few_changes_are_kept_however_old() {
    let store = MemoryStore::default();
    let storage = open(&store).await;
    for hour in 0..10 {
        storage.write(create(&hour.to_string())).await.unwrap();
        tokio::time::sleep(Duration::from_secs(3_600)).await;
    }
    assert_eq!(store.meta().await.unwrap().compacted, Revision::ZERO);
}

#[tokio::test(start_paused = true)]
async fn past_is_dropped_by_time_even_if_nothing_more_is_written() {
    let options = StorageOptions { window_min_events: 0, ..StorageOptions::default() };
    let storage = Storage::open(Arc::new(MemoryStore::default()), options).await.unwrap();
    for number in 0..10 {
        storage.write(create(&number.to_string())).await.unwrap();
    }
    assert!(storage.watch(&things(), Revision(1)).is_ok());
    assert_eq!(storage.snapshot_at(&things(), Revision(4)).unwrap().entries.len(), 4);
    tokio::time::sleep(Duration::from_secs(70)).await;
    assert!(storage.watch(&things(), Revision(1)).is_ok(), "75 seconds are kept");
    tokio::time::sleep(Duration::from_secs(130)).await;
    let stats = storage.stats();
    assert_eq!((stats.window_events, stats.snapshots), (0, 1));
    let expired = storage.watch(&things(), Revision(1)).unwrap_err();
    assert_eq!((expired.oldest, expired.current), (Revision(10), Revision(10)));
    assert!(storage.snapshot_at(&things(), Revision(4)).is_err());
    assert_eq!(storage.snapshot_at(&things(), Revision(10)).unwrap().entries.len(), 10);
}

#[tokio::test(start_paused = true)]
async fn idle_storage_sets_no_timer() {
    let storage = open(&MemoryStore::default()).await;
    storage.write(create("a")).await.unwrap();
    // Long enough for whatever the write has set off to come to rest.
    tokio::time::sleep(Duration::from_secs(600)).await;
    let metrics = tokio::runtime::Handle::current().metrics();
    let before = metrics.worker_park_count(0);
    tokio::time::sleep(Duration::from_secs(86_400)).await;
    let wakes = metrics.worker_park_count(0) - before;
    assert!(wakes <= 5, "a day of idling took {wakes} wakes");
    drop(storage);
}

#[tokio::test(start_paused = true)]
async fn poll_finds_that_the_history_is_over() {
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(1)).without_hints();
    let (one, two) = (open(&store.another()).await, open(&store.another()).await);
    one.write(create("a")).await.unwrap();
    two.fresh().await.unwrap();
    let mut watch = two.watch(&things(), Revision(1)).unwrap();
    let source = crate::Source {
        installation: one.installation(),
        revision: one.revision(),
        advance: 10,
        note: "a test".to_owned(),
    };
    one.restore(&[]).await.unwrap().commit(source).await.unwrap();
    tokio::time::timeout(Duration::from_secs(2), two.replaced()).await.unwrap();
    assert!(watch.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn confirmation_is_learnt_from_another() {
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(1)).without_hints();
    let (one, two) = (open(&store.another()).await, open(&store.another()).await);
    one.mark_restored(Some("why")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(two.restored().as_deref(), Some("why"));
    two.mark_restored(None).await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(one.restored(), None);
}

#[tokio::test]
async fn dropped_storage_ends_its_watches_and_tasks() {
    let store = Arc::new(MemoryStore::default());
    let storage = Storage::open(Arc::clone(&store) as Arc<dyn Store>, StorageOptions::default()).await.unwrap();
    let mut watch = storage.watch(&things(), Revision::ZERO).unwrap();
    drop(storage);
    assert!(watch.next().await.is_none());
    drop(watch);
    let alone = async {
        while Arc::strong_count(&store) > 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), alone).await.expect("the tasks let go of the store");
}

#[tokio::test(start_paused = true)]
async fn follower_behind_the_log_starts_anew_and_ends_its_watches() {
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(10)).without_hints();
    let (one, late) = (open(&store.another()).await, open(&store.another()).await);
    let mut watch = late.watch(&things(), Revision::ZERO).unwrap();
    for name in ["a", "b", "c"] {
        one.write(create(name)).await.unwrap();
    }
    store.compact(Revision(2)).await.unwrap();
    assert_eq!(late.revision(), Revision::ZERO, "nobody has told it");
    tokio::time::sleep(Duration::from_secs(11)).await;
    assert_eq!((late.stats().reloads, late.revision()), (1, Revision(3)));
    assert_eq!(late.snapshot(&things()).entries, one.snapshot(&things()).entries);
    assert!(watch.next().await.is_none(), "it has missed events");
    assert_eq!(late.watch(&things(), Revision(2)).unwrap_err().oldest, Revision(3));
}

#[tokio::test(start_paused = true)]
async fn poll_finds_what_no_hint_has_told() {
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(1)).without_hints();
    let (one, two) = (open(&store.another()).await, open(&store.another()).await);
    let mut watch = two.watch(&things(), Revision::ZERO).unwrap();
    let made = one.write(create("a")).await.unwrap();
    assert!(two.wait_for(made.revision, Duration::from_secs(2)).await);
    assert!(matches!(watch.next().await, Some(WatchItem::Event(event)) if event.entry == made));
}

#[tokio::test(start_paused = true)]
async fn writer_that_is_behind_learns_first_what_came_before() {
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(3_600)).without_hints();
    let (one, two) = (open(&store.another()).await, open(&store.another()).await);
    let mut watch = two.watch(&things(), Revision::ZERO).unwrap();
    one.write(create("a")).await.unwrap();
    one.write(create("b")).await.unwrap();
    assert!(matches!(two.write(create("a")).await, Err(WriteError::AlreadyExists)));
    assert_eq!(two.write(create("c")).await.unwrap().revision, Revision(3));
    for expected in 1..=3 {
        let item = watch.next().await;
        assert!(matches!(&item, Some(WatchItem::Event(event)) if event.revision.0 == expected), "{item:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_watch_is_woken_by_the_event_itself() {
    let storage = open(&MemoryStore::default()).await;
    let mut watch = storage.watch(&things(), Revision::ZERO).unwrap();
    let waiting = tokio::spawn(async move { (watch.next().await, tokio::time::Instant::now()) });
    tokio::task::yield_now().await;
    let before = tokio::time::Instant::now();
    let made = storage.write(create("a")).await.unwrap();
    let (item, woken) = waiting.await.unwrap();
    assert!(matches!(item, Some(WatchItem::Event(event)) if event.entry == made));
    assert_eq!(woken, before, "no timer was needed");
}

#[tokio::test(start_paused = true)]
async fn late_answer_brings_no_key_back_that_was_rotated_meanwhile() {
    let (old, new) = (SealKey::generate(), SealKey::generate());
    let store = MemoryStore::shared(Uuid::new_v4(), Duration::from_secs(1)).without_hints();
    let sealed = StorageOptions { sealed: vec![things()], ..StorageOptions::default() };
    let options = StorageOptions { sealer: Sealer::of_all(std::slice::from_ref(&old)), ..sealed.clone() };
    let storage = Storage::open(Arc::new(store.clone()), options).await.unwrap();
    storage.write(create("a")).await.unwrap();
    storage.shutdown().await;

    let options = StorageOptions { sealer: Sealer::of_all(&[old.clone(), new.clone()]), ..sealed };
    let storage = Storage::open(Arc::new(store.clone()), options).await.unwrap();
    store.delay_meta(Duration::from_millis(59_500));
    let late = tokio::spawn({
        let storage = storage.clone();
        async move { storage.fresh().await }
    });
    tokio::task::yield_now().await;
    storage.rotate(DataKeyRule::Kept).await.unwrap();
    assert!(!late.is_finished(), "its answer is still on the way");
    late.await.unwrap().unwrap();
    let keys = storage.master_keys().unwrap();
    assert_eq!(keys.present, new.id(), "what was read before the rotation is no news");
    assert!(storage.rotation().await.unwrap().is_complete());
}
