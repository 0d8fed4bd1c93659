//! Brings the schema of a Postgres database up to date. The statements are in `migrations/postgres`.

use apiserver_store::StoreError;
use apiserver_store::migration::{Migration, missing};
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
];

/// Keeps processes that start at the same time from migrating at the same time. Any number would do.
const LOCK: i64 = 0x7468_6563_6c6f_7564;

const TABLE: &str = "
    create table if not exists schema_migrations (
        version bigint not null primary key,
        name text not null,
        applied_at timestamptz not null default now()
    )
";

/// Applies what is missing, all of it or nothing.
pub(crate) async fn migrate(connection: &mut PgConnection) -> Result<(), StoreError> {
    let failed = failed("migrate the schema");
    let mut transaction = connection.begin().await.map_err(&failed)?;
    sqlx::query("select pg_advisory_xact_lock($1)").bind(LOCK).execute(&mut *transaction).await.map_err(&failed)?;
    sqlx::raw_sql(TABLE).execute(&mut *transaction).await.map_err(&failed)?;
    let applied: Vec<i64> = sqlx::query_scalar("select version from schema_migrations order by version")
        .fetch_all(&mut *transaction)
        .await
        .map_err(&failed)?;
    for migration in missing(MIGRATIONS, &applied)? {
        sqlx::raw_sql(migration.statement).execute(&mut *transaction).await.map_err(&failed)?;
        sqlx::query("insert into schema_migrations (version, name) values ($1, $2)")
            .bind(migration.version)
            .bind(migration.name)
            .execute(&mut *transaction)
            .await
            .map_err(&failed)?;
        tracing::info!(version = migration.version, migration = migration.name, "schema migrated");
    }
    transaction.commit().await.map_err(&failed)
}
