//! Gathers the content of a restore in a private file, and swaps it in within one transaction.
//!
//! The file is SQLite's own: without a name, gone with its connection, so that a restore that was cut off leaves
//! nothing. The database itself is held up only by the swap.

use std::sync::Arc;

use apiserver_store::{Meta, Replacement, Staging, StoreError, StoredObject};
use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use tokio::sync::Mutex;

use crate::commit::register;
use crate::store::{Open, failed, object_of_row, read_meta, signed};

pub(crate) struct Staged {
    open: Arc<Mutex<Option<Open>>>,
    gathered: SqliteConnection,
}

impl Staged {
    pub(crate) async fn begin(open: Arc<Mutex<Option<Open>>>) -> Result<Staged, sqlx::Error> {
        let mut gathered = SqliteConnectOptions::new().filename("").disable_statement_logging().connect().await?;
        sqlx::raw_sql(
            "
            create table gathered (
                grp text not null,
                plural text not null,
                ns text not null,
                name text not null,
                uid blob not null,
                rv integer not null,
                body blob not null
            ) strict
            ",
        )
        .execute(&mut gathered)
        .await?;
        Ok(Staged { open, gathered })
    }

    async fn gather(&mut self, objects: Vec<StoredObject>) -> Result<(), sqlx::Error> {
        let mut transaction = self.gathered.begin().await?;
        for object in objects {
            sqlx::query(
                "
                insert into gathered (grp, plural, ns, name, uid, rv, body)
                values (?1, ?2, ?3, ?4, ?5, ?6, ?7)
                ",
            )
            .bind(object.key.resource.group)
            .bind(object.key.resource.plural)
            .bind(object.key.namespace)
            .bind(object.key.name)
            .bind(object.uid)
            .bind(signed(object.revision))
            .bind(object.body)
            .execute(&mut *transaction)
            .await?;
        }
        transaction.commit().await
    }
}

#[async_trait]
impl Staging for Staged {
    async fn put(&mut self, objects: Vec<StoredObject>) -> Result<(), StoreError> {
        self.gather(objects).await.map_err(failed("gather the objects of a restore"))
    }

    async fn commit(mut self: Box<Self>, replacement: &Replacement) -> Result<Meta, StoreError> {
        let failed = failed("put the restored objects in place");
        let mut guard = self.open.lock().await;
        let open = guard.as_mut().ok_or(StoreError::Closed)?;
        let mut transaction = open.connection.begin_with("begin immediate").await.map_err(&failed)?;
        let present = read_meta(&mut transaction).await?;
        if present.epoch != replacement.replaces {
            return Err(StoreError::NewHistory);
        }
        for statement in ["delete from objects", "delete from changes"] {
            sqlx::query(statement).execute(&mut *transaction).await.map_err(&failed)?;
        }
        let offset = i64::try_from(replacement.offset(present.revision)).unwrap_or(i64::MAX);
        let mut rows = sqlx::query("select grp, plural, ns, name, uid, rv, body from gathered order by grp, plural")
            .fetch(&mut self.gathered);
        let mut resource = None;
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let object = object_of_row(&row).map_err(&failed)?;
            let number = match resource.take() {
                Some((known, number)) if known == object.key.resource => number,
                _ => register(&mut transaction, &object.key.resource).await.map_err(&failed)?,
            };
            sqlx::query("insert into objects (res, ns, name, uid, rv, body) values (?1, ?2, ?3, ?4, ?5 + ?6, ?7)")
                .bind(number)
                .bind(object.key.namespace)
                .bind(object.key.name)
                .bind(object.uid)
                .bind(signed(object.revision))
                .bind(offset)
                .bind(object.body)
                .execute(&mut *transaction)
                .await
                .map_err(&failed)?;
            resource = Some((object.key.resource, number));
        }
        drop(rows);
        let meta = replacement.meta(present.revision);
        sqlx::query(
            "
            update store_meta
            set revision = ?1, compacted = ?1, epoch = ?2, installation = ?3, seal_check = ?4, restored = ?5
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
        transaction.commit().await.map_err(|error| StoreError::OutcomeUnknown { source: error.into() })?;
        Ok(meta)
    }
}
