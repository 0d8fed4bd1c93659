//! What is read from the database, and how rows become values.

use futures::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use apiserver_store::{Key, Meta, Operation, ResourceId, Revision, StoredChange, StoredObject};

use crate::store::signed;

pub(crate) async fn meta(connection: &mut PgConnection) -> Result<Meta, sqlx::Error> {
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
    .await?;
    Ok(Meta {
        revision: revision_of(&row, "revision")?,
        compacted: revision_of(&row, "compacted")?,
        epoch: row.try_get("epoch")?,
        installation: row.try_get("installation")?,
        seal_check: row.try_get("seal_check")?,
        restored: row.try_get("restored")?,
    })
}

/// Meta data and objects from one snapshot of the database.
pub(crate) async fn load(
    connection: &mut PgConnection,
    each: &mut (dyn FnMut(StoredObject) + Send),
) -> Result<Meta, sqlx::Error> {
    let mut transaction = connection.begin_with("begin isolation level repeatable read read only").await?;
    let meta = meta(&mut transaction).await?;
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
    while let Some(row) = rows.try_next().await? {
        each(StoredObject {
            key: key_of_row(&row)?,
            uid: row.try_get("uid")?,
            revision: revision_of(&row, "rv")?,
            body: row.try_get("body")?,
        });
    }
    drop(rows);
    transaction.rollback().await?;
    Ok(meta)
}

pub(crate) async fn changes(
    connection: &mut PgConnection,
    after: Revision,
    limit: usize,
) -> Result<Vec<StoredChange>, sqlx::Error> {
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
        where c.rv > $1
        order by c.rv
        limit $2
        ",
    )
    .bind(signed(after))
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(connection)
    .await?;
    rows.iter().map(change_of_row).collect()
}

fn change_of_row(row: &PgRow) -> Result<StoredChange, sqlx::Error> {
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

fn key_of_row(row: &PgRow) -> Result<Key, sqlx::Error> {
    Ok(Key {
        resource: ResourceId { group: row.try_get("grp")?, plural: row.try_get("plural")? },
        namespace: row.try_get("ns")?,
        name: row.try_get("name")?,
    })
}

pub(crate) fn revision_of(row: &PgRow, column: &'static str) -> Result<Revision, sqlx::Error> {
    let number: i64 = row.try_get(column)?;
    u64::try_from(number).map(Revision).map_err(|error| sqlx::Error::Decode(error.into()))
}
