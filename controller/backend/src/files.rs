//! The port for content projected into machines: Secrets and ConfigMaps as files. Their content is never on a disk and
//! never logged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;
use bytes::Bytes;
use uuid::Uuid;

use crate::{Error, Owner};

/// Keeps file sets ready to be mounted.
///
/// # Guarantees
/// - Content is held in memory only; it is gone after the host restarts, so `ensure` comes before every start.
/// - A change reaches a running machine whole: a reader sees all old files or all new ones.
#[async_trait]
pub trait Files: Send + Sync {
    /// The uids of owners that have file sets, sorted.
    async fn list(&self) -> Result<Vec<Uuid>, Error>;

    /// Makes the sets of an owner be exactly these; nothing is written where they already are.
    ///
    /// # Errors
    /// `Invalid` names a path that is not relative or leaves its set.
    async fn ensure(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error>;

    /// Makes those of these sets that an owner has be as they are here. It makes none, and removes none.
    ///
    /// # Errors
    /// `Invalid`, as of `ensure`.
    async fn refresh(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error>;

    /// Removes all file sets of an owner; `Ok` if there is none. Its machines go before.
    async fn remove(&self, owner: Uuid) -> Result<(), Error>;

    /// The directory of the host that is a set, once it is made, where there is one.
    fn directory(&self, owner: Uuid, name: &str) -> Option<PathBuf>;
}

/// Files that are mounted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSet {
    /// The set's name, unique for the owner: the name of the volume entry in its spec.
    pub name: String,
    /// Files by relative path.
    pub files: BTreeMap<String, ProjectedFile>,
}

impl FileSet {
    /// `Invalid` unless its name and every path stay inside the set and no path begins with `..`, which is kept for the
    /// links that make a change whole.
    pub fn check_paths(&self) -> Result<(), Error> {
        let plain = |text: &str| !text.is_empty() && !text.starts_with("..") && text != "." && !text.contains('\0');
        if !plain(&self.name) || self.name.contains('/') {
            return Err(Error::invalid(format!("`{}` is not a name of a file set", self.name)));
        }
        for path in self.files.keys() {
            if !path.split('/').all(plain) {
                return Err(Error::invalid(format!("`{path}` is not a relative path inside its volume")));
            }
        }
        // A path cannot be both a file and a folder of another; the sorted neighbour shows it.
        for path in self.files.keys() {
            let folder = format!("{path}/");
            if self.files.range(folder.clone()..).next().is_some_and(|(other, _)| other.starts_with(&folder)) {
                return Err(Error::invalid(format!("`{path}` is both a file and a folder")));
            }
        }
        Ok(())
    }
}

/// One file. `Debug` shows its length only.
#[derive(Clone, PartialEq, Eq)]
pub struct ProjectedFile {
    /// Its content.
    pub content: Bytes,
    /// Its permission bits, such as `0o644`.
    pub mode: u32,
}

impl fmt::Debug for ProjectedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "<{} bytes, mode {:o}>", self.content.len(), self.mode)
    }
}
