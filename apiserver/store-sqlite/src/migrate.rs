//! Brings the schema of a SQLite file up to date. The statements are in `migrations/sqlite`.

use apiserver_store::StoreError;
use apiserver_store::migration::{Migration, Schema};
use sqlx::{Connection, SqliteConnection};

use crate::store::failed;

/// In order, one statement each, never edited once released.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "store_meta",
        statement: include_str!("../../../migrations/sqlite/0001_store_meta.sql"),
    },
    Migration {
        version: 2,
        name: "resources",
        statement: include_str!("../../../migrations/sqlite/0002_resources.sql"),
    },
    Migration { version: 3, name: "objects", statement: include_str!("../../../migrations/sqlite/0003_objects.sql") },
    Migration { version: 4, name: "changes", statement: include_str!("../../../migrations/sqlite/0004_changes.sql") },
    Migration { version: 5, name: "restored", statement: include_str!("../../../migrations/sqlite/0005_restored.sql") },
];

const TABLE: &str = "
    create table if not exists schema_migrations (
        version integer not null primary key,
        name text not null,
        applied_at integer not null default (unixepoch())
    ) strict
";

/// Applies what is missing, all of it or nothing; says what that was.
pub(crate) async fn migrate(connection: &mut SqliteConnection) -> Result<Schema, StoreError> {
    let failed = failed("migrate the schema");
    let mut transaction = connection.begin_with("begin immediate").await.map_err(&failed)?;
    sqlx::raw_sql(TABLE).execute(&mut *transaction).await.map_err(&failed)?;
    let schema = Schema::compare(MIGRATIONS, applied(&mut transaction).await.map_err(&failed)?)?;
    for migration in schema.missing {
        sqlx::raw_sql(migration.statement).execute(&mut *transaction).await.map_err(&failed)?;
        sqlx::query("insert into schema_migrations (version, name) values (?1, ?2)")
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
pub(crate) async fn look(connection: &mut SqliteConnection) -> Result<Schema, StoreError> {
    let failed = failed("read the schema");
    let tables: i64 = sqlx::query_scalar("select count(*) from sqlite_schema where name = 'schema_migrations'")
        .fetch_one(&mut *connection)
        .await
        .map_err(&failed)?;
    let applied = if tables == 0 { Vec::new() } else { applied(connection).await.map_err(&failed)? };
    Schema::compare(MIGRATIONS, applied)
}

async fn applied(connection: &mut SqliteConnection) -> Result<Vec<(i64, String)>, sqlx::Error> {
    sqlx::query_as("select version, name from schema_migrations").fetch_all(connection).await
}
