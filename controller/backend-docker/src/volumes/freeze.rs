//! Holds back writing to a mounted file system for a moment. A process of its own lets it go on after a time, and as soon
//! as this one is gone, however it ends: it waits for the end of a pipe that only this process holds.

use std::ffi::OsStr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use controller_backend::{Conflict, Error};

use crate::tools;

/// Waits for the end of its input, at most so many seconds, then lets writing go on. It ignores what ends a whole service.
const WATCH: &str = r#"trap "" HUP INT TERM; timeout -s KILL "$2" cat > /dev/null; exec fsfreeze --unfreeze "$1""#;

/// A file system that nobody can write to until this is dropped.
#[derive(Debug)]
pub(super) struct Frozen {
    mount: PathBuf,
    watch: Option<Child>,
}

impl Frozen {
    /// Writes out what is written and holds back the rest, for this long at most.
    pub(super) fn begin(mount: &Path, limit: Duration) -> Result<Self, Error> {
        let trouble = |error| Error::failed(format!("watch over `{}`", mount.display()), error);
        let watch = tools::command("sh")
            .args([OsStr::new("-c"), WATCH.as_ref(), "thaw".as_ref(), mount.as_os_str()])
            .arg(limit.as_secs().to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // What is meant for this process's group is not for it.
            .process_group(0)
            .spawn()
            .map_err(trouble)?;
        let frozen = Self { mount: mount.to_owned(), watch: Some(watch) };
        tools::run_blocking("fsfreeze", [OsStr::new("--freeze"), mount.as_os_str()])
            .map_err(|error| error.during(format!("hold back writing to `{}`", mount.display())))?;
        Ok(frozen)
    }

    /// Lets writing go on.
    ///
    /// # Errors
    /// `Conflict` if it went on before: what was done meanwhile is worth nothing.
    pub(super) fn end(mut self) -> Result<(), Error> {
        let ended = tools::run_blocking("fsfreeze", [OsStr::new("--unfreeze"), self.mount.as_os_str()]);
        self.dismiss();
        match ended {
            Ok(()) => Ok(()),
            Err(error) if error.says("Invalid argument") => {
                let what = "the volume".to_owned();
                let state = "written to again before it was copied: it holds too much to do that while it is in use";
                Err(Error::conflict(Conflict::State { what, state: state.to_owned() }))
            }
            Err(error) => Err(error.during(format!("let writing to `{}` go on", self.mount.display()))),
        }
    }

    fn dismiss(&mut self) {
        if let Some(mut watch) = self.watch.take() {
            drop(watch.stdin.take());
            // It lets writing go on once more, which does no harm.
            let _ = watch.wait();
        }
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.dismiss();
    }
}

/// Lets writing go on where a process held it back and was killed together with all that it had started.
pub(super) async fn thaw(mount: &Path) {
    let _ = tools::run("fsfreeze", [OsStr::new("--unfreeze"), mount.as_os_str()]).await;
}

#[cfg(test)]
mod tests {
    use super::super::mounted::Mounted;
    use super::*;

    fn is_frozen(mount: &Path) -> bool {
        // Only what is not frozen can be.
        let refused = tools::run_blocking("fsfreeze", [OsStr::new("--freeze"), mount.as_os_str()]).is_err();
        if !refused {
            tools::run_blocking("fsfreeze", [OsStr::new("--unfreeze"), mount.as_os_str()]).unwrap();
        }
        refused
    }

    #[test]
    fn it_is_written_to_again_afterwards() {
        let Some(disk) = Mounted::make("mkfs.ext4", 16 << 20) else { return };
        let frozen = Frozen::begin(&disk.place(), Duration::from_secs(30)).unwrap();
        assert!(is_frozen(&disk.place()));
        frozen.end().unwrap();
        assert!(!is_frozen(&disk.place()));
        drop(Frozen::begin(&disk.place(), Duration::from_secs(30)).unwrap());
        assert!(!is_frozen(&disk.place()));
    }

    #[test]
    fn it_is_written_to_again_when_the_process_is_killed() {
        let Some(disk) = Mounted::make("mkfs.ext4", 16 << 20) else { return };
        let mut frozen = Frozen::begin(&disk.place(), Duration::from_secs(30)).unwrap();
        // All that the death of this process does to the other one.
        let watch = frozen.watch.as_mut().unwrap();
        drop(watch.stdin.take());
        watch.wait().unwrap();
        assert!(!is_frozen(&disk.place()));
    }

    #[test]
    fn it_is_written_to_again_after_the_limit_and_the_copy_counts_for_nothing() {
        let Some(disk) = Mounted::make("mkfs.ext4", 16 << 20) else { return };
        let mut frozen = Frozen::begin(&disk.place(), Duration::from_secs(1)).unwrap();
        let input = frozen.watch.as_mut().unwrap().stdin.take();
        frozen.watch.as_mut().unwrap().wait().unwrap();
        drop(input);
        assert!(!is_frozen(&disk.place()));
        let error = frozen.end().unwrap_err();
        assert!(matches!(error.as_conflict(), Some(Conflict::State { .. })), "{error:?}");
    }
}
