//! Decides where lines are: files in one directory, each named after its first line, all of them private to the process's
//! user. The newest is written to; when it is full the next begins, and the oldest goes when there are too many.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::chain::{Head, LineHash, Link};

/// No line is longer. What is, was never written by us.
const LONGEST: u64 = 1 << 20;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFile {
    /// The number of its first line.
    pub(super) first: u64,
    pub(super) path: PathBuf,
}

/// A directory with a log in it.
#[derive(Debug, Clone)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the directory if it is missing.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Keeps others from writing for as long as the file is open. `None` if somebody else does.
    pub(super) fn lock(&self) -> io::Result<Option<File>> {
        let file = private().create(true).truncate(false).open(self.0.join("lock"))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(fs::TryLockError::WouldBlock) => Ok(None),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }

    /// What tells this log from all others; made with it.
    pub(super) fn chain_id(&self) -> io::Result<Uuid> {
        let path = self.0.join("chain");
        match fs::read_to_string(&path) {
            Ok(text) => text.trim().parse().map_err(|_| io::Error::other(format!("{} holds no uuid", path.display()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let id = Uuid::new_v4();
                let draft = self.0.join("chain.draft");
                fs::write(&draft, format!("{id}\n"))?;
                fs::rename(draft, path)?;
                Ok(id)
            }
            Err(error) => Err(error),
        }
    }

    /// All files, oldest first.
    pub(super) fn list(&self) -> io::Result<Vec<LogFile>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let first =
                name.to_str().and_then(|name| name.strip_prefix("audit-")?.strip_suffix(".jsonl")?.parse().ok());
            if let Some(first) = first {
                files.push(LogFile { first, path: self.0.join(name) });
            }
        }
        files.sort_unstable_by_key(|file| file.first);
        Ok(files)
    }

    /// Makes the file that begins with this line.
    pub(super) fn begin(&self, first: u64) -> io::Result<LogFile> {
        let path = self.0.join(format!("audit-{first:016}.jsonl"));
        private().create(true).truncate(false).open(&path)?;
        File::open(&self.0)?.sync_all()?;
        Ok(LogFile { first, path })
    }
}

impl LogFile {
    /// To write at its end.
    pub(super) fn append(&self) -> io::Result<File> {
        OpenOptions::new().append(true).open(&self.path)
    }

    pub(super) fn lines(&self) -> io::Result<Lines> {
        Ok(Lines(BufReader::with_capacity(256 << 10, File::open(&self.path)?)))
    }

    /// Where its last whole line ends, and which line that is. `None` for a file without one.
    pub(super) fn end(&self) -> io::Result<Option<(u64, Head)>> {
        let (mut lines, mut line, mut at, mut last) = (self.lines()?, Vec::new(), 0, None);
        while lines.read(&mut line)? {
            at += line.len() as u64 + 1;
            // One that is spoilt is passed over here, and told of by whoever verifies.
            if let Some(link) = Link::of(&line) {
                last = Some((at, Head { sequence: link.sequence, hash: LineHash::of(&line) }));
            }
        }
        Ok(last)
    }
}

/// The whole lines of a file.
#[derive(Debug)]
pub(super) struct Lines(BufReader<File>);

impl Lines {
    /// Reads the next line, without its end. `false` where there is none, or only the beginning of one.
    pub(super) fn read(&mut self, line: &mut Vec<u8>) -> io::Result<bool> {
        line.clear();
        self.0.by_ref().take(LONGEST).read_until(b'\n', line)?;
        Ok(line.pop_if(|byte| *byte == b'\n').is_some())
    }
}

fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).mode(0o600);
    options
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_in_the_order_of_their_lines_and_others_are_passed_over() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(&place.path().join("audit")).unwrap();
        for first in [100, 9, 1] {
            folder.begin(first).unwrap();
        }
        fs::write(folder.path().join("audit-x.jsonl"), "").unwrap();
        assert_eq!(folder.list().unwrap().iter().map(|file| file.first).collect::<Vec<_>>(), [1, 9, 100]);
    }

    #[test]
    fn two_writers_are_one_too_many() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::open(place.path()).unwrap();
        let held = folder.lock().unwrap();
        assert!(held.is_some() && folder.lock().unwrap().is_none());
        drop(held);
        assert!(folder.lock().unwrap().is_some());
        assert_eq!(folder.chain_id().unwrap(), folder.chain_id().unwrap());
    }

    #[test]
    fn line_that_was_cut_off_is_none() {
        let place = tempfile::tempdir().unwrap();
        let file = Folder::open(place.path()).unwrap().begin(1).unwrap();
        let (mut head, mut text) = (Head::NONE, Vec::new());
        head.append("{\"verb\":\"create\"}", &mut text);
        let whole = text.len() as u64;
        text.extend_from_slice(b"{\"verb\":\"del");
        fs::write(&file.path, text).unwrap();
        assert_eq!(file.end().unwrap(), Some((whole, head)));
    }
}
