//! Brings the schema of a store up to date, or says what is missing, for those who want it done before the upgrade.

use std::io::Write as _;

use anyhow::Context as _;
use apiserver_store::migration::Schema;
use apiserver_store_postgres::PostgresStore;
use apiserver_store_sqlite::SqliteStore;

use crate::args::{MigrateArgs, StateArgs, StoreChoice};

/// Does it, and tells what was done. With `--check` an outdated schema is an error.
///
/// # Errors
/// The store can't be reached, is newer than this program, or (`--check`) outdated.
pub(crate) async fn run(args: &MigrateArgs) -> anyhow::Result<()> {
    let schema = if args.check { look(&args.state).await? } else { apply(&args.state).await? };
    let mut out = std::io::stdout().lock();
    let done = if args.check { "missing" } else { "applied" };
    let Schema { found, known, missing } = schema;
    match found {
        0 => writeln!(out, "The store was empty; this cloudd makes schema version {known}.")?,
        _ => writeln!(out, "The store has schema version {found}; this cloudd needs version {known}.")?,
    }
    for migration in missing {
        writeln!(out, "{done} {}", migration.file())?;
    }
    if !args.check || missing.is_empty() {
        writeln!(out, "The schema is up to date.")?;
        return Ok(());
    }
    anyhow::bail!("the schema is outdated: `cloudd migrate` brings it up to date, and so does the next start of cloudd")
}

async fn look(args: &StateArgs) -> anyhow::Result<Schema> {
    match &args.store {
        StoreChoice::Sqlite => SqliteStore::schema(&args.database_path()).await.context("the database"),
        StoreChoice::Postgres(url) => PostgresStore::schema(url).await.context("the PostgreSQL database"),
        StoreChoice::Memory => anyhow::bail!("a store in memory has no schema"),
    }
}

async fn apply(args: &StateArgs) -> anyhow::Result<Schema> {
    match &args.store {
        StoreChoice::Sqlite => {
            let path = args.database_path();
            // A folder mistyped would be made, and its empty database be called up to date.
            anyhow::ensure!(path.exists(), "there is no database {}; name its folder with --data-dir", path.display());
            SqliteStore::migrate(&path).await.context("the database")
        }
        StoreChoice::Postgres(url) => PostgresStore::migrate(url).await.context("the PostgreSQL database"),
        StoreChoice::Memory => anyhow::bail!("a store in memory has no schema"),
    }
}
