//! Connects, and keeps two kinds of connections apart: the one that writes, and the few that read and listen.

use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{ConnectOptions, Connection, PgConnection, PgPool};
use tokio::sync::Mutex;
use uuid::Uuid;

use apiserver_store::migration::Schema;
use apiserver_store::{
    Batch, Committed, Hints, Meta, Revision, Sharing, Staging, Store, StoreError, StoredChange, StoredObject,
};

use crate::commit::Writer;
use crate::listen::listen;
use crate::migrate::{look, migrate};
use crate::read;
use crate::stage::Staged;

/// How often other processes' writes are looked for, should a notification get lost.
const POLL: Duration = Duration::from_secs(1);

/// How long a database that does not answer is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Rows of the log that one transaction removes.
const SLICE: i64 = 5_000;

/// A store in a Postgres database.
pub struct PostgresStore {
    options: PgConnectOptions,
    readers: PgPool,
    writer: Mutex<Writer>,
    /// Marks our own notifications, which nobody here needs.
    id: Uuid,
}

impl PostgresStore {
    /// Connects to the database at `url` (`postgres://user:password@host:port/database`, or with
    /// `?host=/socket/folder`) and brings its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer program was here.
    pub async fn connect(url: &str) -> Result<PostgresStore, StoreError> {
        PostgresStore::connect_with(read_url(url)?).await
    }

    /// Connects with these options and brings the schema up to date.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer program was here.
    pub async fn connect_with(options: PgConnectOptions) -> Result<PostgresStore, StoreError> {
        let options = options.disable_statement_logging().application_name("the-cloud");
        let failed = failed("connect to the database");
        let mut connection = connect(&options).await?;
        migrate(&mut connection).await?;
        sqlx::query(
            "
            insert into store_meta (shard, revision, compacted, epoch, installation)
            values (0, 0, 0, $1, $2)
            on conflict (shard) do nothing
            ",
        )
        .bind(Uuid::new_v4())
        .bind(Uuid::new_v4())
        .execute(&mut connection)
        .await
        .map_err(&failed)?;
        connection.close().await.map_err(&failed)?;
        let readers = PgPoolOptions::new()
            .max_connections(2)
            .acquire_timeout(Duration::from_secs(5))
            .connect_lazy_with(options.clone());
        let id = Uuid::new_v4();
        Ok(PostgresStore { writer: Mutex::new(Writer::new(options.clone(), id)), options, readers, id })
    }

    /// Brings the schema of the database at `url` up to date; says how it stood before.
    ///
    /// # Errors
    /// As of [`PostgresStore::connect`].
    pub async fn migrate(url: &str) -> Result<Schema, StoreError> {
        let mut connection = connect(&read_url(url)?).await?;
        let schema = migrate(&mut connection).await?;
        connection.close().await.map_err(failed("close the connection"))?;
        Ok(schema)
    }

    /// How the schema of the database at `url` stands. Changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NewerSchema`] if a newer program was here.
    pub async fn schema(url: &str) -> Result<Schema, StoreError> {
        let mut connection = connect(&read_url(url)?).await?;
        let schema = look(&mut connection).await?;
        connection.close().await.map_err(failed("close the connection"))?;
        Ok(schema)
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn meta(&self) -> Result<Meta, StoreError> {
        let failed = failed("read the meta data");
        let mut connection = self.readers.acquire().await.map_err(&failed)?;
        read::meta(&mut connection).await.map_err(&failed)
    }

    async fn load(&self, each: &mut (dyn FnMut(StoredObject) + Send)) -> Result<Meta, StoreError> {
        let failed = failed("load the objects");
        let mut connection = self.readers.acquire().await.map_err(&failed)?;
        read::load(&mut connection, each).await.map_err(&failed)
    }

    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        self.writer.lock().await.commit(batch).await
    }

    async fn changes(&self, after: Revision, limit: usize) -> Result<Vec<StoredChange>, StoreError> {
        let failed = failed("read the changes");
        let mut connection = self.readers.acquire().await.map_err(&failed)?;
        let changes = read::changes(&mut connection, after, limit).await.map_err(&failed)?;
        // Read after the changes: whatever was compacted while they were read is marked by now.
        let compacted = read::meta(&mut connection).await.map_err(&failed)?.compacted;
        if after < compacted { Err(StoreError::Compacted { compacted }) } else { Ok(changes) }
    }

