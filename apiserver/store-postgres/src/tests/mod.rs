//! The conformance suite over a server that these tests start, and what is particular to Postgres.

mod lost_commit;
mod lost_connection;
mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use apiserver_store::conformance::{
    Database, Databases, check_rotation, check_shared_rotation, check_sharing, check_storage, check_store,
    check_upgraded,
};
use apiserver_store::{
    Change, Expect, Key, ResourceId, Revision, Storage, StorageOptions, Store, StoreError, Write, WriteError,
};

use crate::PostgresStore;
use crate::migrate::MIGRATIONS;
use crate::testing::PostgresServer;

struct OnServer(Arc<PostgresServer>);

struct AtUrl(String);

#[async_trait]
impl Databases for OnServer {
    async fn create(&self) -> Box<dyn Database> {
        Box::new(AtUrl(self.0.create_database().await))
    }
}

#[async_trait]
impl Database for AtUrl {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(PostgresStore::connect(&self.0).await.unwrap())
    }

    async fn raw_bytes(&self) -> Vec<u8> {
        let mut connection = PgConnection::connect(&self.0).await.unwrap();
        let rows: Vec<Vec<u8>> = sqlx::query_scalar(
            "
            select body from objects
            union all
            select body from changes
            union all
            select coalesce(seal_check, '') from store_meta
            ",
        )
        .fetch_all(&mut connection)
        .await
        .unwrap();
        rows.concat()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_conforms() {
    let Some(server) = PostgresServer::shared() else { return };
    let databases = OnServer(server);
    check_store(&databases).await;
    check_storage(&databases).await;
    check_sharing(&databases).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_over_postgres_conforms() {
    let Some(server) = PostgresServer::shared() else { return };
    let databases = OnServer(server);
    check_rotation(&databases).await;
    check_shared_rotation(&databases).await;
}

fn create(name: &str) -> Write {
    Write {
        key: Key::new(ResourceId::new("example.dev", "things"), "default", name),
        expect: Expect::Absent,
        change: Change::Put { uid: Uuid::new_v4(), body: b"{}".to_vec() },
    }
}

async fn open(url: &str) -> Storage {
    let store = PostgresStore::connect(url).await.unwrap();
    Storage::open(Arc::new(store), StorageOptions::default()).await.unwrap()
}

/// The server crashes again and again while two storages write. Each acknowledged write must be there afterwards,
/// each refused one must not, unless its fate was reported as unknown.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn crashing_server_loses_no_acknowledged_write() {
    let Some(server) = PostgresServer::start() else { return };
    let server = Arc::new(server);
    let url = server.create_database().await;
    let storages = [open(&url).await, open(&url).await];
    let done = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (storage, done) = (storages[writer % 2].clone(), Arc::clone(&done));
            tokio::spawn(async move {
                let mut outcomes = Vec::new();
                let mut number = 0;
                while !done.load(Ordering::Relaxed) {
                    number += 1;
                    let write = create(&format!("{writer}-{number}"));
                    let key = write.key.clone();
                    let outcome = storage.write(write).await;
                    if outcome.is_err() {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    outcomes.push((key, outcome));
                }
                outcomes
            })
        })
        .collect();
    for _ in 0..3 {
        let before = storages[0].revision();
        let (server, storage) = (Arc::clone(&server), storages[0].clone());
        assert!(storage.wait_for(Revision(before.0 + 50), Duration::from_secs(60)).await, "it works again");
        tokio::task::spawn_blocking(move || {
            server.crash();
            server.resume();
        })
        .await
        .unwrap();
    }
    let before = storages[1].revision();
    assert!(storages[1].wait_for(Revision(before.0 + 50), Duration::from_secs(60)).await, "it works again");
    done.store(true, Ordering::Relaxed);
    let mut outcomes = Vec::new();
    for writer in writers {
        outcomes.extend(writer.await.unwrap());
    }
    let witness = open(&url).await;
    let resource = ResourceId::new("example.dev", "things");
    let (mut acknowledged, mut refused, mut unknown) = (0, 0, 0);
    for (key, outcome) in outcomes {
        match outcome {
            Ok(entry) => {
                acknowledged += 1;
                assert_eq!(witness.get(&key), Some(entry));
            }
            Err(WriteError::Unavailable(error)) if matches!(*error, StoreError::OutcomeUnknown { .. }) => {
                unknown += u64::from(witness.get(&key).is_some());
            }
            Err(WriteError::Unavailable(_)) => {
                refused += 1;
                assert_eq!(witness.get(&key), None, "{key} was reported as not written");
            }
            Err(error) => panic!("{key}: {error}"),
        }
    }
    let held = witness.snapshot(&resource).entries;
    assert_eq!(witness.revision(), Revision(acknowledged + unknown), "every revision is somebody's write");
    assert_eq!(held.len() as u64, acknowledged + unknown);
    assert!(acknowledged >= 100 && refused > 0, "{acknowledged} acknowledged, {refused} refused, {unknown} unknown");
    for storage in &storages {
        storage.fresh().await.unwrap();
        assert_eq!(storage.snapshot(&resource).entries, held);
        storage.shutdown().await;
    }
    witness.shutdown().await;
}

