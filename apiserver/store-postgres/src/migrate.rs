//! Brings the schema of a Postgres database up to date. The statements are in `migrations/postgres`.

use apiserver_store::StoreError;
use apiserver_store::migration::{Migration, Schema};
use sqlx::{Connection, PgConnection};

use crate::store::failed;

/// In order, one statement each, never edited once released.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "store_meta",
        statement: include_str!("../../../migrations/postgres/0001_store_meta.sql"),
    },
    Migration {
        version: 2,
        name: "resources",
        statement: include_str!("../../../migrations/postgres/0002_resources.sql"),
    },
    Migration { version: 3, name: "objects", statement: include_str!("../../../migrations/postgres/0003_objects.sql") },
    Migration { version: 4, name: "changes", statement: include_str!("../../../migrations/postgres/0004_changes.sql") },
    Migration {
        version: 5,
        name: "restored",
        statement: include_str!("../../../migrations/postgres/0005_restored.sql"),
    },
];

/// Keeps processes that start at the same time from migrating at the same time. Any number would do.
const LOCK: i64 = 0x7468_6563_6c6f_7564;

const TABLE: &str = "
    create table schema_migrations (
        version bigint not null primary key,
        name text not null,
        applied_at timestamptz not null default now()
    )
";

/// Applies what is missing, all of it or nothing; says what that was.
pub(crate) async fn migrate(connection: &mut PgConnection) -> Result<Schema, StoreError> {
    let failed = failed("migrate the schema");
    let mut transaction = connection.begin().await.map_err(&failed)?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await.map_err(&failed)?;
    let schema = look(&mut transaction).await?;
    if schema.found == 0 && !has_table(&mut transaction).await.map_err(&failed)? {
        sqlx::raw_sql(TABLE).execute(&mut *transaction).await.map_err(&failed)?;
    }
    for migration in schema.missing {
        sqlx::raw_sql(migration.statement).execute(&mut *transaction).await.map_err(&failed)?;
        sqlx::query("insert into schema_migrations (version, name) values ($1, $2)")
            .bind(migration.version)
            .bind(migration.name)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        tracing::info!(version = migration.version, migration = migration.name, "schema migrated");
    }
    transaction.commit().await.map_err(&failed)?;
    Ok(schema)
}

/// How the schema stands. Changes nothing.
pub(crate) async fn look(connection: &mut PgConnection) -> Result<Schema, StoreError> {
    let failed = failed("read the schema");
    let is_there = has_table(connection).await.map_err(&failed)?;
    let applied = if is_there { applied(connection).await.map_err(&failed)? } else { Vec::new() };
    Schema::compare(MIGRATIONS, applied)
}

async fn has_table(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("select to_regclass('schema_migrations') is not null").fetch_one(connection).await
}

async fn applied(connection: &mut PgConnection) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as("select version, name from schema_migrations").fetch_all(connection).await
}
