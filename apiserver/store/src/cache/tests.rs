//! The bounds of the cache, with time as an argument.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use uuid::Uuid;

use super::*;
use crate::Event;

fn things() -> ResourceId {
    ResourceId::new("", "things")
}

fn limits() -> Limits {
    Limits {
        window: Duration::from_secs(75),
        window_min_events: 2,
        window_max_events: 10,
        window_max_bytes: 1 << 20,
        max_snapshots: 5,
        queue_max_events: 4,
        queue_max_bytes: 8 << 10,
    }
}

fn put_of(resource: ResourceId, name: &str, revision: u64, size: usize) -> Applied {
    Applied {
        entry: Arc::new(Entry {
            key: Key::new(resource, "", name),
            uid: Uuid::nil(),
            revision: Revision(revision),
            body: Bytes::from(vec![b' '; size]),
            labels: BTreeMap::new(),
        }),
        deleted: false,
    }
}

fn put(revision: u64) -> Applied {
    put_of(things(), &format!("n{}", revision % 3), revision, 10)
}

fn filled(limits: Limits, now: Instant) -> Arc<Cache> {
    let cache = Arc::new(Cache::new(limits));
    cache.fill(Revision(100), Vec::new(), now);
    cache
}

fn drain(watch: &mut Watch) -> Vec<Option<Arc<Event>>> {
    let mut items = Vec::new();
    loop {
        match futures::FutureExt::now_or_never(watch.next()) {
            Some(Some(WatchItem::Event(event))) => items.push(Some(event)),
            Some(Some(WatchItem::Progress(_))) => {}
            Some(None) => {
                items.push(None);
                return items;
            }
            None => return items,
        }
    }
}

#[test]
fn window_is_bounded_by_count() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    (101..=130).for_each(|revision| cache.apply(vec![put(revision)], now));
    assert_eq!(cache.counts().window_events, 10);
    assert_eq!(cache.watch(&things(), Revision(119)).unwrap_err().oldest, Revision(120));
    let mut watch = cache.watch(&things(), Revision(120)).unwrap();
    assert_eq!(drain(&mut watch).len(), 10);
}

#[test]
fn window_is_bounded_by_bytes_but_keeps_the_minimum() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    (101..=110).for_each(|revision| cache.apply(vec![put_of(things(), "a", revision, 1 << 20)], now));
    assert_eq!(cache.counts().window_events, 2);
    assert!(cache.watch(&things(), Revision(108)).is_ok());
}

#[test]
fn window_is_bounded_by_time_but_keeps_the_minimum() {
    let start = Instant::now();
    let cache = filled(limits(), start);
    (101..=105).for_each(|revision| cache.apply(vec![put(revision)], start));
    assert!(cache.trim(start + Duration::from_secs(75)), "more will grow too old");
    assert_eq!(cache.counts().window_events, 5);
    assert!(!cache.trim(start + Duration::from_secs(76)), "nothing more grows old");
    assert_eq!(cache.counts().window_events, 2);
    assert_eq!(cache.counts().snapshots, 1);
}

#[test]
fn snapshots_are_bounded_by_count() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    (101..=110).for_each(|revision| cache.apply(vec![put(revision)], now));
    assert_eq!(cache.counts().snapshots, 5);
    assert_eq!(cache.snapshot_at(&things(), Revision(105)).unwrap_err().oldest, Revision(106));
    assert_eq!(cache.snapshot_at(&things(), Revision(106)).unwrap().entries.len(), 3);
}

#[test]
fn snapshots_do_not_outlive_the_events_that_lead_to_them() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    (101..=104).for_each(|revision| cache.apply(vec![put(revision)], now));
    assert_eq!(cache.counts().snapshots, 5);
    cache.apply(vec![put_of(things(), "a", 105, 1 << 20)], now);
    assert_eq!((cache.counts().window_events, cache.counts().snapshots), (2, 3));
    assert_eq!(cache.snapshot_at(&things(), Revision(102)).unwrap_err().oldest, Revision(103));
    assert_eq!(cache.snapshot_at(&things(), Revision(104)).unwrap().entries.len(), 3);
}

