//! The conformance suite over files, and what is particular to files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::{ConnectOptions, Connection, Row, sqlite::SqliteConnectOptions};
use uuid::Uuid;

use apiserver_store::conformance::{Database, Databases, check_rotation, check_storage, check_store, check_upgraded};
use apiserver_store::{Batch, Change, Expect, Key, ResourceId, Store, StoreError, Write};

use crate::SqliteStore;
use crate::migrate::MIGRATIONS;

struct Files;

struct InFolder {
    folder: tempfile::TempDir,
}

#[async_trait]
impl Databases for Files {
    async fn create(&self) -> Box<dyn Database> {
        Box::new(InFolder { folder: tempfile::tempdir().unwrap() })
    }
}

#[async_trait]
impl Database for InFolder {
    async fn open(&self) -> Arc<dyn Store> {
        Arc::new(open_when_free(&self.folder.path().join("cloud.db")).await)
    }

    async fn raw_bytes(&self) -> Vec<u8> {
        let files = fs::read_dir(self.folder.path()).unwrap();
        files.flat_map(|file| fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

/// The tasks of a storage that was dropped need a moment to let go of the file.
async fn open_when_free(path: &Path) -> SqliteStore {
    let open = async {
        loop {
            match SqliteStore::open(path).await {
                Ok(store) => return store,
                Err(StoreError::Locked { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(10), open).await.expect("the lock is released")
}

#[tokio::test]
async fn sqlite_store_conforms() {
    check_store(&Files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storage_over_sqlite_conforms() {
    check_storage(&Files).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rotation_over_sqlite_conforms() {
    check_rotation(&Files).await;
}

#[tokio::test]
async fn second_opener_is_refused_and_told_the_lock_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloud.db");
    let first = SqliteStore::open(&path).await.unwrap();
    let error = SqliteStore::open(&path).await.err().expect("it is in use");
    let lock = folder.path().join("cloud.db.lock");
    assert!(error.to_string().contains(&format!("`{}`", lock.display())), "{error}");
    first.close().await;
    SqliteStore::open(&path).await.expect("a closed store is free, whether dropped or not");
}

#[tokio::test]
async fn lock_file_left_behind_locks_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloud.db");
    fs::write(folder.path().join("cloud.db.lock"), "left by a killed process").unwrap();
    SqliteStore::open(&path).await.unwrap();
}

#[tokio::test]
async fn every_file_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloud.db");
    fs::write(&path, "").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let store = SqliteStore::open(&path).await.unwrap();
    let mut names: Vec<PathBuf> = Vec::new();
    for file in fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.path());
        names.push(file.file_name().into());
    }
    assert!(names.contains(&"cloud.db-wal".into()), "{names:?}");
    drop(store);
}

#[tokio::test]
async fn commits_are_synchronous_and_logged_ahead() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("cloud.db")).await.unwrap();
    assert_eq!(store.pragma("synchronous").await, "2", "FULL");
    assert_eq!(store.pragma("journal_mode").await, "wal");
    assert_eq!(store.pragma("page_size").await, "8192");
}

#[tokio::test]
async fn newer_schema_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloud.db");
    SqliteStore::open(&path).await.unwrap().close().await;
    let mut connection = SqliteConnectOptions::new().filename(&path).connect().await.unwrap();
    sqlx::query("insert into schema_migrations (version, name) values (99, 'future')")
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
    let error = SqliteStore::open(&path).await.err().expect("it is too new");
    assert!(matches!(error, StoreError::NewerSchema { found: 99, .. }), "{error}");
}

#[tokio::test]
async fn database_of_the_first_release_is_upgraded_with_its_data() {
    let folder = tempfile::tempdir().unwrap();
    let (old, new) = (folder.path().join("old.db"), folder.path().join("new.db"));
    let mut connection = SqliteConnectOptions::new().filename(&old).create_if_missing(true).connect().await.unwrap();
    sqlx::raw_sql(include_str!("../fixtures/schema_4.sql")).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    let schema = SqliteStore::schema(&old).await.unwrap();
    assert_eq!((schema.found, schema.missing), (4, &MIGRATIONS[4..]), "looking changes nothing");
    assert_eq!(SqliteStore::migrate(&old).await.unwrap(), schema);
    assert!(SqliteStore::migrate(&old).await.unwrap().missing.is_empty());

    let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&old).await.unwrap());
    check_upgraded(&store).await;
    assert_eq!(SqliteStore::schema(&old).await.unwrap().missing, [], "also while somebody has it");
    store.close().await;
    assert_eq!(SqliteStore::schema(&new).await.unwrap().found, 0);
    SqliteStore::open(&new).await.unwrap().close().await;
    assert_eq!(columns(&old).await, columns(&new).await, "an upgraded database is like a new one");
}

