//! Notices that the store is older than what this host has seen: somebody put back a backup. Then machines and networks
//! that were made after the backup have no object any more, and removing them is not ours to decide.
//!
//! In the data directory, `high-water` says how far the store was. A store that went back is marked as restored, as one
//! is that a backup was restored into: what has no object is kept until somebody confirms.

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
    installation: Uuid,
}

impl HighWater {
    /// Compares the store with what was noted, and marks it if it was put back.
    ///
    /// # Errors
    /// The mark can't be made.
    pub(crate) async fn check(data_dir: &Path, storage: &Storage) -> anyhow::Result<Self> {
        let this = Self { note: data_dir.join("high-water"), installation: storage.installation() };
        let now = storage.revision();
        if let Some(seen) = this.seen().filter(|seen| *seen > now) {
            let text =
                format!("an older database was put back: it is at revision {now}, and this host has seen {seen}");
            storage.mark_restored(Some(&text)).await.context("mark the store as restored")?;
        }
        if let Some(why) = storage.restored() {
            tracing::warn!(
                why,
                "the store was restored: machines and networks without an object are kept until `cloudctl admin sweep \
                 confirm`"
            );
        }
        this.write_down(now);
        Ok(this)
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
        let first = HighWater::check(folder.path(), &storage).await.unwrap();
        assert_eq!(storage.restored(), None);
        first.write_down(Revision(7));

        HighWater::check(folder.path(), &storage).await.unwrap();
        assert!(storage.restored().unwrap().contains("this host has seen 7"));
        // The note has gone back with the store; the mark stays.
        HighWater::check(folder.path(), &storage).await.unwrap();
        assert!(storage.restored().is_some());
        storage.mark_restored(None).await.unwrap();
        HighWater::check(folder.path(), &storage).await.unwrap();
        assert_eq!(storage.restored(), None);
    }

    #[tokio::test]
    async fn another_store_is_no_restored_one() {
        let folder = tempfile::tempdir().unwrap();
        HighWater::check(folder.path(), &storage(1).await).await.unwrap().write_down(Revision(7));
        let other = storage(2).await;
        HighWater::check(folder.path(), &other).await.unwrap();
        assert_eq!(other.restored(), None);
        for spoilt in ["", "x", "x y\n"] {
            fs::write(folder.path().join("high-water"), spoilt).unwrap();
            HighWater::check(folder.path(), &other).await.unwrap();
            assert_eq!(other.restored(), None);
        }
    }
}
