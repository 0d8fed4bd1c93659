//! Opens the file and reads from it. One connection does everything, one thing at a time: the watch cache answers
//! the reads of clients, so that the database has next to none.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, Permissions};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::{SqliteAutoVacuum, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::{Mutex, MutexGuard};
use uuid::Uuid;

use apiserver_store::migration::Schema;
use apiserver_store::{
    Batch, Committed, Key, Meta, Operation, ResourceId, Revision, Staging, Store, StoreError, StoredChange,
    StoredObject,
};

use crate::commit::commit;
use crate::lock::LockFile;
use crate::migrate::{MIGRATIONS, look, migrate};
use crate::stage::Staged;

/// Rows of the log that one transaction removes, so that writers never wait long.
const SLICE: i64 = 2_000;

/// A store in one file.
pub struct SqliteStore {
    /// `None` once closed.
    pub(crate) open: Arc<Mutex<Option<Open>>>,
}

/// Fields are dropped in order: first the database, then the lock.
pub(crate) struct Open {
    pub(crate) connection: SqliteConnection,
    /// The numbers of resources that are known to be in the database.
    pub(crate) resources: BTreeMap<ResourceId, i64>,
    options: SqliteConnectOptions,
    /// Whether the connection is of no use any more.
    is_broken: bool,
    _lock: LockFile,
}

impl SqliteStore {
    /// Opens the database in `path`, making it (mode 0600) if there is none; the folder must exist.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if another process has it, [`StoreError::NewerSchema`] if a newer program made it.
    pub async fn open(path: &Path) -> Result<SqliteStore, StoreError> {
        let lock = LockFile::take(path)?;
        make_private(path).map_err(|error| StoreError::unavailable("make the database file", error))?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .page_size(8192)
            .auto_vacuum(SqliteAutoVacuum::Incremental)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(Duration::from_secs(5))
            // A burst of writes must not leave a large file behind for ever.
            .pragma("journal_size_limit", "67108864")
            .disable_statement_logging();
        let failed = failed("open the database");
        let mut connection = options.connect().await.map_err(&failed)?;
        migrate(&mut connection).await?;
        sqlx::query(
            "
            insert into store_meta (shard, revision, compacted, epoch, installation)
            values (0, 0, 0, ?1, ?2)
            on conflict (shard) do nothing
            ",
        )
        .bind(Uuid::new_v4())
        .bind(Uuid::new_v4())
        .execute(&mut connection)
        .await
        .map_err(&failed)?;
        Ok(SqliteStore {
            open: Arc::new(Mutex::new(Some(Open {
                connection,
                resources: BTreeMap::new(),
                options,
                is_broken: false,
                _lock: lock,
            }))),
        })
    }

    /// Brings the schema of the database in `path` up to date; says how it stood before.
    ///
    /// # Errors
    /// As of [`SqliteStore::open`].
    pub async fn migrate(path: &Path) -> Result<Schema, StoreError> {
        let schema = SqliteStore::schema(path).await?;
        SqliteStore::open(path).await?.close().await;
        Ok(schema)
    }

    /// How the schema of the database in `path` stands. Changes nothing, also while another process has it.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer program made it.
    pub async fn schema(path: &Path) -> Result<Schema, StoreError> {
        if !path.exists() {
            return Schema::compare(MIGRATIONS, Vec::new());
        }
        let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
        let mut connection = options.connect().await.map_err(failed("open the database"))?;
        let schema = look(&mut connection).await;
        connection.close().await.map_err(failed("close the database"))?;
        schema
    }

    async fn lock(&self) -> Guard<'_> {
        Guard(self.open.lock().await)
    }
}

impl Open {
    /// Takes another connection after a failure: where the database has ended a transaction by itself, as it does on a full
    /// disk, the old one takes itself to be in it for ever.
    async fn mend(&mut self) -> Result<(), StoreError> {
        if self.is_broken {
            let fresh = self.options.connect().await.map_err(failed("reopen the database"))?;
            // Whatever becomes of it, it is not used again.
            let _ = std::mem::replace(&mut self.connection, fresh).close().await;
            self.resources.clear();
            self.is_broken = false;
        }
        Ok(())
    }
}

