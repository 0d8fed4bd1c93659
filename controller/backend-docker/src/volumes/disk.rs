//! Makes, checks and grows the file that a volume's file system is in.

use std::ffi::OsStr;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use controller_backend::Error;
use tokio::fs;

use super::layout::{DATA, Place, Record, own, remove_file, set_mode};
use super::{mounts, trouble};
use crate::remap::Root;
use crate::tools::{self, ToolError};

/// Makes the file anew, whatever was left of an earlier attempt. It has not its name yet. What is inside belongs to root of
/// containers.
pub(super) async fn make(place: &Place, record: &Record, root: Root) -> Result<(), Error> {
    place.prepare(record).await?;
    let unfinished = place.unfinished_disk();
    remove_file(&unfinished).await?;
    let file = fs::File::create_new(&unfinished).await.map_err(trouble("make", &unfinished))?;
    file.set_len(record.size_bytes).await.map_err(trouble("size", &unfinished))?;
    drop(file);
    set_mode(&unfinished, 0o600).await?;

    // Formatting puts the directory in, so that there is never a file system without it.
    let seed = place.seed();
    let inside = seed.join(DATA);
    fs::create_dir_all(&inside).await.map_err(trouble("make", &inside))?;
    for dir in [&seed, &inside] {
        set_mode(dir, 0o755).await?;
    }
    own(&inside, root).await?;
    let arguments: [&OsStr; 10] = [
        "-q".as_ref(),
        "-F".as_ref(),
        // No blocks kept back for root: the size is the user's.
        "-m".as_ref(),
        "0".as_ref(),
        // The file reads as zeros already; without these the tables would be written out.
        "-E".as_ref(),
        "lazy_itable_init=1,lazy_journal_init=1,nodiscard,root_owner=0:0".as_ref(),
        "-d".as_ref(),
        seed.as_os_str(),
        "--".as_ref(),
        unfinished.as_os_str(),
    ];
    if let Err(error) = tools::run("mkfs.ext4", arguments).await {
        // On a full disk what was written of it would keep that full, and nothing could be said of it.
        let _ = fs::remove_dir_all(&seed).await;
        remove_file(&unfinished).await?;
        return Err(error.during(format!("format `{}`", unfinished.display())));
    }
    match fs::remove_dir_all(&seed).await {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(trouble("remove", &seed)(error)),
        _ => Ok(()),
    }
}

/// Grows the copy of another volume's file, which is mounted nowhere and has not its name yet, and gives it that.
pub(super) async fn take_over(place: &Place, size_bytes: u64) -> Result<(), Error> {
    let unfinished = place.unfinished_disk();
    let file = fs::OpenOptions::new().write(true).open(&unfinished).await.map_err(trouble("open", &unfinished))?;
    let present = file.metadata().await.map_err(trouble("look at", &unfinished))?.len();
    if present < size_bytes {
        file.set_len(size_bytes).await.map_err(trouble("size", &unfinished))?;
        drop(file);
        grow_unmounted(&unfinished).await?;
    } else {
        check(&unfinished, Thoroughly::Always).await?;
    }
    place.finish().await
}

/// Mends what a power cut leaves behind; refuses to go on where that takes a person's judgement.
pub(super) async fn check(disk: &Path, thoroughly: Thoroughly) -> Result<(), Error> {
    let options = match thoroughly {
        Thoroughly::IfNeeded => "-p",
        Thoroughly::Always => "-fp",
    };
    match tools::run("e2fsck", [OsStr::new(options), disk.as_os_str()]).await {
        Ok(()) => Ok(()),
        // 1: errors were corrected.
        Err(error) if error.code() == Some(1) => Ok(()),
        Err(error) => Err(error.during(format!("check the file system `{}`", disk.display()))),
    }
}

/// When a file system is looked through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoroughly {
    /// When it was not unmounted in order.
    IfNeeded,
    /// Whatever it says of itself.
    Always,
}

/// How growing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Growth {
    Done,
    /// The host does not let a mounted file system grow: `grow_unmounted` does it.
    MustUnmount,
}

/// Grows the file, its loop device and the mounted file system. Each does nothing where it is done already.
pub(super) async fn grow(disk: &Path, size_bytes: u64) -> Result<Growth, Error> {
    let file = fs::OpenOptions::new().write(true).open(disk).await.map_err(trouble("open", disk))?;
    let present = file.metadata().await.map_err(trouble("look at", disk))?.len();
    if present < size_bytes {
        file.set_len(size_bytes).await.map_err(trouble("size", disk))?;
        file.sync_all().await.map_err(trouble("sync", disk))?;
    }
    drop(file);
    let during = |error: ToolError| error.during(format!("grow `{}`", disk.display()));
    for device in mounts::loop_devices(disk).await?.iter().filter(|device| !device.deleted) {
        tools::run("losetup", [OsStr::new("-c"), device.path.as_os_str()]).await.map_err(during)?;
        match tools::run("resize2fs", [device.path.as_os_str()]).await {
            Ok(()) => {}
            // Growing a mounted ext4 takes a capability (SYS_RESOURCE) that containers and some hosts lack.
            Err(error) if error.says("Permission denied") => return Ok(Growth::MustUnmount),
            Err(error) => return Err(during(error)),
        }
    }
    Ok(Growth::Done)
}

/// Grows the file system in a file that `grow` has grown, while it is mounted nowhere.
pub(super) async fn grow_unmounted(disk: &Path) -> Result<(), Error> {
    check(disk, Thoroughly::Always).await?;
    let grown = tools::run("resize2fs", [disk.as_os_str()]).await;
    grown.map_err(|error| error.during(format!("grow `{}`", disk.display())))
}

/// What a file takes on its disk.
pub(super) async fn allocated_bytes(file: &Path) -> Result<u64, Error> {
    Ok(fs::metadata(file).await.map_err(trouble("look at", file))?.blocks() * 512)
}

/// How much of a mounted file system is used.
pub(super) fn used_bytes(mount: &Path) -> Option<u64> {
    let statistics = rustix::fs::statvfs(mount).ok()?;
    Some(statistics.f_blocks.saturating_sub(statistics.f_bfree).saturating_mul(statistics.f_frsize))
}

#[cfg(test)]
mod tests {
    use controller_backend::{Owner, VolumeMode};
    use uuid::Uuid;

    use super::super::layout::Layout;
    use super::*;

    #[tokio::test]
    async fn what_can_not_be_formatted_leaves_nothing_that_fills_the_disk() {
        let root = tempfile::tempdir().unwrap();
        let owner = Owner {
            installation: Uuid::from_u128(1),
            kind: "Volume".to_owned(),
            namespace: "default".to_owned(),
            name: "tiny".to_owned(),
            uid: Uuid::from_u128(2),
        };
        let place = Layout::new(root.path(), owner.installation).place(owner.uid);
        // No file system is as small as this.
        let record = Record::new(owner, 512, VolumeMode::Filesystem);
        let refused = make(&place, &record, Root::default()).await.unwrap_err().to_string();
        assert!(refused.starts_with("format "), "{refused}");
        assert!(!place.unfinished_disk().exists() && !place.seed().exists());
    }
}
