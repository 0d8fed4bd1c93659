//! Commits a batch: lock the row, look at the keys, decide, write everything with one statement, commit.
//!
//! Until `COMMIT` is sent a failure means that nothing was written, and a connection that had gone stale is replaced.
//! A failure of `COMMIT` itself leaves the outcome open, and says so.

use std::collections::BTreeMap;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Postgres, Row, Transaction};
use uuid::Uuid;

use apiserver_store::{Batch, Committed, Decision, Key, Operation, ResourceId, Revision, StoreError, decide};

use crate::listen::CHANNEL;
use crate::read::revision_of;
use crate::store::{PATIENCE, connect_writer, failed, signed, timed_out};

pub(crate) struct Writer {
    options: PgConnectOptions,
    /// Out of its place while in use, so that whatever interrupts a commit also ends its transaction.
    connection: Option<PgConnection>,
    resources: BTreeMap<ResourceId, i32>,
    id: Uuid,
    is_closed: bool,
}

impl Writer {
    pub(crate) fn new(options: PgConnectOptions, id: Uuid) -> Writer {
        Writer { options, connection: None, resources: BTreeMap::new(), id, is_closed: false }
    }

    pub(crate) async fn close(&mut self) {
        self.is_closed = true;
        if let Some(connection) = self.connection.take() {
            // The server notices either way.
            let _ = connection.close().await;
        }
    }

    pub(crate) async fn commit(&mut self, batch: &Batch) -> Result<Committed, StoreError> {
        if self.is_closed {
            return Err(StoreError::Closed);
        }
        if let Some(connection) = self.connection.take() {
            match self.attempt(connection, batch).await {
                // The connection was probably stale, and nothing was written: a new one may do better.
                Err(Failure::NothingWritten(_)) => {}
                other => return other.map_err(Failure::into_error),
            }
        }
        let step = "connect to the database";
        let connecting = tokio::time::timeout(PATIENCE, connect_writer(&self.options));
        let connection = connecting.await.map_err(|_| timed_out(step))?.map_err(failed(step))?;
        self.attempt(connection, batch).await.map_err(Failure::into_error)
    }

    /// Keeps the connection only if all went well.
    async fn attempt(&mut self, mut connection: PgConnection, batch: &Batch) -> Result<Committed, Failure> {
        let preparing = tokio::time::timeout(PATIENCE, self.prepare(&mut connection, batch));
        let decision = match preparing.await {
            Ok(Ok(Prepared::Nothing(decision))) => decision,
            Ok(Ok(Prepared::Foreign(why))) => return Err(Failure::Foreign(why)),
            Ok(Ok(Prepared::Open(transaction, decision))) => {
                match tokio::time::timeout(PATIENCE, transaction.commit()).await {
                    Ok(Ok(())) => decision,
                    Ok(Err(error)) => return Err(Failure::Unknown(error.into())),
                    Err(elapsed) => return Err(Failure::Unknown(elapsed.into())),
                }
            }
            Ok(Err(error)) => return Err(Failure::NothingWritten(error)),
            Err(_) => return Err(Failure::TimedOut),
        };
        self.connection = Some(connection);
        Ok(decision.committed)
    }