/// Every column of every table.
async fn columns(path: &Path) -> Vec<String> {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    sqlx::query_scalar(
        "
        select t.name || '.' || c.cid || ' ' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' ' || c.pk
        from pragma_table_list t
        join pragma_table_info(t.name) c
        where t.schema = 'main' and t.name not like 'sqlite_%'
        order by t.name, c.cid
        ",
    )
    .fetch_all(&mut connection)
    .await
    .unwrap()
}

#[tokio::test]
async fn folder_that_is_missing_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let result = SqliteStore::open(&folder.path().join("missing/cloud.db")).await;
    assert!(matches!(result.err(), Some(StoreError::Unavailable { .. })));
}

#[test]
fn both_dialects_have_the_same_migrations_and_all_are_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let names = |dialect: &str| {
        let files = fs::read_dir(folder.join(dialect)).unwrap();
        let mut names: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let embedded: Vec<String> =
        MIGRATIONS.iter().map(|migration| format!("{:04}_{}.sql", migration.version, migration.name)).collect();
    assert_eq!(names("sqlite"), embedded);
    assert_eq!(names("postgres"), embedded);
}

impl SqliteStore {
    async fn pragma(&self, name: &'static str) -> String {
        let mut guard = self.open.lock().await;
        let statement = sqlx::AssertSqlSafe(format!("pragma {name}"));
        let row = sqlx::query(statement).fetch_one(&mut guard.as_mut().unwrap().connection).await.unwrap();
        row.try_get_unchecked::<String, _>(0).unwrap()
    }
}

/// A write of an object of this name that takes several pages.
async fn large(store: &SqliteStore, name: &str) -> Batch {
    let key = Key { resource: ResourceId::new("", "things"), namespace: "a".to_owned(), name: name.to_owned() };
    let body = format!(r#"{{"text":"{}"}}"#, "x".repeat(200_000)).into_bytes();
    let change = Change::Put { uid: Uuid::new_v4(), body };
    let epoch = store.meta().await.unwrap().epoch;
    Batch::of(epoch, vec![Write { key, expect: Expect::Absent, change }])
}

#[tokio::test]
async fn a_full_disk_is_named_and_writing_goes_on_when_there_is_room() {
    let folder = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&folder.path().join("cloud.db")).await.unwrap();
    store.commit(&large(&store, "before").await).await.unwrap();
    {
        // What a full disk is to the database: it can't have one page more.
        let mut guard = store.open.lock().await;
        let connection = &mut guard.as_mut().unwrap().connection;
        // Less than it has is what it has.
        sqlx::query("pragma max_page_count = 1").execute(connection).await.unwrap();
    }
    let batch = large(&store, "after").await;
    let refused = store.commit(&batch).await;
    assert!(matches!(refused, Err(StoreError::Full { .. })), "{refused:?}");
    assert_eq!(store.meta().await.unwrap().revision.0, 1, "reading goes on, and nothing of it is there");
    store.commit(&batch).await.unwrap();
    assert_eq!(store.meta().await.unwrap().revision.0, 2);
}
