//! Notices that the store is older than what this host has seen: somebody put back a backup. Then machines and networks
//! that were made after the backup have no object any more, and removing them is not ours to decide.
//!
//! In the data directory, `high-water` says how far the store was, and `restored` stands for as long as nobody has
//! confirmed: removing that file is the confirmation.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use apiserver_store::{Revision, Storage};
use uuid::Uuid;

/// How often the note follows the store. What is written after the last note is not noticed when it is lost.
const PAUSE: Duration = Duration::from_secs(5);

/// The notes about one store.
#[derive(Debug, Clone)]
pub(crate) struct HighWater {
    note: PathBuf,
    restored: PathBuf,
    installation: Uuid,
}

impl HighWater {
    /// Compares the store with what was noted, and leaves the mark if it was put back.
    ///
    /// # Errors
    /// The mark can't be written.
    pub(crate) fn check(data_dir: &Path, storage: &Storage) -> anyhow::Result<Self> {
        let this = Self {
            note: data_dir.join("high-water"),
            restored: data_dir.join("restored"),
            installation: storage.installation(),
        };
        let now = storage.revision();
        if let Some(seen) = this.seen().filter(|seen| *seen > now) {
            let text = format!(
                "The store is at revision {now}, but this host has seen revision {seen}: a backup was put back.\n\
                 Machines and networks of this installation that have no object are kept until this file is removed.\n"
            );
            write(&this.restored, &text).with_context(|| this.restored.display().to_string())?;
        }
        if this.is_restored() {
            tracing::warn!(
                mark = %this.restored.display(),
                "the store was restored from a backup: machines and networks without an object are kept; remove the \
                 file when they may go"
            );
        }
        this.write_down(now);
        Ok(this)
    }

    /// Whether a restore is still to be confirmed.
    pub(crate) fn is_restored(&self) -> bool {
        self.restored.exists()
    }

    /// Follows the store for ever.
    pub(crate) async fn follow(self, storage: Storage) {
        let mut noted = storage.revision();
        loop {
            tokio::time::sleep(PAUSE).await;
            let now = storage.revision();
            if now != noted {
                self.write_down(now);
                noted = now;
            }
        }
    }

    /// Notes how far the store is.
    pub(crate) fn write_down(&self, revision: Revision) {
        if let Err(error) = write(&self.note, &format!("{} {}\n", self.installation, revision.0)) {
            tracing::warn!(error = &error as &dyn std::error::Error, note = %self.note.display(), "no note was made");
        }
    }

    /// What was noted of this very installation.
    fn seen(&self) -> Option<Revision> {
        let text = fs::read_to_string(&self.note).ok()?;
        let (installation, revision) = text.trim_end().split_once(' ')?;
        (installation.parse() == Ok(self.installation)).then_some(())?;
        revision.parse().ok().map(Revision)
    }
}

/// Replaces a file, whole or not at all.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    let mut file = fs::File::create(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use apiserver_store::StorageOptions;
    use apiserver_store::memory::MemoryStore;

    use super::*;

    async fn storage(installation: u128) -> Storage {
        let store = Arc::new(MemoryStore::new(Uuid::from_u128(installation)));
        Storage::open(store, StorageOptions::default()).await.unwrap()
    }

    #[tokio::test]
    async fn a_store_that_went_back_is_held_until_somebody_confirms() {
        let folder = tempfile::tempdir().unwrap();
        let storage = storage(1).await;
        let first = HighWater::check(folder.path(), &storage).unwrap();
        assert!(!first.is_restored());
        first.write_down(Revision(7));

        assert!(HighWater::check(folder.path(), &storage).unwrap().is_restored());
        // The note has gone back with the store; the mark stays.
        let third = HighWater::check(folder.path(), &storage).unwrap();
        assert!(third.is_restored());
        fs::remove_file(folder.path().join("restored")).unwrap();
        assert!(!third.is_restored());
        assert!(!HighWater::check(folder.path(), &storage).unwrap().is_restored());
    }

    #[tokio::test]
    async fn another_store_is_no_restored_one() {
        let folder = tempfile::tempdir().unwrap();
        HighWater::check(folder.path(), &storage(1).await).unwrap().write_down(Revision(7));
        assert!(!HighWater::check(folder.path(), &storage(2).await).unwrap().is_restored());
        for spoilt in ["", "x", "x y\n"] {
            fs::write(folder.path().join("high-water"), spoilt).unwrap();
            assert!(!HighWater::check(folder.path(), &storage(2).await).unwrap().is_restored());
        }
    }
}
