//! Opens what cloudd remembers: the data directory, the sealing key, the database. Decides where each lies.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use apiserver_store::memory::MemoryStore;
use apiserver_store::seal::load_or_create_key;
use apiserver_store::{ResourceId, Sealer, Storage, StorageOptions, Store};
use apiserver_store_postgres::PostgresStore;
use apiserver_store_sqlite::SqliteStore;

use crate::args::StoreChoice;

/// Opens the storage, making on first use whatever is missing.
///
/// # Errors
/// A file can't be made or read, another process has the database, or the key doesn't open it.
pub(crate) async fn open(data_dir: &Path, choice: &StoreChoice) -> anyhow::Result<Storage> {
    make_private(data_dir)?;
    let key = load_or_create_key(&data_dir.join("secret.key"))
        .context("the sealing key, without which no Secret can be read")?;
    let store: Arc<dyn Store> = match choice {
        StoreChoice::Sqlite => {
            let path = data_dir.join("cloud.db");
            Arc::new(SqliteStore::open(&path).await.with_context(|| format!("the database {}", path.display()))?)
        }
        StoreChoice::Memory => Arc::new(MemoryStore::new(uuid::Uuid::new_v4())),
        // The URL may hold a password, so no message shows it.
        StoreChoice::Postgres(url) => {
            Arc::new(PostgresStore::connect(url).await.context("the PostgreSQL database that --store names")?)
        }
    };
    let secrets = ResourceId { group: String::new(), plural: "secrets".to_owned() };
    let options =
        StorageOptions { sealer: Some(Sealer::new(&key)), sealed: vec![secrets], ..StorageOptions::default() };
    let storage = Storage::open(store, options).await.context("the stored state")?;
    // For scripts and people; nothing reads it to decide anything.
    let note = data_dir.join("installation");
    fs::write(&note, format!("{}\n", storage.installation())).with_context(|| note.display().to_string())?;
    Ok(storage)
}

/// Where certificates and token hashes are kept.
pub(crate) fn pki_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("pki")
}

fn make_private(folder: &Path) -> anyhow::Result<()> {
    if !folder.is_dir() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .with_context(|| format!("make the data directory {}", folder.display()))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
        .with_context(|| format!("make {} private", folder.display()))
}
