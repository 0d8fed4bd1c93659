//! Keeps a second process away from a database file. The lock lives in the open file, not in its existence.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use apiserver_store::StoreError;

use crate::store::open_private;

/// Held as long as the database is in use.
#[derive(Debug)]
pub(crate) struct LockFile {
    _file: File,
}

impl LockFile {
    /// Takes the lock beside `database`, or says who has it.
    pub(crate) fn take(database: &Path) -> Result<LockFile, StoreError> {
        let path = lock_path(database);
        let file = open_private(&path).map_err(|error| StoreError::unavailable("open the lock file", error))?;
        match file.try_lock() {
            Ok(()) => Ok(LockFile { _file: file }),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path: path.display().to_string() }),
            Err(TryLockError::Error(error)) => Err(StoreError::unavailable("lock the lock file", error)),
        }
    }
}

fn lock_path(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".lock");
    PathBuf::from(path)
}
