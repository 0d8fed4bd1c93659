//! Whoever follows hears of every write, whatever happens to notifications and connections.

use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{ResourceId, Revision, Storage, Watch, WatchItem};

use super::wire::{Hearing, Wire};
use super::{create, open};
use crate::testing::PostgresServer;

const SOON: Duration = Duration::from_secs(60);

fn things() -> ResourceId {
    ResourceId::new("example.dev", "things")
}

/// Reads events until this revision; none may be missing, double or out of order.
async fn follow(mut watch: Watch, until: u64) {
    let mut next = 1;
    while next <= until {
        match tokio::time::timeout(SOON, watch.next()).await.expect("it is told") {
            Some(WatchItem::Event(event)) => {
                assert_eq!(event.revision, Revision(next));
                next += 1;
            }
            Some(WatchItem::Progress(_)) => {}
            None => panic!("the watch has ended before {next}"),
        }
    }
}

async fn write(storage: &Storage, count: u64, pause: Duration) {
    for number in 1..=count {
        let written = storage.write(create(&number.to_string())).await.expect("written");
        assert_eq!(written.revision, Revision(number));
        tokio::time::sleep(pause).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn swallowed_notifications_cost_a_moment_and_no_event() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.create_database().await;
    let wire = Wire::lay(server.folder(), Hearing::Deaf);
    let (writer, follower) = (open(&url).await, open(&wire.reach(&url)).await);
    let watch = follower.watch(&things(), Revision::ZERO).unwrap();
    write(&writer, 10, Duration::ZERO).await;
    // Whoever asks need not wait for a look.
    assert!(follower.fresh().await.unwrap() >= Revision(10));
    follow(watch, 10).await;
    writer.write(create("last")).await.unwrap();
    let written = tokio::time::Instant::now();
    assert!(follower.wait_for(Revision(11), SOON).await, "it looks by itself");
    assert!(written.elapsed() < Duration::from_secs(10), "after {:?}", written.elapsed());
    for storage in [writer, follower] {
        storage.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follower_whose_connections_are_cut_again_and_again_misses_nothing() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.create_database().await;
    let wire = Arc::new(Wire::lay(server.folder(), Hearing::Good));
    let (writer, follower) = (open(&url).await, open(&wire.reach(&url)).await);
    let watch = follower.watch(&things(), Revision::ZERO).unwrap();
    let cutting = tokio::spawn({
        let wire = Arc::clone(&wire);
        async move {
            loop {
                tokio::time::sleep(Duration::from_millis(150)).await;
                wire.cut();
            }
        }
    });
    tokio::join!(write(&writer, 200, Duration::from_millis(10)), follow(watch, 150));
    cutting.abort();
    assert!(follower.wait_for(Revision(200), SOON).await, "it goes on");
    assert_eq!(follower.stats().reloads, 0, "the log told everything");
    assert_eq!(follower.snapshot(&things()).entries, writer.snapshot(&things()).entries);
    for storage in [writer, follower] {
        storage.shutdown().await;
    }
}