#[tokio::test]
async fn processes_that_start_at_once_migrate_once() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.create_database().await;
    let connecting = (0..6).map(|_| PostgresStore::connect(&url));
    let stores = futures::future::try_join_all(connecting).await.unwrap();
    let mut installations = Vec::new();
    for store in &stores {
        installations.push(store.meta().await.unwrap().installation);
    }
    installations.dedup();
    assert_eq!(installations.len(), 1);
}

#[tokio::test]
async fn newer_schema_is_refused() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.create_database().await;
    PostgresStore::connect(&url).await.unwrap().close().await;
    let mut connection = PgConnection::connect(&url).await.unwrap();
    sqlx::query("insert into schema_migrations (version, name) values (99, 'future')")
        .execute(&mut connection)
        .await
        .unwrap();
    let error = PostgresStore::connect(&url).await.err().expect("it is too new");
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn database_of_the_first_release_is_upgraded_with_its_data() {
    let Some(server) = PostgresServer::shared() else { return };
    let (old, new) = (server.create_database().await, server.create_database().await);
    let mut connection = PgConnection::connect(&old).await.unwrap();
    sqlx::raw_sql(include_str!("../../fixtures/schema_4.sql")).execute(&mut connection).await.unwrap();
    let schema = PostgresStore::schema(&old).await.unwrap();
    assert_eq!((schema.found, schema.missing), (4, &MIGRATIONS[4..]), "looking changes nothing");
    assert_eq!(PostgresStore::migrate(&old).await.unwrap(), schema);
    assert!(PostgresStore::migrate(&old).await.unwrap().missing.is_empty());

    let store: Arc<dyn Store> = Arc::new(PostgresStore::connect(&old).await.unwrap());
    check_upgraded(&store).await;
    store.close().await;
    assert_eq!(PostgresStore::schema(&new).await.unwrap().found, 0);
    PostgresStore::migrate(&new).await.unwrap();
    assert_eq!(columns(&old).await, columns(&new).await, "an upgraded database is like a new one");
}

/// Every column of every table.
async fn columns(url: &str) -> Vec<String> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(
        "
        select concat_ws(' ', table_name, ordinal_position, column_name, data_type, is_nullable, column_default)
        from information_schema.columns
        where table_schema = 'public'
        order by table_name, ordinal_position
        ",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn stalled_writer_does_not_hold_up_others_for_ever() {
    let Some(server) = PostgresServer::shared() else { return };
    let url = server.create_database().await;
    let storage = open(&url).await;
    let mut stalled = crate::store::connect_writer(&url.parse().unwrap()).await.unwrap();
    let mut transaction = stalled.begin().await.unwrap();
    sqlx::query("select revision from store_meta where shard = 0 for update").execute(&mut *transaction).await.unwrap();
    let written = tokio::time::timeout(Duration::from_secs(25), storage.write(create("a"))).await;
    assert_eq!(written.expect("the lock is released").unwrap().revision, Revision(1));
    storage.shutdown().await;
}

#[tokio::test]
async fn unreachable_server_is_an_error_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://postgres@localhost/none?host={}", folder.path().display());
    let error = PostgresStore::connect(&url).await.err().expect("nobody is there");
    assert!(matches!(error, StoreError::Unavailable { .. }), "{error}");
}
