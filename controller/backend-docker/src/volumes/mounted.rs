//! File systems of a test's own, each in a file.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::PathBuf;

use crate::tools;

/// A mounted file system, where this process may mount one.
pub(super) struct Mounted(tempfile::TempDir);

impl Mounted {
    /// Made by this program, of so many bytes.
    pub(super) fn make(program: &'static str, bytes: u64) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let (disk, place) = (dir.path().join("disk"), dir.path().join("mount"));
        fs::create_dir(&place).unwrap();
        File::create_new(&disk).unwrap().set_len(bytes).unwrap();
        tools::run_blocking(program, [OsStr::new("-q"), disk.as_os_str()]).unwrap();
        let arguments = [OsStr::new("-o"), "loop".as_ref(), disk.as_ref(), place.as_ref()];
        match tools::run_blocking("mount", arguments) {
            Ok(()) => Some(Self(dir)),
            Err(error) => {
                println!("SKIPPED: no file system of `{program}` can be mounted here: {error}");
                None
            }
        }
    }

    pub(super) fn place(&self) -> PathBuf {
        self.0.path().join("mount")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = tools::run_blocking("umount", [self.place()]);
    }
}