    async fn prepare<'c>(
        &mut self,
        connection: &'c mut PgConnection,
        batch: &Batch,
    ) -> Result<Prepared<'c>, sqlx::Error> {
        for write in &batch.writes {
            if !self.resources.contains_key(&write.key.resource) {
                let id = register(connection, &write.key.resource).await?;
                self.resources.insert(write.key.resource.clone(), id);
            }
        }
        let mut transaction = connection.begin().await?;
        let row = sqlx::query("select revision, epoch, seal_check from store_meta where shard = 0 for update")
            .fetch_one(&mut *transaction)
            .await?;
        let base = revision_of(&row, "revision")?;
        if row.try_get::<Uuid, _>("epoch")? != batch.epoch {
            transaction.rollback().await?;
            return Ok(Prepared::Foreign(StoreError::NewHistory));
        }
        if !batch.knows(row.try_get::<Option<&[u8]>, _>("seal_check")?) {
            transaction.rollback().await?;
            return Ok(Prepared::Foreign(StoreError::NewKeys));
        }
        // A statement of its own: only what starts after the lock was granted sees what the last holder wrote.
        let current = self.current(&mut transaction, batch).await?;
        let decision = decide(base, batch, current);
        if decision.committed.revision == base {
            transaction.rollback().await?;
            return Ok(Prepared::Nothing(decision));
        }
        self.write(&mut transaction, batch, &decision).await?;
        Ok(Prepared::Open(transaction, decision))
    }

    /// What the keys of the batch hold.
    async fn current(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        batch: &Batch,
    ) -> Result<BTreeMap<Key, (Uuid, Revision)>, sqlx::Error> {
        if batch.writes.is_empty() {
            return Ok(BTreeMap::new());
        }
        let keys = || batch.writes.iter().map(|write| &write.key);
        let rows = sqlx::query(
            "
            select
                k.place,
                o.uid,
                o.rv
            from unnest($1::integer[], $2::text[], $3::text[]) with ordinality as k (res, ns, name, place)
            join objects o on o.res = k.res and o.ns = k.ns and o.name = k.name
            ",
        )
        .bind(keys().map(|key| self.resources[&key.resource]).collect::<Vec<_>>())
        .bind(keys().map(|key| key.namespace.as_str()).collect::<Vec<_>>())
        .bind(keys().map(|key| key.name.as_str()).collect::<Vec<_>>())
        .fetch_all(&mut **transaction)
        .await?;
        let mut current = BTreeMap::new();
        for row in rows {
            let place: i64 = row.try_get("place")?;
            let place = usize::try_from(place - 1).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let key = batch.writes[place].key.clone();
            current.insert(key, (row.try_get("uid")?, revision_of(&row, "rv")?));
        }
        Ok(current)
    }

    /// Log, objects, revision and notification in one round trip. Each body travels once.
    async fn write(
        &self,
        transaction: &mut Transaction<'_, Postgres>,
        batch: &Batch,
        decision: &Decision,
    ) -> Result<(), sqlx::Error> {
        let accepted = || decision.accepted();
        let key = |place: usize| &batch.writes[place].key;
        let revision = decision.committed.revision;
        sqlx::query(
            "
            with batch as materialized (
                select *
                from unnest(
                    $1::bigint[],
                    $2::integer[],
                    $3::text[],
                    $4::text[],
                    $5::uuid[],
                    $6::smallint[],
                    $7::bigint[],
                    $8::boolean[],
                    $9::bytea[]
                ) as b (rv, res, ns, name, uid, op, prev_rv, is_last, body)
            ),
            logged as (
                insert into changes (rv, res, ns, name, uid, op, prev_rv, batch, body)
                select rv, res, ns, name, uid, op, prev_rv, case when rv = $10 then $11 end, body
                from batch
            ),
            put as (
                insert into objects (res, ns, name, uid, rv, body)
                select res, ns, name, uid, rv, body
                from batch
                where is_last and op <> $12
                on conflict (res, ns, name) do update
                set uid = excluded.uid, rv = excluded.rv, body = excluded.body
            ),
            removed as (
                delete from objects o
                using batch b
                where b.is_last and b.op = $12 and o.res = b.res and o.ns = b.ns and o.name = b.name
            ),
            counted as (
                update store_meta
                set revision = $13
                where shard = 0
            )
            select pg_notify($14, $15)
            ",
        )
        .bind(accepted().map(|(_, write)| signed(write.revision)).collect::<Vec<_>>())
        .bind(accepted().map(|(place, _)| self.resources[&key(place).resource]).collect::<Vec<_>>())
        .bind(accepted().map(|(place, _)| key(place).namespace.as_str()).collect::<Vec<_>>())
        .bind(accepted().map(|(place, _)| key(place).name.as_str()).collect::<Vec<_>>())
        .bind(accepted().map(|(_, write)| write.uid).collect::<Vec<_>>())
        .bind(accepted().map(|(_, write)| write.operation.code()).collect::<Vec<_>>())
        .bind(accepted().map(|(_, write)| signed(write.previous)).collect::<Vec<_>>())
        .bind(accepted().map(|(place, _)| decision.last_of_key[place]).collect::<Vec<_>>())
        .bind(accepted().map(|(place, _)| batch.writes[place].change.body()).collect::<Vec<_>>())
        .bind(signed(decision.committed.base.next()))
        .bind(batch.id)
        .bind(Operation::Delete.code())
        .bind(signed(revision))
        .bind(CHANNEL)
        .bind(format!("{revision} {}", self.id))
        .execute(&mut **transaction)
        .await
        .map(drop)
    }
}

enum Prepared<'c> {
    /// No write was accepted.
    Nothing(Decision),
    /// The batch belongs to another history, or to keys of before.
    Foreign(StoreError),
    Open(Transaction<'c, Postgres>, Decision),
}

enum Failure {
    NothingWritten(sqlx::Error),
    Foreign(StoreError),
    TimedOut,
    Unknown(Box<dyn std::error::Error + Send + Sync>),
}

impl Failure {
    fn into_error(self) -> StoreError {
        match self {
            Failure::NothingWritten(error) => failed("commit")(error),
            Failure::Foreign(why) => why,
            Failure::TimedOut => timed_out("commit"),
            Failure::Unknown(source) => StoreError::OutcomeUnknown { source },
        }
    }
}

/// Finds or makes the number of a resource, in a transaction of its own: it stays if the batch fails.
pub(crate) async fn register(connection: &mut PgConnection, resource: &ResourceId) -> Result<i32, sqlx::Error> {
    sqlx::query("insert into resources (grp, plural) values ($1, $2) on conflict do nothing")
        .bind(&resource.group)
        .bind(&resource.plural)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("select id from resources where grp = $1 and plural = $2")
        .bind(&resource.group)
        .bind(&resource.plural)
        .fetch_one(connection)
        .await
}