struct Guard<'a>(MutexGuard<'a, Option<Open>>);

impl Guard<'_> {
    fn open(&mut self) -> Result<&mut Open, StoreError> {
        self.0.as_mut().ok_or(StoreError::Closed)
    }

    fn connection(&mut self) -> Result<&mut SqliteConnection, StoreError> {
        Ok(&mut self.open()?.connection)
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn meta(&self) -> Result<Meta, StoreError> {
        read_meta(self.lock().await.connection()?).await
    }

    async fn load(&self, each: &mut (dyn FnMut(StoredObject) + Send)) -> Result<Meta, StoreError> {
        let failed = failed("load the objects");
        let mut guard = self.lock().await;
        let mut transaction = guard.connection()?.begin().await.map_err(&failed)?;
        let meta = read_meta(&mut transaction).await?;
        let mut rows = sqlx::query(
            "
            select
                r.grp,
                r.plural,
                o.ns,
                o.name,
                o.uid,
                o.rv,
                o.body
            from objects o
            join resources r on r.id = o.res
            order by o.res, o.ns, o.name
            ",
        )
        .fetch(&mut *transaction);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            each(object_of_row(&row).map_err(&failed)?);
        }
        Ok(meta)
    }

    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        let mut guard = self.lock().await;
        let open = guard.open()?;
        open.mend().await?;
        let committed = commit(open, batch).await;
        if matches!(committed, Err(ref error) if !matches!(error, StoreError::NewHistory | StoreError::NewKeys)) {
            open.is_broken = true;
            // Tried at once, because reading goes by the same connection; what fails is tried again at the next write.
            if let Err(error) = open.mend().await {
                tracing::debug!(error = &error as &dyn std::error::Error, "the database could not be reopened yet");
            }
        }
        committed
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        let failed = failed("read the changes");
        let mut guard = self.lock().await;
        let connection = guard.connection()?;
        // One connection does everything, so nothing can come between these two statements.
        let compacted = read_meta(connection).await?.compacted;
        if after < compacted {
            return Err(StoreError::Compacted { compacted });
        }
        let rows = sqlx::query(
            "
            select
                c.rv,
                r.grp,
                r.plural,
                c.ns,
                c.name,
                c.uid,
                c.op,
                c.prev_rv,
                c.batch,
                c.body
            from changes c
            join resources r on r.id = c.res
            where c.rv > ?1
            order by c.rv
            limit ?2
            ",
        )
        .bind(signed(after))
        .bind(i64::try_from(limit).unwrap_or(i64::MAX))
        .fetch_all(connection)
        .await
        .map_err(&failed)?;
        rows.iter().map(|row| change_of_row(row).map_err(&failed)).collect::<Result<Vec<_>, _>>()
    }

    async fn compact(&self, through: Revision) -> Result<(), StoreError> {
        let failed = failed("compact the log");
        let mark = "update store_meta set compacted = min(?1, revision) where shard = 0 and compacted < ?1";
        sqlx::query(mark).bind(signed(through)).execute(self.lock().await.connection()?).await.map_err(&failed)?;
        loop {
            // Writers get their turn between the slices.
            let mut guard = self.lock().await;
            let removed = sqlx::query(
                "
                delete from changes
                where rv <= (select compacted from store_meta where shard = 0)
                and rv < (select min(rv) from changes) + ?1
                ",
            )
            .bind(SLICE)
            .execute(guard.connection()?)
            .await
            .map_err(&failed)?
            .rows_affected();
            sqlx::raw_sql("pragma incremental_vacuum(512)").execute(guard.connection()?).await.map_err(&failed)?;
            if removed == 0 {
                return Ok(());
            }
        }
    }

    async fn keep_seal_check(&self, check: &[u8]) -> Result<Vec<u8>, StoreError> {
        sqlx::query_scalar(
            "update store_meta set seal_check = coalesce(seal_check, ?1) where shard = 0 returning seal_check",
        )
        .bind(check)
        .fetch_one(self.lock().await.connection()?)
        .await
        .map_err(failed("keep the seal check"))
    }

    async fn replace_seal_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError> {
        sqlx::query("update store_meta set seal_check = ?2 where shard = 0 and seal_check = ?1")
            .bind(old)
            .bind(new)
            .execute(self.lock().await.connection()?)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(failed("replace the seal check"))
    }

    async fn mark_restored(&self, note: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("update store_meta set restored = ?1 where shard = 0")
            .bind(note)
            .execute(self.lock().await.connection()?)
            .await
            .map(drop)
            .map_err(failed("note a restore"))
    }

    async fn stage(&self) -> Result<Box<dyn Staging>, StoreError> {
        Ok(Box::new(Staged::begin(Arc::clone(&self.open)).await?))
    }

    async fn close(&self) {
        let Some(open) = self.lock().await.0.take() else { return };
        let Open { connection, _lock, .. } = open;
        if let Err(error) = connection.close().await {
            tracing::warn!(error = %error, "the database was not closed cleanly");
        }
    }
}

