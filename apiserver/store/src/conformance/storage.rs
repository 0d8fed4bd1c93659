//! What a storage promises to the apiserver, whichever store is below.

use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use uuid::Uuid;

use crate::seal::{SealError, SealKey};
use crate::{
    Change, Entry, Event, EventKind, Expect, Key, Revision, Sealer, Storage, StorageOptions, StoreError, Watch,
    WatchItem, Write, WriteError,
};

use super::{Database, create, delete, json, key, others, put, things};

const SOON: Duration = Duration::from_secs(20);

pub(super) async fn open(database: &dyn Database) -> Storage {
    open_with(database, StorageOptions::default()).await
}

pub(super) async fn open_with(database: &dyn Database, options: StorageOptions) -> Storage {
    Storage::open(database.open().await, options).await.expect("the storage opens")
}

pub(super) async fn next_event(watch: &mut Watch) -> Arc<Event> {
    let event = async {
        loop {
            match watch.next().await {
                Some(WatchItem::Event(event)) => return event,
                Some(WatchItem::Progress(_)) => {}
                None => panic!("the watch ended: {watch:?}"),
            }
        }
    };
    tokio::time::timeout(SOON, event).await.expect("an event comes soon")
}

pub(super) async fn update(storage: &Storage, entry: &Entry, value: &str) -> Result<Arc<Entry>, WriteError> {
    let expect = Expect::Revision(entry.revision);
    storage.write(put(entry.key.clone(), expect, entry.uid, value)).await
}

pub(super) async fn writer_reads_its_own_write(database: &dyn Database) {
    let storage = open(database).await;
    let made = storage.write(create(key("a"), "1")).await.expect("created");
    assert_eq!(made.revision, Revision(1));
    assert_eq!(made.value()["metadata"]["resourceVersion"], "1");
    assert_eq!(storage.get(&key("a")).as_deref(), Some(made.as_ref()));
    assert_eq!(storage.revision(), Revision(1));
    assert_eq!(storage.fresh().await.expect("fresh"), Revision(1));
    let changed = update(&storage, &made, "2").await.expect("updated");
    assert_eq!((changed.revision, changed.uid), (Revision(2), made.uid));
    assert_eq!(changed.value()["value"], "2");
    let snapshot = storage.snapshot(&things());
    assert_eq!(snapshot.revision, Revision(2));
    assert_eq!(snapshot.entries.iter().cloned().collect::<Vec<_>>(), [changed]);
    let gone = storage.write(delete(key("a"), Revision(2), "last")).await.expect("deleted");
    assert_eq!((gone.revision, gone.uid), (Revision(3), made.uid));
    assert_eq!(gone.value()["value"], "last");
    assert_eq!(storage.get(&key("a")), None);
    assert!(storage.snapshot(&things()).entries.is_empty());
    assert!(storage.wait_for(Revision(3), Duration::ZERO).await);
    assert!(!storage.wait_for(Revision(4), Duration::from_millis(10)).await);
    storage.shutdown().await;
}

pub(super) async fn refused_writes_say_why(database: &dyn Database) {
    let storage = open(database).await;
    storage.write(create(key("a"), "1")).await.expect("created");
    let refused = |write: Write| async { storage.write(write).await.expect_err("it is refused") };
    assert!(matches!(refused(create(key("a"), "1")).await, WriteError::AlreadyExists));
    assert!(matches!(refused(delete(key("b"), Revision(1), "1")).await, WriteError::NotFound));
    assert!(matches!(refused(delete(key("a"), Revision(9), "1")).await, WriteError::Conflict { current: Revision(1) }));
    let body = |body: Vec<u8>| Write { change: Change::Put { uid: Uuid::nil(), body }, ..create(key("b"), "") };
    assert!(matches!(refused(body(b"[]".to_vec())).await, WriteError::Malformed { .. }));
    let limit = StorageOptions::default().max_object_bytes;
    assert!(matches!(refused(body(json("b", &"x".repeat(limit)))).await, WriteError::TooLarge { .. }));
    assert_eq!(storage.revision(), Revision(1));
    storage.shutdown().await;
}

