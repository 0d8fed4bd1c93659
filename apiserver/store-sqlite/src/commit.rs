//! Commits a batch as one transaction.

use std::collections::BTreeMap;

use sqlx::{Connection, Row, Sqlite, SqliteConnection, Transaction};
use uuid::Uuid;

use apiserver_store::{Accepted, Batch, Change, Committed, Key, ResourceId, Revision, StoreError, Write, decide};

use crate::store::{Open, failed, is_full, revision_of, signed};

pub(crate) async fn commit(open: &mut Open, batch: &Batch) -> Result<Committed, StoreError> {
    let failed = failed("commit");
    for write in &batch.writes {
        if !open.resources.contains_key(&write.key.resource) {
            let id = register(&mut open.connection, &write.key.resource).await.map_err(&failed)?;
            open.resources.insert(write.key.resource.clone(), id);
        }
    }
    let mut transaction = open.connection.begin_with("begin immediate").await.map_err(&failed)?;
    let row = sqlx::query("select revision, epoch, seal_check from store_meta where shard = 0")
        .fetch_one(&mut *transaction)
        .await
        .map_err(&failed)?;
    let base = revision_of(&row, "revision").map_err(&failed)?;
    if row.try_get::<Uuid, _>("epoch").map_err(&failed)? != batch.epoch {
        return Err(StoreError::NewHistory);
    }
    if !batch.knows(row.try_get::<Option<&[u8]>, _>("seal_check").map_err(&failed)?) {
        return Err(StoreError::NewKeys);
    }
    let current = current(&mut transaction, batch, &open.resources).await.map_err(&failed)?;
    let decision = decide(base, batch, current);
    if decision.committed.revision == base {
        // Nothing is accepted, so there is nothing to make durable.
        transaction.rollback().await.map_err(&failed)?;
        return Ok(decision.committed);
    }
    let mut id = Some(batch.id);
    for (place, accepted) in decision.accepted() {
        let write = &batch.writes[place];
        let resource = open.resources[&write.key.resource];
        log(&mut transaction, write, resource, accepted, id.take()).await.map_err(&failed)?;
        if decision.last_of_key[place] {
            store(&mut transaction, write, resource, accepted).await.map_err(&failed)?;
        }
    }
    sqlx::query("update store_meta set revision = ?1 where shard = 0")
        .bind(signed(decision.committed.revision))
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
    transaction.commit().await.map_err(|error| match is_full(&error) {
        true => failed(error),
        false => StoreError::OutcomeUnknown { source: error.into() },
    })?;
    Ok(decision.committed)
}

/// Finds or makes the number of a resource, in a transaction of its own: it stays if the batch fails.
pub(crate) async fn register(connection: &mut SqliteConnection, resource: &ResourceId) -> Result<i64, sqlx::Error> {
    sqlx::query("insert into resources (grp, plural) values (?1, ?2) on conflict do nothing")
        .bind(&resource.group)
        .bind(&resource.plural)
        .execute(&mut *connection)
        .await?;
    sqlx::query_scalar("select id from resources where grp = ?1 and plural = ?2")
        .bind(&resource.group)
        .bind(&resource.plural)
        .fetch_one(connection)
        .await
}

/// What the keys of the batch hold.
async fn current(
    transaction: &mut Transaction<'_, Sqlite>,
    batch: &Batch,
    resources: &BTreeMap<ResourceId, i64>,
) -> Result<BTreeMap<Key, (Uuid, Revision)>, sqlx::Error> {
    let mut current = BTreeMap::new();
    for write in &batch.writes {
        let row = sqlx::query("select uid, rv from objects where res = ?1 and ns = ?2 and name = ?3")
            .bind(resources[&write.key.resource])
            .bind(&write.key.namespace)
            .bind(&write.key.name)
            .fetch_optional(&mut **transaction)
            .await?;
        if let Some(row) = row {
            current.insert(write.key.clone(), (row.try_get("uid")?, revision_of(&row, "rv")?));
        }
    }
    Ok(current)
}

async fn log(
    transaction: &mut Transaction<'_, Sqlite>,
    write: &Write,
    resource: i64,
    accepted: &Accepted,
    batch: Option<Uuid>,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "
        insert into changes (rv, res, ns, name, uid, op, prev_rv, batch, body)
        values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
        ",
    )
    .bind(signed(accepted.revision))
    .bind(resource)
    .bind(&write.key.namespace)
    .bind(&write.key.name)
    .bind(accepted.uid)
    .bind(accepted.operation.code())
    .bind(signed(accepted.previous))
    .bind(batch)
    .bind(write.change.body())
    .execute(&mut **transaction)
    .await
    .map(drop)
}

async fn store(
    transaction: &mut Transaction<'_, Sqlite>,
    write: &Write,
    resource: i64,
    accepted: &Accepted,
) -> Result<(), sqlx::Error> {
    let query = match &write.change {
        Change::Put { uid, body } => sqlx::query(
            "
            insert into objects (res, ns, name, uid, rv, body)
            values (?1, ?2, ?3, ?4, ?5, ?6)
            on conflict (res, ns, name) do update
            set uid = excluded.uid, rv = excluded.rv, body = excluded.body
            ",
        )
        .bind(resource)
        .bind(&write.key.namespace)
        .bind(&write.key.name)
        .bind(uid)
        .bind(signed(accepted.revision))
        .bind(body.as_slice()),
        Change::Delete { .. } => sqlx::query("delete from objects where res = ?1 and ns = ?2 and name = ?3")
            .bind(resource)
            .bind(&write.key.namespace)
            .bind(&write.key.name),
    };
    query.execute(&mut **transaction).await.map(drop)
}
