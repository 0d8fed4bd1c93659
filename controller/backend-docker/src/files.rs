//! Projected files on a file system that is only memory, mounted while any are there.
//!
//! A set is a directory of links into `..data`, itself a link to the content of the moment; turning that one link
//! changes all files at once. Containers have the set's directory mounted, so that they see the change.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use controller_backend::{Error, FileSet, Files, Owner, ProjectedFile};
use tokio::sync::Mutex;
use uuid::Uuid;

use crate::volumes::mounts::{is_absent, is_mounted, mount_memory, unmount};

/// The link to the content of the moment.
const CURRENT: &str = "..data";
/// The two directories that take turns to be it.
const SIDES: [&str; 2] = ["..left", "..right"];

pub(crate) struct HostFiles {
    memory: PathBuf,
    /// Mounting with the first set and unmounting with the last must not interleave.
    turn: Mutex<()>,
}

impl HostFiles {
    pub(crate) fn new(root: &Path) -> Self {
        Self { memory: root.join("files"), turn: Mutex::new(()) }
    }

    /// Where a set is, or would be.
    pub(crate) fn set_dir(&self, owner: Uuid, name: &str) -> PathBuf {
        self.memory.join(owner.to_string()).join(name)
    }
}

#[async_trait]
impl Files for HostFiles {
    async fn list(&self) -> Result<Vec<Uuid>, Error> {
        let memory = self.memory.clone();
        blocking("list file sets".to_owned(), move || {
            let mut owners: Vec<Uuid> = names(&memory)?.iter().filter_map(|name| name.parse().ok()).collect();
            owners.sort_unstable();
            Ok(owners)
        })
        .await
    }

    async fn ensure(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        sets.iter().try_for_each(FileSet::check_paths)?;
        if sets.is_empty() {
            return self.remove(owner.uid).await;
        }
        let _turn = self.turn.lock().await;
        if !is_mounted(&self.memory).await? {
            let memory = self.memory.clone();
            blocking(format!("make `{}`", memory.display()), move || std::fs::create_dir_all(memory)).await?;
            mount_memory(&self.memory).await?;
        }
        let (owned, sets) = (self.memory.join(owner.uid.to_string()), sets.to_vec());
        blocking(format!("write `{}`", owned.display()), move || {
            for set in &sets {
                write_set(&owned.join(&set.name), &set.files)?;
            }
            for name in names(&owned)?.iter().filter(|name| !sets.iter().any(|set| set.name == **name)) {
                std::fs::remove_dir_all(owned.join(name)).or_else(absent_is_fine)?;
            }
            Ok(())
        })
        .await
    }

    async fn refresh(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        sets.iter().try_for_each(FileSet::check_paths)?;
        let _turn = self.turn.lock().await;
        let (owned, sets) = (self.memory.join(owner.uid.to_string()), sets.to_vec());
        blocking(format!("write `{}`", owned.display()), move || {
            let there = names(&owned)?;
            let mut known = sets.iter().filter(|set| there.contains(&set.name));
            known.try_for_each(|set| write_set(&owned.join(&set.name), &set.files))
        })
        .await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        let _turn = self.turn.lock().await;
        let (owned, memory) = (self.memory.join(owner.to_string()), self.memory.clone());
        let is_last = blocking(format!("remove the files of `{owner}`"), move || {
            std::fs::remove_dir_all(owned).or_else(absent_is_fine)?;
            Ok(names(&memory)?.is_empty())
        })
        .await?;
        if is_last {
            // Busy only while a machine still has a set that is removed: then the next removal sees to it.
            unmount(&self.memory).await?;
        }
        Ok(())
    }

    fn directory(&self, owner: Uuid, name: &str) -> Option<PathBuf> {
        Some(self.set_dir(owner, name))
    }
}

async fn blocking<T: Send + 'static>(
    action: String,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome.map_err(|error| Error::failed(action, error)),
        Err(error) => Err(Error::failed(action, error)),
    }
}

fn absent_is_fine(error: io::Error) -> io::Result<()> {
    if is_absent(&error) { Ok(()) } else { Err(error) }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    match std::fs::read_dir(dir) {
        Ok(entries) => entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
        Err(error) if is_absent(&error) => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

fn set_mode(path: &Path, mode: u32) -> io::Result<()> {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))
}

/// Makes a set be exactly `files`. Cut off anywhere, the next call finds the content of the moment whole.
fn write_set(dir: &Path, files: &BTreeMap<String, ProjectedFile>) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    set_mode(dir, 0o755)?;
    let link = dir.join(CURRENT);
    let current = std::fs::read_link(&link).ok();
    if current.as_ref().is_some_and(|side| is_exactly(&dir.join(side), files)) {
        return link_names(dir, files);
    }
    let side = if current.as_deref() == Some(Path::new(SIDES[0])) { SIDES[1] } else { SIDES[0] };
    let content = dir.join(side);
    std::fs::remove_dir_all(&content).or_else(absent_is_fine)?;
    std::fs::create_dir(&content)?;
    set_mode(&content, 0o755)?;
    for (path, file) in files {
        let path = content.join(path);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, &file.content)?;
        set_mode(&path, file.mode & 0o777)?;
    }
    let next = dir.join("..next");
    std::fs::remove_file(&next).or_else(absent_is_fine)?;
    std::os::unix::fs::symlink(side, &next)?;
    std::fs::rename(&next, &link)?;
    link_names(dir, files)?;
    if let Some(old) = current.filter(|old| old != Path::new(side)) {
        std::fs::remove_dir_all(dir.join(old)).or_else(absent_is_fine)?;
    }
    Ok(())
}