pub(super) async fn counter_loses_no_increment(database: &dyn Database) {
    let storage = open(database).await;
    storage.write(create(key("counter"), "0")).await.expect("created");
    join_all((0..8).map(|_| increment(&storage, 10))).await;
    let counter = storage.get(&key("counter")).expect("the counter is there");
    assert_eq!(counter.value()["value"], "80");
    assert_eq!(storage.stats().writes, 81);
    storage.shutdown().await;
}

pub(super) async fn increment(storage: &Storage, times: usize) {
    let mut done = 0;
    while done < times {
        storage.fresh().await.expect("fresh");
        let counter = storage.get(&key("counter")).expect("the counter is there");
        let text = counter.value()["value"].as_str().expect("a string").to_owned();
        let value: u64 = text.parse().expect("a number");
        match update(storage, &counter, &(value + 1).to_string()).await {
            Ok(_) => done += 1,
            Err(WriteError::Conflict { .. }) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Objects are made and counted at once, by many at the same time.
pub(super) async fn bound_writes_keep_a_count_exact(database: &dyn Database) {
    const LIMIT: u64 = 5;
    let storage = open(database).await;
    storage.write(create(key("count"), "0")).await.expect("created");
    let (mut made, mut full) = (0, 0);
    for is_made in join_all((0..8).map(|number| take_a_place(&storage, number, LIMIT))).await {
        *(if is_made { &mut made } else { &mut full }) += 1;
    }
    assert_eq!((made, full), (LIMIT, 3));
    assert_eq!(storage.get(&key("count")).expect("the count is there").value()["value"], LIMIT.to_string());
    assert_eq!(storage.snapshot(&others()).entries.len() as u64, LIMIT);
    let stale = put(key("count"), Expect::Revision(Revision(1)), Uuid::nil(), "0");
    let gone = delete(Key::new(others(), "", "none"), Revision(1), "");
    let refused = storage.write_bound(gone, vec![stale.clone()]).await;
    assert!(matches!(refused, Err(WriteError::NotFound)), "one's own reason comes first: {refused:?}");
    let refused = storage.write_bound(create(Key::new(others(), "", "late"), ""), vec![stale]).await;
    assert!(matches!(refused, Err(WriteError::Bound)), "{refused:?}");
    storage.shutdown().await;
}

pub(super) async fn take_a_place(storage: &Storage, number: usize, limit: u64) -> bool {
    loop {
        storage.fresh().await.expect("fresh");
        let count = storage.get(&key("count")).expect("the count is there");
        let taken: u64 = count.value()["value"].as_str().and_then(|text| text.parse().ok()).expect("a number");
        if taken >= limit {
            return false;
        }
        let more = put(key("count"), Expect::Revision(count.revision), count.uid, &(taken + 1).to_string());
        let place = create(Key::new(others(), "", number.to_string()), "");
        match storage.write_bound(place, vec![more]).await {
            Ok(made) => {
                assert_eq!(made.key.name, number.to_string());
                return true;
            }
            Err(WriteError::Bound) => tokio::task::yield_now().await,
            Err(error) => panic!("{error}"),
        }
    }
}

/// Creates, updates and deletes; returns how many writes it made.
pub(super) async fn hammer(storage: &Storage, writer: usize, rounds: usize) -> u64 {
    for round in 0..rounds {
        let place = Key::new(if round % 4 == 3 { others() } else { things() }, "default", format!("{writer}-{round}"));
        let made = storage.write(create(place.clone(), "1")).await.expect("created");
        let changed = update(storage, &made, "2").await.expect("updated");
        if round % 2 == 0 {
            storage.write(delete(place, changed.revision, "2")).await.expect("deleted");
        }
    }
    (rounds * 2 + rounds.div_ceil(2)) as u64
}

/// Follows until everything up to `last` is handed out, checking order and that each event continues its object.
pub(super) async fn follow(mut watch: Watch, snapshot: crate::Snapshot, last: Revision) -> crate::Snapshot {
    let crate::Snapshot { mut revision, mut entries } = snapshot;
    while watch.progress() < last {
        let item = tokio::time::timeout(SOON, watch.next()).await.expect("something comes soon");
        match item.expect("the watch goes on") {
            WatchItem::Event(event) => {
                assert!(event.revision > revision, "{} follows {revision}", event.revision);
                assert_eq!(event.entry.revision, event.revision);
                revision = event.revision;
                let before = match event.kind {
                    EventKind::Deleted => entries.remove(&event.entry.key.namespace, &event.entry.key.name),
                    EventKind::Added | EventKind::Modified => entries.insert(Arc::clone(&event.entry)),
                };
                assert_eq!(before, event.previous, "each event continues from the one before");
                assert_eq!(event.kind == EventKind::Added, before.is_none());
            }
            WatchItem::Progress(reached) => {
                assert!(reached > revision, "progress grows");
                revision = reached;
            }
        }
    }
    crate::Snapshot { revision, entries }
}

pub(super) async fn watch_sees_every_event_once_and_in_order(database: &dyn Database) {
    let storage = open(database).await;
    let mut watches = Vec::new();
    for resource in [things(), others()] {
        let watch = storage.watch(&resource, Revision::ZERO).expect("nothing has happened yet");
        watches.push((resource, watch));
    }
    let total = 4 * (10 * 2 + 5);
    let writers = join_all((0..4).map(|writer| hammer(&storage, writer, 10)));
    let watchers = join_all(watches.into_iter().map(|(resource, watch)| {
        let storage = &storage;
        async move {
            let nothing = crate::Snapshot { revision: Revision::ZERO, entries: crate::Entries::default() };
            let end = follow(watch, nothing, Revision(total)).await;
            assert_eq!(end.entries, storage.snapshot(&resource).entries);
        }
    }));
    let (written, _) = futures::join!(writers, watchers);
    assert_eq!(written.into_iter().sum::<u64>(), total);
    assert_eq!(storage.revision(), Revision(total));
    storage.shutdown().await;
}

pub(super) async fn snapshot_and_watch_have_no_gap(database: &dyn Database) {
    let storage = open(database).await;
    let total = 4 * (10 * 2 + 5);
    let writers = join_all((0..4).map(|writer| hammer(&storage, writer, 10)));
    let watchers = join_all((1..20).map(|start| {
        let storage = &storage;
        async move {
            storage.wait_for(Revision(start * 4), SOON).await;
            let (snapshot, watch) = storage.snapshot_and_watch(&things());
            let end = follow(watch, snapshot, Revision(total)).await;
            assert_eq!(end.entries, storage.snapshot(&things()).entries);
        }
    }));
    futures::join!(writers, watchers);
    storage.shutdown().await;
}

pub(super) async fn watch_resumes_where_another_stopped(database: &dyn Database) {
    let storage = open(database).await;
    hammer(&storage, 0, 8).await;
    let mut whole = storage.watch(&things(), Revision::ZERO).expect("the window reaches back");
    let mut seen = Vec::new();
    while whole.progress() < storage.revision() {
        seen.push(next_event(&mut whole).await.revision);
    }
    for (place, stop) in seen.iter().enumerate() {
        let mut resumed = storage.watch(&things(), *stop).expect("the window reaches back");
        let mut rest = Vec::new();
        while resumed.progress() < storage.revision() {
            rest.push(next_event(&mut resumed).await.revision);
        }
        assert_eq!(rest, &seen[place + 1..], "after {stop}");
    }
    let future = Revision(storage.revision().0 + 1);
    let mut later = storage.watch(&things(), future).expect("the future can be watched");
    storage.write(create(key("skipped"), "1")).await.expect("created");
    storage.write(create(key("seen"), "1")).await.expect("created");
    assert_eq!(next_event(&mut later).await.entry.key.name, "seen");
    storage.shutdown().await;
}

pub(super) async fn slow_watcher_is_cut_off_alone(database: &dyn Database) {
    let options = StorageOptions { watch_queue_events: 20, ..StorageOptions::default() };
    let storage = open_with(database, options).await;
    let mut slow = storage.watch(&things(), Revision::ZERO).expect("watch");
    let mut quick = storage.watch(&things(), Revision::ZERO).expect("watch");
    let mut elsewhere = storage.watch(&others(), Revision::ZERO).expect("watch");
    for number in 0..30_u64 {
        storage.write(create(key(&number.to_string()), "1")).await.expect("the writer is never held up");
        assert_eq!(next_event(&mut quick).await.revision, Revision(number + 1));
    }
    assert!(slow.next().await.is_none(), "the slow watcher is cut off");
    assert_eq!(storage.stats().watchers_cut_off, 1);
    storage.write(create(Key::new(others(), "", "x"), "1")).await.expect("created");
    assert_eq!(next_event(&mut elsewhere).await.revision, Revision(31));
    let mut again = storage.watch(&things(), Revision(3)).expect("it may come back");
    assert_eq!(next_event(&mut again).await.revision, Revision(4));
    drop((slow, quick, elsewhere, again));
    assert_eq!(storage.stats().watchers, 0, "dropped watches are forgotten");
    storage.shutdown().await;
}

pub(super) async fn watch_from_before_the_start_is_expired(database: &dyn Database) {
    let storage = open(database).await;
    hammer(&storage, 0, 4).await;
    let last = storage.revision();
    storage.shutdown().await;
    drop(storage);
    let storage = open(database).await;
    for resource in [things(), others(), crate::ResourceId::new("", "unknown")] {
        let expired = storage.watch(&resource, last.before()).expect_err("the window is empty");
        assert_eq!((expired.oldest, expired.current), (last, last));
        storage.watch(&resource, last).expect("the present can be watched");
        storage.snapshot_at(&resource, last.before()).expect_err("the past is unknown");
        storage.snapshot_at(&resource, last).expect("the present is known");
        storage.snapshot_at(&resource, last.next()).expect_err("the future is unknown");
    }
    storage.shutdown().await;
}

pub(super) async fn old_page_is_what_it_was(database: &dyn Database) {
    let storage = open(database).await;
    let mut pages = vec![storage.snapshot(&things())];
    for round in 0..20 {
        hammer(&storage, round, 2).await;
        pages.push(storage.snapshot(&things()));
    }
    join_all((100..108).map(|writer| hammer(&storage, writer, 4))).await;
    for page in &pages {
        let again = storage.snapshot_at(&things(), page.revision).expect("it is kept");
        assert_eq!((again.revision, &again.entries), (page.revision, &page.entries));
    }
    // Also those in the middle of a batch: replaying the events must give the same.
    let mut watch = storage.watch(&things(), Revision::ZERO).expect("the window reaches back");
    let mut replayed = crate::Entries::default();
    while watch.progress() < storage.revision() {
        let event = next_event(&mut watch).await;
        match event.kind {
            EventKind::Deleted => replayed.remove(&event.entry.key.namespace, &event.entry.key.name),
            EventKind::Added | EventKind::Modified => replayed.insert(Arc::clone(&event.entry)),
        };
        let page = storage.snapshot_at(&things(), event.revision).expect("it is kept");
        assert_eq!(page.entries, replayed, "at {}", event.revision);
    }
    storage.shutdown().await;
}

pub(super) async fn idle_watch_learns_the_progress_of_others(database: &dyn Database) {
    let options = StorageOptions { progress_interval: Duration::from_millis(20), ..StorageOptions::default() };
    let storage = open_with(database, options).await;
    let mut watch = storage.watch(&others(), Revision::ZERO).expect("watch");
    assert_eq!(watch.progress(), Revision::ZERO);
    for number in 0..5 {
        storage.write(create(key(&number.to_string()), "1")).await.expect("created");
    }
    assert_eq!(watch.progress(), Revision(5), "it can be asked for at once");
    let mut told = Revision::ZERO;
    while told < Revision(5) {
        let item = tokio::time::timeout(SOON, watch.next()).await.expect("progress comes soon");
        match item {
            Some(WatchItem::Progress(revision)) => told = revision,
            other => panic!("nothing happened to this resource, but {other:?} came"),
        }
    }
    storage.shutdown().await;
}

pub(super) async fn storage_dropped_without_shutdown_keeps_every_acknowledged_write(database: &dyn Database) {
    let storage = open(database).await;
    let installation = storage.installation();
    join_all((0..4).map(|writer| hammer(&storage, writer, 10))).await;
    let last = storage.revision();
    let (one, other) = (storage.snapshot(&things()), storage.snapshot(&others()));
    drop(storage);
    let storage = open(database).await;
    assert_eq!(storage.installation(), installation);
    assert_eq!(storage.revision(), last);
    assert_eq!(storage.snapshot(&things()).entries, one.entries);
    assert_eq!(storage.snapshot(&others()).entries, other.entries);
    let next = storage.write(create(key("next"), "1")).await.expect("created");
    assert_eq!(next.revision, last.next());
    storage.shutdown().await;
}

fn sealing(key: &SealKey) -> StorageOptions {
    StorageOptions { sealer: Some(Sealer::new(key)), sealed: vec![others()], ..StorageOptions::default() }
}

pub(super) async fn sealed_resource_is_nowhere_in_the_clear(database: &dyn Database) {
    let seal_key = SealKey::generate();
    let storage = open_with(database, sealing(&seal_key)).await;
    let secret = |name: &str| Key::new(others(), "default", name);
    let a = storage.write(create(secret("a"), "hush-hush-1")).await.expect("created");
    let a = update(&storage, &a, "hush-hush-2").await.expect("updated");
    let b = storage.write(create(secret("b"), "hush-hush-3")).await.expect("created");
    storage.write(delete(secret("b"), b.revision, "hush-hush-4")).await.expect("deleted");
    storage.write(create(secret("b"), "hush-hush-5")).await.expect("created again");
    storage.write(create(key("plain"), "open-sesame")).await.expect("created");
    let stale = storage.write(delete(secret("a"), Revision(1), "hush-hush")).await;
    assert!(matches!(stale, Err(WriteError::Conflict { .. })), "{stale:?}");
    let absent = storage.write(delete(secret("c"), Revision(1), "hush-hush")).await;
    assert!(matches!(absent, Err(WriteError::NotFound)), "{absent:?}");
    let before = storage.snapshot(&others());
    storage.shutdown().await;
    drop(storage);
    let raw = database.raw_bytes().await;
    let contains = |text: &str| raw.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(contains("open-sesame"), "the raw bytes are really those of the database");
    assert!(!contains("hush-hush"), "a secret is stored in the clear");
    let storage = open_with(database, sealing(&seal_key)).await;
    assert_eq!(storage.snapshot(&others()).entries, before.entries);
    assert_eq!(storage.get(&secret("a")), Some(a));
    storage.shutdown().await;
}

pub(super) async fn wrong_key_is_refused(database: &dyn Database) {
    let right = SealKey::generate();
    open_with(database, sealing(&right)).await.shutdown().await;
    let open = async |options| match Storage::open(database.open().await, options).await {
        Ok(storage) => panic!("{storage:?} was opened"),
        Err(error) => error,
    };
    let error = open(sealing(&SealKey::generate())).await;
    assert!(matches!(&error, StoreError::Seal(SealError::WrongKey { .. })), "{error:?}");
    let error = open(StorageOptions::default()).await;
    assert!(matches!(&error, StoreError::Seal(SealError::NoKey)), "{error:?}");
    open_with(database, sealing(&right)).await.shutdown().await;
}

pub(super) async fn shutdown_ends_watches_and_finishes_writes(database: &dyn Database) {
    let storage = open(database).await;
    let mut watch = storage.watch(&things(), Revision::ZERO).expect("watch");
    let names: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    let writes = join_all(names.iter().map(|name| storage.write(create(key(name), "1"))));
    let (results, ()) = futures::join!(writes, storage.shutdown());
    while watch.next().await.is_some() {}
    let refused = storage.write(create(key("late"), "1")).await;
    assert!(matches!(refused, Err(WriteError::Unavailable(_))), "{refused:?}");
    drop((watch, storage));
    let storage = open(database).await;
    for (name, result) in names.iter().zip(results) {
        assert!(storage.get(&key(name)).is_some() || result.is_err(), "{name} was acknowledged");
    }
    storage.shutdown().await;
}