    async fn compact(&self, through: Revision) -> Result<(), StoreError> {
        let failed = failed("compact the log");
        sqlx::query("update store_meta set compacted = least($1, revision) where shard = 0 and compacted < $1")
            .bind(signed(through))
            .execute(&self.readers)
            .await
            .map_err(&failed)?;
        loop {
            let removed = sqlx::query(
                "
                delete from changes
                where rv <= (select compacted from store_meta where shard = 0)
                and rv < (select min(rv) from changes) + $1
                ",
            )
            .bind(SLICE)
            .execute(&self.readers)
            .await
            .map_err(&failed)?
            .rows_affected();
            if removed == 0 {
                return Ok(());
            }
        }
    }

    async fn keep_seal_check(&self, check: &[u8]) -> Result<Vec<u8>, StoreError> {
        sqlx::query_scalar(
            "update store_meta set seal_check = coalesce(seal_check, $1) where shard = 0 returning seal_check",
        )
        .bind(check)
        .fetch_one(&self.readers)
        .await
        .map_err(failed("keep the seal check"))
    }

    async fn replace_seal_check(&self, old: &[u8], new: &[u8]) -> Result<bool, StoreError> {
        sqlx::query("update store_meta set seal_check = $2 where shard = 0 and seal_check = $1")
            .bind(old)
            .bind(new)
            .execute(&self.readers)
            .await
            .map(|done| done.rows_affected() == 1)
            .map_err(failed("replace the seal check"))
    }

    async fn mark_restored(&self, note: Option<&str>) -> Result<(), StoreError> {
        sqlx::query("update store_meta set restored = $1 where shard = 0")
            .bind(note)
            .execute(&self.readers)
            .await
            .map(drop)
            .map_err(failed("note a restore"))
    }

    async fn stage(&self) -> Result<Box<dyn Staging>, StoreError> {
        let staged = Staged::begin(&self.options, self.id).await.map_err(failed("begin a restore"))?;
        Ok(Box::new(staged))
    }

    fn sharing(&self) -> Sharing {
        Sharing::Shared { poll: POLL }
    }

    async fn hints(&self) -> Result<Option<Hints>, StoreError> {
        listen(&self.options, self.id).await.map(Some).map_err(failed("listen for notifications"))
    }

    async fn close(&self) {
        self.writer.lock().await.close().await;
        self.readers.close().await;
    }
}

fn read_url(url: &str) -> Result<PgConnectOptions, StoreError> {
    let options = PgConnectOptions::from_str(url).map_err(failed("read the database URL"))?;
    Ok(options.disable_statement_logging())
}

async fn connect(options: &PgConnectOptions) -> Result<PgConnection, StoreError> {
    let step = "connect to the database";
    let connecting = tokio::time::timeout(PATIENCE, options.connect());
    connecting.await.map_err(|_| timed_out(step))?.map_err(failed(step))
}

pub(crate) fn signed(revision: Revision) -> i64 {
    i64::try_from(revision.0).unwrap_or(i64::MAX)
}

/// Wraps what the database says as a failure of `step`.
pub(crate) fn failed(step: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |error| {
        // disk_full
        if error.as_database_error().and_then(sqlx::error::DatabaseError::code).is_some_and(|code| code == "53100") {
            return StoreError::Full { step, source: error.into() };
        }
        StoreError::unavailable(step, error)
    }
}

pub(crate) fn timed_out(step: &'static str) -> StoreError {
    StoreError::unavailable(step, "the database does not answer")
}

/// A connection that writes. It may set what a shared one must not.
pub(crate) async fn connect_writer(options: &PgConnectOptions) -> Result<PgConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    // A process that stops in the middle of a transaction must not hold up the others for ever, and no setting of
    // the server may make an acknowledged write less than durable.
    sqlx::query(
        "
        select
            set_config('idle_in_transaction_session_timeout', '5s', false),
            case
                when current_setting('synchronous_commit') = 'off' then set_config('synchronous_commit', 'on', false)
            end
        ",
    )
    .execute(&mut connection)
    .await?;
    Ok(connection)
}