/// Links each first part of a path, and only these, through the link to the content of the moment.
fn link_names(dir: &Path, files: &BTreeMap<String, ProjectedFile>) -> io::Result<()> {
    let wanted: BTreeSet<&str> = files.keys().filter_map(|path| path.split('/').next()).collect();
    let present: BTreeSet<String> = names(dir)?.into_iter().filter(|name| !name.starts_with("..")).collect();
    for name in present.iter().filter(|name| !wanted.contains(name.as_str())) {
        std::fs::remove_file(dir.join(name)).or_else(absent_is_fine)?;
    }
    for name in wanted.iter().filter(|name| !present.contains(**name)) {
        std::os::unix::fs::symlink(Path::new(CURRENT).join(name), dir.join(name))?;
    }
    Ok(())
}

/// Whether a directory holds these files and no others.
fn is_exactly(dir: &Path, files: &BTreeMap<String, ProjectedFile>) -> bool {
    let mut present = BTreeSet::new();
    if collect(dir, Path::new(""), &mut present).is_err() {
        return false;
    }
    let wanted: BTreeSet<PathBuf> = files.keys().map(PathBuf::from).collect();
    present == wanted
        && files.iter().all(|(path, file)| {
            let path = dir.join(path);
            let same_mode = std::fs::metadata(&path)
                .is_ok_and(|metadata| metadata.permissions().mode() & 0o777 == file.mode & 0o777);
            same_mode && std::fs::read(&path).is_ok_and(|content| content == file.content)
        })
}

fn collect(dir: &Path, prefix: &Path, files: &mut BTreeSet<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir.join(prefix))? {
        let entry = entry?;
        let path = prefix.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            collect(dir, &path, files)?;
        } else {
            files.insert(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn files(entries: &[(&str, &str)]) -> BTreeMap<String, ProjectedFile> {
        let file = |content: &str| ProjectedFile { content: Bytes::from(content.to_owned()), mode: 0o640 };
        entries.iter().map(|(path, content)| ((*path).to_owned(), file(content))).collect()
    }

    fn visible(dir: &Path) -> BTreeMap<String, String> {
        let mut seen = BTreeMap::new();
        for path in ["colour", "shape", "deep/inside"] {
            if let Ok(content) = std::fs::read_to_string(dir.join(path)) {
                seen.insert(path.to_owned(), content);
            }
        }
        seen
    }

    #[test]
    fn set_changes_whole_and_forgets_what_is_gone() {
        let scratch = tempfile::tempdir().expect("a directory");
        let dir = scratch.path().join("set");
        write_set(&dir, &files(&[("colour", "blue"), ("deep/inside", "1")])).expect("write");
        assert_eq!(visible(&dir), [("colour".into(), "blue".into()), ("deep/inside".into(), "1".into())].into());
        let side = std::fs::read_link(dir.join(CURRENT)).expect("a link");
        write_set(&dir, &files(&[("colour", "blue"), ("deep/inside", "1")])).expect("write the same");
        assert_eq!(std::fs::read_link(dir.join(CURRENT)).expect("a link"), side, "nothing was written");
        write_set(&dir, &files(&[("colour", "red"), ("shape", "round")])).expect("change");
        assert_eq!(visible(&dir), [("colour".into(), "red".into()), ("shape".into(), "round".into())].into());
        let mode = std::fs::metadata(dir.join("colour")).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        assert_eq!(names(&dir).expect("names").iter().filter(|name| name.starts_with("..")).count(), 2);
    }

    #[test]
    fn set_that_was_cut_off_is_completed() {
        let scratch = tempfile::tempdir().expect("a directory");
        let dir = scratch.path().join("set");
        let old = files(&[("colour", "blue")]);
        write_set(&dir, &old).expect("write");
        // Cut off while the other side is being written, and after the link was made but not turned.
        std::fs::create_dir(dir.join(SIDES[1])).expect("a directory");
        std::fs::write(dir.join(SIDES[1]).join("colour"), "half").expect("a file");
        std::os::unix::fs::symlink(SIDES[1], dir.join("..next")).expect("a link");
        assert_eq!(visible(&dir), [("colour".into(), "blue".into())].into());
        write_set(&dir, &files(&[("colour", "red"), ("shape", "round")])).expect("change");
        assert_eq!(visible(&dir), [("colour".into(), "red".into()), ("shape".into(), "round".into())].into());
        // Cut off after the link was turned, before the names were linked.
        std::fs::remove_file(dir.join("shape")).expect("remove");
        write_set(&dir, &files(&[("colour", "red"), ("shape", "round")])).expect("again");
        assert!(visible(&dir).contains_key("shape"));
    }
}
