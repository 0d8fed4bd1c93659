//! The connection is cut while the server is busy committing: the answer is lost, the outcome is not.

use std::sync::Arc;
use std::time::Duration;

use sqlx::{Connection, PgConnection};

use apiserver_store::{Revision, Storage, StoreError, WriteError};

use super::wire::{Hearing, Wire};
use super::{create, open};
use crate::testing::PostgresServer;

/// A storage behind a wire, on a server whose commits take two seconds and then fail if the name says so.
async fn slow_storage(server: &PostgresServer) -> (Wire, Storage, PgConnection) {
    let url = server.create_database().await;
    let wire = Wire::lay(server.folder(), Hearing::Good);
    let storage = open(&wire.reach(&url)).await;
    let mut direct = PgConnection::connect(&url).await.unwrap();
    sqlx::raw_sql(
        "
        create function slow() returns trigger language plpgsql as $$
        begin
            if new.name like 'slow%' then
                perform pg_sleep(2);
            end if;
            if new.name like '%fails' then
                raise exception 'refused at commit';
            end if;
            return null;
        end $$;
        create constraint trigger slow after insert on changes
        deferrable initially deferred for each row execute function slow();
        ",
    )
    .execute(&mut direct)
    .await
    .unwrap();
    (wire, storage, direct)
}

/// Waits until the server is busy with a commit.
async fn commit_is_under_way(direct: &mut PgConnection) {
    let query = "select count(*) from pg_stat_activity where wait_event = 'PgSleep'";
    let under_way = async {
        while sqlx::query_scalar::<_, i64>(query).fetch_one(&mut *direct).await.unwrap() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), under_way).await.expect("the commit begins");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_whose_answer_was_lost_is_acknowledged_if_it_happened() {
    let Some(server) = PostgresServer::shared() else { return };
    let (wire, storage, mut direct) = slow_storage(&server).await;
    storage.write(create("first")).await.unwrap();
    let writing = tokio::spawn({
        let storage = storage.clone();
        async move { storage.write(create("slow")).await }
    });
    commit_is_under_way(&mut direct).await;
    wire.cut();
    let written = writing.await.unwrap().expect("it happened");
    assert_eq!(written.revision, Revision(2));
    assert_eq!(storage.get(&create("slow").key), Some(written));
    assert_eq!(storage.write(create("next")).await.unwrap().revision, Revision(3));
    storage.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commit_whose_answer_was_lost_is_refused_if_it_failed() {
    let Some(server) = PostgresServer::shared() else { return };
    let (wire, storage, mut direct) = slow_storage(&server).await;
    let writing = tokio::spawn({
        let storage = storage.clone();
        async move { storage.write(create("slow-and-fails")).await }
    });
    commit_is_under_way(&mut direct).await;
    wire.cut();
    match writing.await.unwrap() {
        Err(WriteError::Unavailable(error)) if matches!(*error, StoreError::Unavailable { .. }) => {}
        other => panic!("{other:?}"),
    }
    assert_eq!(storage.write(create("next")).await.unwrap().revision, Revision(1), "no revision is lost");
    storage.shutdown().await;
}

#[tokio::test]
async fn commit_that_the_server_refuses_is_refused() {
    let Some(server) = PostgresServer::shared() else { return };
    let (wire, storage, _direct) = slow_storage(&Arc::clone(&server)).await;
    match storage.write(create("fails")).await {
        Err(WriteError::Unavailable(error)) if matches!(*error, StoreError::Unavailable { .. }) => {}
        other => panic!("{other:?}"),
    }
    wire.cut();
    assert_eq!(storage.write(create("next")).await.unwrap().revision, Revision(1), "a cut while idle goes unnoticed");
    storage.shutdown().await;
}
