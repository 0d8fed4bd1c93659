//! The file that holds the sealing keys, one a line, the newest last: made on first use, private to its owner, never replaced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use uuid::Uuid;

use super::{SealError, SealKey};

const PREFIX: &str = "the-cloud-seal-key-v1:";

/// Reads the keys in `path`, the newest last, or makes a new one there (mode 0600) if there is no such file.
///
/// Two processes that start at the same time get the same key. A file that others can read is refused.
pub fn load_or_create_keys(path: &Path) -> Result<Vec<SealKey>, SealError> {
    match read(path) {
        Err(SealError::KeyFile { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            create(path)?;
            read(path)
        }
        other => other,
    }
}

fn read(path: &Path) -> Result<Vec<SealKey>, SealError> {
    let malformed = |reason| SealError::KeyFileMalformed { path: path.to_owned(), reason };
    let failed = failed_to("read", path);
    let file = File::open(path).map_err(&failed)?;
    let mode = file.metadata().map_err(&failed)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SealError::KeyFileExposed { path: path.to_owned(), mode });
    }
    let text = io::read_to_string(file).map_err(&failed)?;
    parse_all(&text).map_err(malformed)
}

/// The keys in the text of a key file.
pub(super) fn parse_all(text: &str) -> Result<Vec<SealKey>, &'static str> {
    let keys: Vec<SealKey> = text.split_whitespace().map(parse).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err("it is empty") } else { Ok(keys) }
}

/// The key in a line of a key file.
pub(super) fn parse(text: &str) -> Result<SealKey, &'static str> {
    let encoded = text.trim_end().strip_prefix(PREFIX).ok_or("unknown format")?;
    let bytes = STANDARD.decode(encoded).map_err(|_| "not base64")?;
    let bytes = bytes.try_into().map_err(|_| "not 32 bytes long")?;
    Ok(SealKey::from_bytes(bytes))
}

/// The text for a key, in one line.
pub(super) fn text(key: &SealKey) -> String {
    format!("{PREFIX}{}", STANDARD.encode(key.bytes))
}

/// Writes a complete file under another name and then links it, so that `path` is never there half-written and a key
/// made by somebody else meanwhile stays.
fn create(path: &Path) -> Result<(), SealError> {
    let failed = failed_to("create", path);
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let draft = folder.join(format!(".{}.draft", Uuid::new_v4()));
    let text = format!("{}\n", text(&SealKey::generate()));
    let written = write_private(&draft, text.as_bytes()).and_then(|()| match fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    });
    let removed = fs::remove_file(&draft);
    written.and(removed).map_err(&failed)?;
    File::open(&folder).and_then(|folder| folder.sync_all()).map_err(&failed)
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

fn failed_to(step: &'static str, path: &Path) -> impl Fn(io::Error) -> SealError {
    let path = path.to_owned();
    move |source| SealError::KeyFile { step, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn key_is_made_once_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let first = load_or_create_keys(&path).unwrap();
        let second = load_or_create_keys(&path).unwrap();
        assert_eq!((first.len(), second.len()), (1, 1));
        assert_eq!(first[0].bytes, second[0].bytes);
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no draft is left");
    }

    #[test]
    fn appended_key_is_the_newest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let old = load_or_create_keys(&path).unwrap();
        let new = SealKey::generate();
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        writeln!(file, "{}", new.to_text()).unwrap();
        let ids: Vec<_> = load_or_create_keys(&path).unwrap().iter().map(SealKey::id).collect();
        assert_eq!(ids, [old[0].id(), new.id()]);
    }

    #[test]
    fn readers_at_the_same_time_get_one_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        let load = || load_or_create_keys(&path).unwrap()[0].bytes;
        let keys: Vec<_> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(load)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[test]
    fn exposed_or_broken_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("seal.key");
        load_or_create_keys(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(matches!(load_or_create_keys(&path), Err(SealError::KeyFileExposed { mode: 0o644, .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        fs::write(&path, format!("{PREFIX}AAAA\n")).unwrap();
        assert!(matches!(load_or_create_keys(&path), Err(SealError::KeyFileMalformed { .. })));
        assert!(load_or_create_keys(&folder.path().join("missing/seal.key")).is_err());
    }
}
