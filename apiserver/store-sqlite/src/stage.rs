//! Gathers the content of a restore in a temporary table, and swaps it in within one transaction.
//!
//! SQLite keeps such a table in a file of its own, without a name, so that the database is as it was until the swap and
//! a process that is killed leaves nothing. Others have their turn between two portions; only the swap holds them up.

use std::sync::Arc;

use apiserver_store::{Meta, Replacement, Staging, StoreError, StoredObject};
use async_trait::async_trait;
use sqlx::{Connection, SqliteConnection};
use tokio::sync::Mutex;

use crate::commit::register;
use crate::store::{Open, failed, read_meta, signed};

pub(crate) struct Staged {
    open: Arc<Mutex<Option<Open>>>,
}

impl Staged {
    pub(crate) async fn begin(open: Arc<Mutex<Option<Open>>>) -> Result<Staged, StoreError> {
        let mut guard = open.lock().await;
        let connection = &mut guard.as_mut().ok_or(StoreError::Closed)?.connection;
        clear(connection).await.map_err(failed("begin a restore"))?;
        sqlx::raw_sql(
            "
            create temporary table gathered (
                res integer not null,
                ns text not null,
                name text not null,
                uid blob not null,
                rv integer not null,
                body blob not null
            ) strict
            ",
        )
        .execute(connection)
        .await
        .map_err(failed("begin a restore"))?;
        drop(guard);
        Ok(Staged { open })
    }
}

/// Drops what an earlier restore gathered, which may have been cut off.
async fn clear(connection: &mut SqliteConnection) -> Result<(), sqlx::Error> {
    sqlx::raw_sql("drop table if exists temp.gathered").execute(connection).await.map(drop)
}

async fn gather(open: &mut Open, objects: Vec<StoredObject>) -> Result<(), sqlx::Error> {
    for object in &objects {
        if !open.resources.contains_key(&object.key.resource) {
            let number = register(&mut open.connection, &object.key.resource).await?;
            open.resources.insert(object.key.resource.clone(), number);
        }
    }
    let mut transaction = open.connection.begin().await?;
    for object in objects {
        sqlx::query(
            "
            insert into temp.gathered (res, ns, name, uid, rv, body)
            values (?1, ?2, ?3, ?4, ?5, ?6)
            ",
        )
        .bind(open.resources[&object.key.resource])
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

#[async_trait]
impl Staging for Staged {
    async fn put(&mut self, objects: Vec<StoredObject>) -> Result<(), StoreError> {
        let mut guard = self.open.lock().await;
        let open = guard.as_mut().ok_or(StoreError::Closed)?;
        gather(open, objects).await.map_err(failed("gather the objects of a restore"))
    }

    async fn commit(self: Box<Self>, replacement: &Replacement) -> Result<Meta, StoreError> {
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
        sqlx::query(
            "
            insert into objects (res, ns, name, uid, rv, body)
            select res, ns, name, uid, rv + ?1, body
            from temp.gathered
            order by res, ns, name
            ",
        )
        .bind(i64::try_from(replacement.offset(present.revision)).unwrap_or(i64::MAX))
        .execute(&mut *transaction)
        .await
        .map_err(&failed)?;
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
        // It is only in the way by now; the next restore drops it too.
        let _ = clear(&mut open.connection).await;
        Ok(meta)
    }
}
