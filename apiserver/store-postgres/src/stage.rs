//! Gathers the content of a restore in a temporary table, and swaps it in within one transaction.
//!
//! The table goes with its connection, so that a restore that was cut off leaves nothing. Writers wait only for the
//! swap.

use std::collections::BTreeMap;

use apiserver_store::{Meta, Replacement, Staging, StoreError, StoredObject};
use async_trait::async_trait;
use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::commit::register;
use crate::listen::CHANNEL;
use crate::read;
use crate::store::{connect_writer, failed, signed};

pub(crate) struct Staged {
    connection: PgConnection,
    id: Uuid,
}

impl Staged {
    pub(crate) async fn begin(options: &PgConnectOptions, id: Uuid) -> Result<Staged, sqlx::Error> {
        let mut connection = connect_writer(options).await?;
        sqlx::raw_sql(
            "
            create temporary table gathered (
                res integer not null,
                ns text not null,
                name text not null,
                uid uuid not null,
                rv bigint not null,
                body bytea not null
            )
            ",
        )
        .execute(&mut connection)
        .await?;
        Ok(Staged { connection, id })
    }

    async fn gather(&mut self, objects: &[StoredObject]) -> Result<(), sqlx::Error> {
        let mut numbers = BTreeMap::new();
        for object in objects {
            if !numbers.contains_key(&object.key.resource) {
                let number = register(&mut self.connection, &object.key.resource).await?;
                numbers.insert(&object.key.resource, number);
            }
        }
        sqlx::query(
            "
            insert into gathered (res, ns, name, uid, rv, body)
            select *
            from unnest($1::integer[], $2::text[], $3::text[], $4::uuid[], $5::bigint[], $6::bytea[])
            ",
        )
        .bind(objects.iter().map(|object| numbers[&object.key.resource]).collect::<Vec<_>>())
        .bind(objects.iter().map(|object| object.key.namespace.as_str()).collect::<Vec<_>>())
        .bind(objects.iter().map(|object| object.key.name.as_str()).collect::<Vec<_>>())
        .bind(objects.iter().map(|object| object.uid).collect::<Vec<_>>())
        .bind(objects.iter().map(|object| signed(object.revision)).collect::<Vec<_>>())
        .bind(objects.iter().map(|object| object.body.as_slice()).collect::<Vec<_>>())
        .execute(&mut self.connection)
        .await
        .map(drop)
    }
}

#[async_trait]
impl Staging for Staged {
    async fn put(&mut self, objects: Vec<StoredObject>) -> Result<(), StoreError> {
        self.gather(&objects).await.map_err(failed("gather the objects of a restore"))
    }

    async fn commit(mut self: Box<Self>, replacement: &Replacement) -> Result<Meta, StoreError> {
        let failed = failed("put the restored objects in place");
        let mut transaction = self.connection.begin().await.map_err(&failed)?;
        sqlx::query("select from store_meta where shard = 0 for update")
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        // A statement of its own: only what starts after the lock was granted sees what the last holder wrote.
        let present = read::meta(&mut transaction).await.map_err(&failed)?;
        if present.epoch != replacement.replaces {
            return Err(StoreError::NewHistory);
        }
        for statement in ["delete from objects", "delete from changes"] {
            sqlx::query(statement).execute(&mut *transaction).await.map_err(&failed)?;
        }
        let offset = i64::try_from(replacement.offset(present.revision)).unwrap_or(i64::MAX);
        sqlx::query(
            "
            insert into objects (res, ns, name, uid, rv, body)
            select res, ns, name, uid, rv + $1, body
            from gathered
            ",
        )
        .bind(offset)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        let meta = replacement.meta(present.revision);
        sqlx::query(
            "
            update store_meta
            set revision = $1, compacted = $1, epoch = $2, installation = $3, seal_check = $4, restored = $5
            where shard = 0
            ",
        )
        .bind(signed(meta.revision))
        .bind(meta.epoch)
        .bind(meta.installation)
        .bind(&meta.seal_check)
        .bind(&meta.restored)
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
        sqlx::query("select pg_notify($1, $2)")
            .bind(CHANNEL)
            .bind(format!("restored {}", self.id))
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        transaction.commit().await.map_err(|error| StoreError::OutcomeUnknown { source: error.into() })?;
        Ok(meta)
    }
}
