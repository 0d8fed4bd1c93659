//! Decides with which keys a process serves: all of an installation have one certificate authority, one administrator's
//! token and one key that signs service accounts' tokens. The store holds them, sealed; the files in the `pki` folder are this process's copy.
//!
//! They are of the installation as it runs, not of its content: no backup has them, and a restore leaves them.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use apiserver_store::{Change, Entry, Expect, Key, ResourceId, Storage, WatchItem, Write, WriteError};
use serde_json::{Map, Value, json};

/// What all processes share. The authority's key goes before its certificate, which would be taken for spoilt alone.
const FILES: [&str; 4] = ["ca.key", "ca.crt", "admin-token.sha256", "service-account.key"];

/// Where the store holds them. No API serves this.
pub(crate) fn resource() -> ResourceId {
    ResourceId::new("internal.thecloud.dev", "keys")
}

fn key() -> Key {
    Key::new(resource(), "", "shared")
}

/// What the store said when it was adopted.
pub(crate) struct Adopted(Option<Arc<Entry>>);

impl Adopted {
    /// Whether the store said nothing: nobody has ever served it.
    pub(crate) fn is_nothing(&self) -> bool {
        self.0.is_none()
    }
}

/// Makes the files say what the store says. Nothing happens where it says nothing yet.
///
/// # Errors
/// A file can't be written.
pub(crate) fn adopt(storage: &Storage, pki: &Path) -> anyhow::Result<Adopted> {
    let Some(entry) = storage.get(&key()) else { return Ok(Adopted(None)) };
    let shared = contents(&entry);
    for name in FILES {
        if let Some(text) = shared.get(name).and_then(Value::as_str) {
            replace(&pki.join(name), text)?;
        }
    }
    Ok(Adopted(Some(entry)))
}

/// Makes the store say what the files say by now. `false` if somebody else was quicker since they were adopted: then
/// theirs are to be adopted.
///
/// # Errors
/// A file can't be read, or the store can't be written.
pub(crate) async fn publish(storage: &Storage, pki: &Path, adopted: &Adopted) -> anyhow::Result<bool> {
    let mut files = Map::new();
    for name in FILES {
        if let Some(text) = read(&pki.join(name))? {
            files.insert(name.to_owned(), text.into());
        }
    }
    if adopted.0.as_deref().is_some_and(|entry| contents(entry) == files) {
        return Ok(true);
    }
    let (expect, uid) = match &adopted.0 {
        Some(entry) => (Expect::Revision(entry.revision), entry.uid),
        None => (Expect::Absent, uuid::Uuid::new_v4()),
    };
    let body = json!({"metadata": {"name": key().name, "uid": uid}, "files": files}).to_string().into_bytes();
    match storage.write(Write { key: key(), expect, change: Change::Put { uid, body } }).await {
        Ok(_) => Ok(true),
        Err(WriteError::AlreadyExists | WriteError::Conflict { .. } | WriteError::NotFound) => {
            storage.fresh().await.context("read the keys that all apiservers share")?;
            Ok(false)
        }
        Err(error) => Err(error).context("keep the keys that all apiservers share"),
    }
}

/// Resolves when the store says something else than the files.
pub(crate) async fn changed(storage: &Storage, pki: &Path) {
    loop {
        let (snapshot, mut watch) = storage.snapshot_and_watch(&resource());
        let mut current = snapshot.entries.iter().next().cloned();
        loop {
            if current.as_deref().is_some_and(|entry| !is_adopted(&contents(entry), pki)) {
                return;
            }
            match watch.next().await {
                Some(WatchItem::Event(event)) => current = Some(event.entry.clone()),
                Some(WatchItem::Progress(_)) => {}
                // A storage that has ended is its owner's to notice.
                None => break,
            }
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}

fn is_adopted(shared: &Map<String, Value>, pki: &Path) -> bool {
    FILES.iter().all(|name| {
        let kept = read(&pki.join(name)).ok().flatten();
        shared.get(*name).and_then(Value::as_str).is_none_or(|text| kept.as_deref() == Some(text))
    })
}

fn contents(entry: &Entry) -> Map<String, Value> {
    entry.value()["files"].as_object().cloned().unwrap_or_default()
}

fn read(path: &Path) -> anyhow::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| path.display().to_string()),
    }
}

/// Writes a file for its owner alone, whole or not at all, unless it says that already.
fn replace(path: &Path, text: &str) -> anyhow::Result<()> {
    if read(path)?.as_deref() == Some(text) {
        return Ok(());
    }
    let write = || -> std::io::Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let fresh = path.with_extension("adopted");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(fresh, path)
    };
    write().with_context(|| path.display().to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use apiserver_store::StorageOptions;
    use apiserver_store::memory::MemoryStore;

    use super::*;

    async fn open(store: &MemoryStore) -> Storage {
        Storage::open(Arc::new(store.another()), StorageOptions::default()).await.unwrap()
    }

    fn folder(says: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in FILES {
            fs::write(folder.path().join(name), format!("{name} of {says}")).unwrap();
        }
        folder
    }

    fn says(folder: &tempfile::TempDir) -> String {
        fs::read_to_string(folder.path().join("ca.crt")).unwrap()
    }

    #[tokio::test]
    async fn whoever_is_first_decides_and_the_others_adopt() {
        let store = MemoryStore::shared(uuid::Uuid::nil(), Duration::from_millis(50));
        let (one, two) = (open(&store).await, open(&store).await);
        let (first, second) = (folder("one"), folder("two"));
        let (none, nothing) = (adopt(&one, first.path()).unwrap(), adopt(&two, second.path()).unwrap());
        assert!(publish(&one, first.path(), &none).await.unwrap());
        assert!(!publish(&two, second.path(), &nothing).await.unwrap(), "whether it has heard or not");
        let adopted = adopt(&two, second.path()).unwrap();
        assert_eq!(says(&second), "ca.crt of one");
        assert!(publish(&two, second.path(), &adopted).await.unwrap());
        assert_eq!(two.revision(), apiserver_store::Revision(1), "nothing is written twice");
    }

    #[tokio::test]
    async fn change_by_another_is_noticed() {
        let store = MemoryStore::shared(uuid::Uuid::nil(), Duration::from_millis(50));
        let (one, two) = (open(&store).await, open(&store).await);
        let (first, second) = (folder("one"), tempfile::tempdir().unwrap());
        let none = adopt(&one, first.path()).unwrap();
        assert!(publish(&one, first.path(), &none).await.unwrap());
        two.fresh().await.unwrap();
        adopt(&two, second.path()).unwrap();
        let waiting = changed(&two, second.path());
        let changing = async {
            let adopted = adopt(&one, first.path()).unwrap();
            fs::write(first.path().join("admin-token.sha256"), "a new one").unwrap();
            assert!(publish(&one, first.path(), &adopted).await.unwrap());
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = waiting => {}
            () = changing => {}
            () = tokio::time::sleep(Duration::from_secs(10)) => panic!("the change is not noticed"),
        }
    }
}
