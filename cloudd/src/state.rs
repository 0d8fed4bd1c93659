//! Opens what cloudd remembers: the data directory, the sealing key, the database. Decides where each lies.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use apiserver_store::memory::MemoryStore;
use apiserver_store::{ResourceId, Sealer, Storage, StorageOptions, Store};
use apiserver_store_postgres::PostgresStore;
use apiserver_store_sqlite::SqliteStore;

use crate::args::{StateArgs, StoreChoice};
use crate::{keys, master_key};

/// Opens the storage, making on first use whatever is missing.
///
/// # Errors
/// A file can't be made or read, another process has the database, or the key doesn't open it.
pub(crate) async fn open(args: &StateArgs) -> anyhow::Result<Storage> {
    make_private(&args.data_dir)?;
    let store: Arc<dyn Store> = match &args.store {
        StoreChoice::Sqlite => {
            let path = args.database_path();
            Arc::new(SqliteStore::open(&path).await.with_context(|| format!("the database {}", path.display()))?)
        }
        StoreChoice::Memory => Arc::new(MemoryStore::new(uuid::Uuid::new_v4())),
        // The URL may hold a password, so no message shows it.
        StoreChoice::Postgres(url) => {
            Arc::new(PostgresStore::connect(url).await.context("the PostgreSQL database that --store names")?)
        }
    };
    let is_sealed = store.meta().await.context("the stored state")?.seal_check.is_some();
    let master_keys = master_key::load(args, is_sealed).await?;
    // Who comes in, and who did what, is a matter of this installation: a restore brings back neither keys nor passwords.
    let data_keys = ResourceId::new("internal.thecloud.dev", "datakeys");
    let own = [keys::resource(), apiserver::audit_anchors(), apiserver::key_questions(), data_keys.clone()];
    let private: Vec<ResourceId> = own.into_iter().chain(apiserver::private_resources()).collect();
    let options = StorageOptions {
        sealer: Sealer::of_all(&master_keys),
        sealed: args
            .sealed_kinds()
            .into_iter()
            .chain([apiserver::secret_versions()])
            .chain(private.iter().cloned())
            .collect(),
        private,
        data_keys: Some(data_keys),
        ..StorageOptions::default()
    };
    let storage = Storage::open(store, options).await.context("the stored state")?;
    storage.reseal().await.context("seal the stored state with the keys of today")?;
    // For scripts and people; nothing reads it to decide anything.
    let note = args.data_dir.join("installation");
    fs::write(&note, format!("{}\n", storage.installation())).with_context(|| note.display().to_string())?;
    Ok(storage)
}

/// Where certificates and token hashes are kept.
pub(crate) fn pki_dir(data_dir: &Path) -> PathBuf {
    data_dir.join("pki")
}

/// What is in a data directory of ours from the first start on.
const MARKS: [&str; 2] = ["secret.key", "installation"];

/// Makes the directory if it is missing, and lets only its owner in. A directory full of something else is refused: its
/// mode is not ours to change.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    let named = || format!("the data directory {}", folder.display());
    if !folder.is_dir() {
        return DirBuilder::new().recursive(true).mode(0o700).create(folder).with_context(named);
    }
    let is_ours = MARKS.iter().any(|mark| folder.join(mark).exists());
    let is_empty = fs::read_dir(folder).with_context(named)?.next().is_none();
    anyhow::ensure!(
        is_ours || is_empty,
        "the directory {} holds something else; name an empty one, or one that doesn't exist, with --data-dir",
        folder.display()
    );
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).with_context(named)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn mode(folder: &Path) -> u32 {
        fs::metadata(folder).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_directory_full_of_something_else_is_refused_and_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(folder.path().join("thesis.txt"), "mine").unwrap();
        assert!(make_private(folder.path()).is_err());
        assert_eq!(mode(folder.path()), 0o755);
    }

    pub(crate) fn args(data_dir: &Path) -> StateArgs {
        StateArgs {
            data_dir: data_dir.to_owned(),
            store: StoreChoice::Sqlite,
            key_file: None,
            key_command: None,
            seal: Vec::new(),
            log_format: crate::args::LogFormat::Text,
        }
    }

    #[tokio::test]
    async fn a_new_directory_is_private_and_the_second_start_finds_the_same_installation() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let first = open(&args(&data)).await.unwrap();
        let installation = first.installation();
        first.shutdown().await;
        drop(first);
        assert_eq!(mode(&data), 0o700);
        assert_eq!(fs::read_to_string(data.join("installation")).unwrap().trim(), installation.to_string());
        let second = open(&args(&data)).await.unwrap();
        assert_eq!(second.installation(), installation);
    }

    #[tokio::test]
    async fn a_sealed_store_without_its_key_is_refused_and_no_other_key_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        open(&args(&data)).await.unwrap().shutdown().await;
        let (key, elsewhere) = (data.join("secret.key"), folder.path().join("elsewhere"));
        fs::rename(&key, &elsewhere).unwrap();
        let error = open(&args(&data)).await.unwrap_err().to_string();
        assert!(error.contains("--key-file") && !key.exists(), "{error}");
        open(&StateArgs { key_file: Some(elsewhere), ..args(&data) }).await.unwrap().shutdown().await;
    }
}