#[test]
fn state_of_an_unchanged_resource_is_known_at_every_revision() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    cache.apply(vec![put(101)], now);
    for revision in 102..200 {
        let later = now + Duration::from_secs(revision);
        cache.apply(vec![put_of(ResourceId::new("", "others"), "a", revision, 1)], later);
    }
    cache.trim(now + Duration::from_secs(1_000));
    assert_eq!(cache.snapshot_at(&things(), Revision(150)).unwrap().entries.len(), 1);
    assert!(cache.snapshot_at(&things(), Revision(100)).is_err(), "the state before is too old");
}

#[test]
fn state_inside_a_batch_is_known() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    cache.apply((101..=106).map(|revision| put_of(things(), &revision.to_string(), revision, 1)).collect(), now);
    for count in 0..=6 {
        let page = cache.snapshot_at(&things(), Revision(100 + count)).unwrap();
        assert_eq!((page.entries.len() as u64, page.revision), (count, Revision(100 + count)));
    }
}

#[test]
fn what_is_applied_already_is_skipped() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    let mut watch = cache.watch(&things(), Revision(100)).unwrap();
    cache.apply(vec![put(101), put(102)], now);
    cache.apply(vec![put(101), put(102), put(103)], now);
    let revisions: Vec<_> = drain(&mut watch).into_iter().flatten().map(|event| event.revision.0).collect();
    assert_eq!(revisions, [101, 102, 103]);
}

#[test]
fn full_queue_ends_the_watch_at_once() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    let mut watch = cache.watch(&things(), Revision(100)).unwrap();
    (101..=105).for_each(|revision| cache.apply(vec![put(revision)], now));
    assert_eq!(drain(&mut watch), [None]);
    assert_eq!((cache.counts().cut_off, cache.counts().watchers), (1, 0));
}

#[test]
fn queue_is_bounded_by_bytes_but_takes_one_event_of_any_size() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    let mut watch = cache.watch(&things(), Revision(100)).unwrap();
    cache.apply(vec![put_of(things(), "a", 101, 1 << 20)], now);
    assert_eq!(drain(&mut watch).len(), 1);
    cache.apply(vec![put_of(things(), "b", 102, 6 << 10), put_of(things(), "c", 103, 6 << 10)], now);
    assert_eq!(drain(&mut watch), [None]);
}

#[test]
fn backlog_of_a_resumed_watch_is_not_held_against_it() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    (101..=108).for_each(|revision| cache.apply(vec![put(revision)], now));
    let mut watch = cache.watch(&things(), Revision(100)).unwrap();
    (109..=111).for_each(|revision| cache.apply(vec![put(revision)], now));
    let revisions: Vec<_> = drain(&mut watch).into_iter().flatten().map(|event| event.revision.0).collect();
    assert_eq!(revisions, (101..=111).collect::<Vec<_>>());
}

#[test]
fn progress_is_told_once_and_only_if_there_is_any() {
    let now = Instant::now();
    let cache = filled(limits(), now);
    let mut watch = cache.watch(&ResourceId::new("", "others"), Revision(100)).unwrap();
    let mut next = || match futures::FutureExt::now_or_never(watch.next()) {
        Some(Some(WatchItem::Progress(revision))) => Some(revision.0),
        None => None,
        other => panic!("{other:?}"),
    };
    cache.offer_progress();
    assert_eq!(next(), None);
    cache.apply(vec![put(101), put(102)], now);
    assert_eq!(next(), None, "only when it is offered");
    cache.offer_progress();
    assert_eq!(next(), Some(102));
    cache.offer_progress();
    assert_eq!(next(), None);
}

#[test]
fn closed_cache_ends_watches_that_come_later() {
    let cache = filled(limits(), Instant::now());
    let mut before = cache.watch(&things(), Revision(100)).unwrap();
    cache.close();
    let mut after = cache.watch(&things(), Revision(100)).unwrap();
    assert_eq!((drain(&mut before), drain(&mut after)), (vec![None], vec![None]));
}
