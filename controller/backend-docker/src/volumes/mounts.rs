//! Mounts and loop devices, always found by the path of their file, never remembered.

use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use controller_backend::Error;
use tokio::fs;

use super::trouble;
use crate::tools;

/// Whether something is mounted there.
pub(crate) async fn is_mounted(place: &Path) -> Result<bool, Error> {
    Ok(!sources(place).await?.is_empty())
}

/// Whether that very file is mounted there, and not one before it that is deleted.
pub(super) async fn is_disk_mounted(disk: &Path, place: &Path) -> Result<bool, Error> {
    let Some(source) = sources(place).await?.pop() else { return Ok(false) };
    Ok(loop_devices(disk).await?.iter().any(|device| device.path == source && !device.deleted))
}

/// What is mounted there, the topmost last.
async fn sources(place: &Path) -> Result<Vec<PathBuf>, Error> {
    let table = Path::new("/proc/self/mountinfo");
    let text = fs::read_to_string(table).await.map_err(trouble("read", table))?;
    Ok(mounts(&text).filter(|(point, _)| point == place).map(|(_, source)| source).collect())
}

/// Where and what. The fifth column is where; what is the second after the dash that ends the optional columns.
fn mounts(table: &str) -> impl Iterator<Item = (PathBuf, PathBuf)> {
    table.lines().filter_map(|line| {
        let (own, file_system) = line.split_once(" - ")?;
        let path = |column: &str| PathBuf::from(unescape(column));
        Some((path(own.split(' ').nth(4)?), path(file_system.split(' ').nth(1)?)))
    })
}

fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        match after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = &after[3..];
            }
            None => {
                plain.push('\\');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

/// Mounts the file. The loop device is made by `mount` to go away with its last user: cut off at any point, none is
/// left. A device that is on the file already is taken, because two of them are two caches of one file system.
pub(super) async fn mount(disk: &Path, place: &Path) -> Result<(), Error> {
    fs::create_dir_all(place).await.map_err(trouble("make", place))?;
    let present = loop_devices(disk).await?.into_iter().find(|device| !device.deleted);
    let (source, options) = match &present {
        Some(device) => (device.path.as_path(), "nosuid,nodev,noatime"),
        None => (disk, "loop,nosuid,nodev,noatime"),
    };
    let arguments: [&OsStr; 6] =
        ["-t".as_ref(), "ext4".as_ref(), "-o".as_ref(), options.as_ref(), source.as_os_str(), place.as_os_str()];
    tools::run("mount", arguments).await.map_err(|error| error.during(format!("mount `{}`", disk.display())))
}

/// Unmounts all that is mounted there. `false` if it is in use.
pub(crate) async fn unmount(place: &Path) -> Result<bool, Error> {
    // More than one if two attempts to mount overlapped.
    while is_mounted(place).await? {
        match tools::run("umount", [place.as_os_str()]).await {
            Ok(()) => {}
            Err(error) if error.says("target is busy") => return Ok(false),
            Err(error) => return Err(error.during(format!("unmount `{}`", place.display()))),
        }
    }
    Ok(true)
}

/// A loop device on a file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LoopDevice {
    pub(super) path: PathBuf,
    /// Whether the file is deleted, and another may have its name by now.
    pub(super) deleted: bool,
}

/// The loop devices on a file, and on deleted ones that had its name.
pub(super) async fn loop_devices(disk: &Path) -> Result<Vec<LoopDevice>, Error> {
    let blocks = Path::new("/sys/block");
    let mut devices = Vec::new();
    let mut entries = fs::read_dir(blocks).await.map_err(trouble("read", blocks))?;
    while let Some(entry) = entries.next_entry().await.map_err(trouble("read", blocks))? {
        let Some(name) = entry.file_name().to_str().filter(|name| name.starts_with("loop")).map(str::to_owned) else {
            continue;
        };
        // Without a file behind it, a loop device has no such attribute.
        let Ok(file) = fs::read_to_string(entry.path().join("loop/backing_file")).await else { continue };
        let file = file.trim_end_matches('\n');
        let living = file.strip_suffix(" (deleted)");
        if Path::new(living.unwrap_or(file)) == disk {
            devices.push(LoopDevice { path: Path::new("/dev").join(name), deleted: living.is_some() });
        }
    }
    devices.sort_unstable();
    Ok(devices)
}

/// Lets the loop devices on a file go. `false` if one is still in use after `patience`.
pub(super) async fn detach(disk: &Path, patience: Duration) -> Result<bool, Error> {
    let started = tokio::time::Instant::now();
    loop {
        let devices = loop_devices(disk).await?;
        if devices.is_empty() {
            return Ok(true);
        }
        if started.elapsed() > patience {
            return Ok(false);
        }
        for device in devices {
            match tools::run("losetup", [OsStr::new("-d"), device.path.as_os_str()]).await {
                Ok(()) => {}
                // It went by itself in between.
                Err(error) if error.says("No such device") => {}
                Err(error) => return Err(error.during(format!("detach `{}`", device.path.display()))),
            }
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Mounts a file system that is only memory.
pub(crate) async fn mount_memory(place: &Path) -> Result<(), Error> {
    let arguments: [&OsStr; 6] = [
        "-t".as_ref(),
        "tmpfs".as_ref(),
        "-o".as_ref(),
        "mode=0700,nosuid,nodev,noexec,size=20%".as_ref(),
        "thecloud".as_ref(),
        place.as_os_str(),
    ];
    tools::run("mount", arguments).await.map_err(|error| error.during(format!("mount memory at `{}`", place.display())))
}

/// Whether an error says that nothing is there.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_their_escapes() {
        let table = "36 35 98:0 / /mnt/a\\040b rw,noatime master:1 - ext4 /dev/loop0 rw,errors=continue\n\
                     37 35 98:1 / /mnt/plain rw - tmpfs thecloud rw\n";
        let seen: Vec<_> = mounts(table).collect();
        let expected = [("/mnt/a b", "/dev/loop0"), ("/mnt/plain", "thecloud")];
        assert_eq!(seen, expected.map(|(place, source)| (PathBuf::from(place), PathBuf::from(source))));
    }
}