pub(crate) async fn read_meta(connection: &mut SqliteConnection) -> Result<Meta, StoreError> {
    let failed = failed("read the meta data");
    let row = sqlx::query(
        "
        select
            revision,
            compacted,
            epoch,
            installation,
            seal_check,
            restored
        from store_meta
        where shard = 0
        ",
    )
    .fetch_one(connection)
    .await
    .map_err(&failed)?;
    let meta = || -> Result<Meta, sqlx::Error> {
        Ok(Meta {
            revision: revision_of(&row, "revision")?,
            compacted: revision_of(&row, "compacted")?,
            epoch: row.try_get("epoch")?,
            installation: row.try_get("installation")?,
            seal_check: row.try_get("seal_check")?,
            restored: row.try_get("restored")?,
        })
    };
    meta().map_err(&failed)
}

fn object_of_row(row: &SqliteRow) -> Result<StoredObject, sqlx::Error> {
    Ok(StoredObject {
        key: key_of_row(row)?,
        uid: row.try_get("uid")?,
        revision: revision_of(row, "rv")?,
        body: row.try_get("body")?,
    })
}

fn change_of_row(row: &SqliteRow) -> Result<StoredChange, sqlx::Error> {
    let code: i16 = row.try_get("op")?;
    Ok(StoredChange {
        revision: revision_of(row, "rv")?,
        key: key_of_row(row)?,
        uid: row.try_get("uid")?,
        operation: Operation::from_code(code)
            .ok_or_else(|| sqlx::Error::Decode(format!("no operation has the code {code}").into()))?,
        previous: revision_of(row, "prev_rv")?,
        body: row.try_get("body")?,
        batch: row.try_get("batch")?,
    })
}

fn key_of_row(row: &SqliteRow) -> Result<Key, sqlx::Error> {
    Ok(Key {
        resource: ResourceId { group: row.try_get("grp")?, plural: row.try_get("plural")? },
        namespace: row.try_get("ns")?,
        name: row.try_get("name")?,
    })
}

pub(crate) fn revision_of(row: &SqliteRow, column: &'static str) -> Result<Revision, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map(Revision).map_err(|error| sqlx::Error::Decode(error.into()))
}

pub(crate) fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Wraps what the database says as a failure of `step`.
pub(crate) fn failed(step: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        if is_full(&error) {
            return StoreError::Full { step, source: error.into() };
        }
        StoreError::unavailable(step, error)
    }
}

/// Whether the disk is full (`SQLITE_FULL`): then nothing of a transaction is there.
pub(crate) fn is_full(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "13")
}

pub(crate) fn open_private(path: &Path) -> std::io::Result<File> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))?;
    Ok(file)
}

/// SQLite gives its other files the permissions of the first one.
fn make_private(path: &Path) -> std::io::Result<()> {
    open_private(path)?.sync_all()?;
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
