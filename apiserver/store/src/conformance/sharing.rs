//! What holds between several storages on one database.

use std::time::Duration;

use futures::future::join_all;

use crate::Revision;

use super::storage::{follow, hammer, increment, next_event, open, take_a_place};
use super::{Database, create, key, others, things};

const SOON: Duration = Duration::from_secs(20);

pub(super) async fn fresh_read_sees_what_another_wrote(database: &dyn Database) {
    let (one, two) = (open(database).await, open(database).await);
    for number in 0..50_u64 {
        let name = number.to_string();
        let (writer, reader) = if number % 2 == 0 { (&one, &two) } else { (&two, &one) };
        let made = writer.write(create(key(&name), "1")).await.expect("created");
        let reached = join_all((0..4).map(|_| reader.fresh())).await;
        assert!(reached.into_iter().all(|revision| revision.expect("fresh") >= made.revision));
        assert_eq!(reader.get(&key(&name)), Some(made));
    }
    one.shutdown().await;
    two.shutdown().await;
}

pub(super) async fn watch_sees_what_another_wrote_without_being_asked(database: &dyn Database) {
    let (one, two) = (open(database).await, open(database).await);
    let mut watch = two.watch(&things(), Revision::ZERO).expect("watch");
    let made = one.write(create(key("a"), "1")).await.expect("created");
    let event = next_event(&mut watch).await;
    assert_eq!(event.entry, made);
    one.shutdown().await;
    two.shutdown().await;
}

pub(super) async fn storages_that_write_at_once_agree(database: &dyn Database) {
    let (one, two) = (open(database).await, open(database).await);
    let total = 6 * (10 * 2 + 5);
    let start = [one.snapshot_and_watch(&things()), two.snapshot_and_watch(&things())];
    let writers = join_all((0..6).map(|writer| hammer(if writer % 2 == 0 { &one } else { &two }, writer, 10)));
    let watchers = join_all(start.map(|(snapshot, watch)| follow(watch, snapshot, Revision(total))));
    let (_, ends) = futures::join!(writers, watchers);
    for storage in [&one, &two] {
        assert!(storage.wait_for(Revision(total), SOON).await);
        assert_eq!(storage.revision(), Revision(total));
    }
    assert_eq!(ends[0].entries, ends[1].entries);
    for resource in [things(), others()] {
        assert_eq!(one.snapshot(&resource).entries, two.snapshot(&resource).entries);
    }
    one.shutdown().await;
    two.shutdown().await;
}

/// No two of them give away the last place.
pub(super) async fn bound_writes_keep_one_count_for_all(database: &dyn Database) {
    const LIMIT: u64 = 7;
    let storages = [open(database).await, open(database).await, open(database).await];
    storages[0].write(create(key("count"), "0")).await.expect("created");
    let asked = join_all((0..12).map(|number| take_a_place(&storages[number % 3], number, LIMIT))).await;
    assert_eq!(asked.into_iter().filter(|is_made| *is_made).count() as u64, LIMIT);
    for storage in &storages {
        storage.fresh().await.expect("fresh");
        assert_eq!(storage.snapshot(&others()).entries.len() as u64, LIMIT);
        assert_eq!(storage.get(&key("count")).expect("the count is there").value()["value"], LIMIT.to_string());
    }
    for storage in storages {
        storage.shutdown().await;
    }
}

pub(super) async fn one_counter_for_all(database: &dyn Database) {
    let storages = [open(database).await, open(database).await, open(database).await];
    storages[0].write(create(key("counter"), "0")).await.expect("created");
    join_all((0..6).map(|worker| increment(&storages[worker % 3], 5))).await;
    for storage in &storages {
        storage.fresh().await.expect("fresh");
        let counter = storage.get(&key("counter")).expect("the counter is there");
        assert_eq!(counter.value()["value"], "30");
    }
    for storage in &storages {
        storage.shutdown().await;
    }
}

/// One that has slept longer than the log reaches back.
pub(super) async fn late_follower_reads_everything_anew(database: &dyn Database) {
    let (one, late) = (open(database).await, open(database).await);
    // What the late one does not know about is compacted before it can look.
    let store = database.open().await;
    for round in 0..20 {
        let made = one.write(create(key(&round.to_string()), "1")).await.expect("created");
        store.compact(made.revision).await.expect("compaction");
    }
    late.fresh().await.expect("fresh");
    assert_eq!(late.snapshot(&things()).entries, one.snapshot(&things()).entries);
    one.shutdown().await;
    late.shutdown().await;
}

pub(super) async fn all_storages_have_one_installation(database: &dyn Database) {
    let storages = join_all((0..4).map(|_| open(database))).await;
    assert!(storages.iter().all(|storage| storage.installation() == storages[0].installation()));
    assert!(storages.iter().all(|storage| storage.epoch() == storages[0].epoch()));
    for storage in &storages {
        storage.shutdown().await;
    }
}
