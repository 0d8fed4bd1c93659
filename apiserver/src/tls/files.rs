//! How secrets lie on disk: written whole or not at all, for the owner alone.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::access::{TokenHash, generate_token};

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("failed to {step} `{path}`")]
pub struct FileError {
    step: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl FileError {
    fn new(step: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self { step, path, source }
    }
}

/// Makes a directory for the owner alone, unless it is there.
pub(super) fn make_directory(path: &Path) -> Result<(), FileError> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(FileError::new("make", path))
}

/// What a file holds; `None` if there is none.
pub(super) fn read(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => {
            // Somebody may have copied it about: mend what would be a leak.
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(FileError::new("protect", path))?;
            Ok(Some(text))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path)(error)),
    }
}

/// What a file holds that is nobody's secret; `None` if there is none.
pub(super) fn read_public(path: &Path) -> Result<Option<String>, FileError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::new("read", path)(error)),
    }
}

/// Replaces a file in one step; a crash leaves the old one or the new one, durable.
pub(super) fn write(path: &Path, text: &str) -> Result<(), FileError> {
    let beside = path.with_extension("new");
    let failed = |step| FileError::new(step, &beside);
    let _left_by_a_crash = fs::remove_file(&beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed("make"))?;
    file.write_all(text.as_bytes()).map_err(failed("write"))?;
    file.sync_all().map_err(failed("write"))?;
    fs::rename(&beside, path).map_err(FileError::new("replace", path))?;
    let directory = path.parent().unwrap_or(Path::new("."));
    fs::File::open(directory).and_then(|directory| directory.sync_all()).map_err(FileError::new("write", directory))
}

/// Writes a file unless it is there, and returns what it holds then: of several who begin at once, one decides.
pub(super) fn write_once(path: &Path, text: &str) -> Result<String, FileError> {
    let beside = path.with_extension(format!("new-{}", generate_token()));
    let failed = |step| FileError::new(step, &beside);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside).map_err(failed("make"))?;
    file.write_all(text.as_bytes()).map_err(failed("write"))?;
    file.sync_all().map_err(failed("write"))?;
    let linked = fs::hard_link(&beside, path);
    fs::remove_file(&beside).map_err(failed("remove"))?;
    match linked {
        Ok(()) => {
            let directory = path.parent().unwrap_or(Path::new("."));
            let synced = fs::File::open(directory).and_then(|directory| directory.sync_all());
            synced.map_err(FileError::new("write", directory))?;
            Ok(text.to_owned())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(read(path)?.unwrap_or_default()),
        Err(error) => Err(FileError::new("make", path)(error)),
    }
}

const TOKEN_HASH: &str = "admin-token.sha256";

/// The hash of the administrator's token, if one was made.
///
/// # Errors
/// Where the file can't be read.
pub fn admin_token_hash(directory: &Path) -> Result<Option<TokenHash>, FileError> {
    Ok(read(&directory.join(TOKEN_HASH))?.as_deref().and_then(TokenHash::parse))
}

/// The administrator's token. Only its hash is kept: `known` is the token that the caller still has (from the
/// kubeconfig), and a new one is made where that does not fit, replacing any earlier.
///
/// Returns the token and its hash.
///
/// # Errors
/// Where the file can't be read or written.
pub fn bootstrap_token(directory: &Path, known: Option<&str>) -> Result<(String, TokenHash), FileError> {
    make_directory(directory)?;
    let path = directory.join(TOKEN_HASH);
    let kept = admin_token_hash(directory)?;
    if let (Some(known), Some(kept)) = (known, kept)
        && TokenHash::of(known) == kept
    {
        return Ok((known.to_owned(), kept));
    }
    let token = generate_token();
    let hash = TokenHash::of(&token);
    write(&path, &format!("{hash}\n"))?;
    Ok((token, hash))
}
