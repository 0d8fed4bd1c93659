//! What the host itself offers: its packet filter, loop devices, disk, ports and clock.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use apiserver::{Clock as _, SystemClock};

use super::Finding;
use crate::args::PortRange;

/// Below this nothing is promised.
const NO_ROOM: u64 = 1 << 30;
/// Below this it is time to look.
const LITTLE_ROOM: u64 = 5 << 30;
/// How far the clock may lie behind what it has stamped itself.
const SLACK: Duration = Duration::from_secs(60);
/// Programs that keep a clock, as the kernel names them (15 letters).
const KEEPERS: [&str; 5] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd", "ntpd-rs"];

/// Runs a tool; what it says, or why not.
async fn tool(program: &str, arguments: &[&str]) -> io::Result<Result<String, String>> {
    let path = std::env::var("PATH").unwrap_or_default();
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .env("LC_ALL", "C")
        // These live in sbin, which is not always on the path.
        .env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"))
        .stdin(Stdio::null())
        .output()
        .await?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    Ok(if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) })
}

pub(super) async fn packet_filter() -> Finding {
    let what = "packet filter";
    match tool("nft", &["list", "tables"]).await {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Finding::fail(what, "`nft` is not installed", "install the package `nftables`: without it no Vpc is ready")
        }
        Err(error) => Finding::fail(what, format!("`nft` can't be run: {error}"), "see why"),
        Ok(Err(said)) => Finding::fail(what, format!("`nft` may not: {said}"), "run cloudd as root"),
        Ok(Ok(_)) => {
            let version = tool("nft", &["--version"]).await.ok().and_then(Result::ok).unwrap_or_default();
            Finding::ok(what, if version.is_empty() { "nft".to_owned() } else { version })
        }
    }
}

pub(super) fn bridged_packets() -> Finding {
    let what = "br_netfilter";
    let read = fs::read_to_string("/proc/sys/net/bridge/bridge-nf-call-iptables");
    match read.as_deref().map(str::trim) {
        Ok("1") => Finding::ok(what, "loaded; packets between machines of one network meet the filter"),
        Ok(_) => Finding::warn(what, "loaded and off", "cloudd turns it on when the first Vpc is made"),
        Err(_) => {
            let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
            if has_module("br_netfilter", release.trim()) {
                Finding::ok(what, "not loaded yet; cloudd loads it when the first Vpc is made")
            } else {
                Finding::fail(
                    what,
                    "the kernel has no such module",
                    "install the kernel's modules: without it machines of one network can't be kept apart",
                )
            }
        }
    }
}

/// Whether the kernel of this release has a module in it or beside it.
fn has_module(name: &str, release: &str) -> bool {
    ["modules.dep", "modules.builtin"].iter().any(|list| {
        let path = Path::new("/lib/modules").join(release).join(list);
        fs::read_to_string(path).is_ok_and(|text| text.contains(&format!("/{name}.ko")))
    })
}

pub(super) fn loop_devices() -> Finding {
    let what = "loop devices";
    let way_out = "Volumes are plain directories then, whose size nothing enforces";
    if let Err(error) = fs::OpenOptions::new().read(true).write(true).open("/dev/loop-control") {
        return Finding::warn(what, format!("/dev/loop-control can't be opened: {error}"), way_out);
    }
    let missing: Vec<_> =
        ["losetup", "mkfs.ext4", "mount"].into_iter().filter(|program| !is_installed(program)).collect();
    if missing.is_empty() {
        Finding::ok(what, "there, with losetup and mkfs.ext4")
    } else {
        let found = format!("{} not installed", missing.join(", "));
        Finding::warn(what, found, format!("install `util-linux`, `mount` and `e2fsprogs`; {way_out}"))
    }
}

fn is_installed(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    let sbin = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(str::to_owned);
    path.split(':').map(str::to_owned).chain(sbin).any(|folder| Path::new(&folder).join(program).is_file())
}

/// The folder, or the nearest above it that is there.
fn existing(folder: &Path) -> PathBuf {
    let absolute = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    absolute.ancestors().find(|above| above.is_dir()).unwrap_or(Path::new("/")).to_owned()
}

pub(super) fn reflinks(data_dir: &Path) -> Finding {
    let what = "reflinks";
    let folder = existing(data_dir);
    match can_share(&folder) {
        Ok(()) => Finding::ok(what, format!("{}: snapshots of Volumes share their data", folder.display())),
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem) => {
            Finding::fail(what, format!("{} can't be written to: {error}", folder.display()), "run cloudd as its owner")
        }
        Err(_) => Finding::warn(
            what,
            format!("the file system of {} has none", folder.display()),
            "snapshots copy what a Volume holds; on XFS or Btrfs they would not",
        ),
    }
}

/// Tries it, with two files that have no name.
fn can_share(folder: &Path) -> io::Result<()> {
    use rustix::fs::{Mode, OFlags};
    let unnamed =
        || rustix::fs::open(folder, OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
    let (from, to) = (unnamed()?, unnamed()?);
    rustix::io::write(&from, &[1; 4096])?;
    Ok(rustix::fs::ioctl_ficlone(&to, &from)?)
}

pub(super) fn disk(data_dir: &Path) -> Finding {
    let folder = existing(data_dir);
    match rustix::fs::statvfs(&folder) {
        Ok(stat) => judge_disk(
            &folder,
            stat.f_bavail.saturating_mul(stat.f_frsize),
            stat.f_blocks.saturating_mul(stat.f_frsize),
        ),
        Err(error) => Finding::fail("free disk", format!("{}: {error}", folder.display()), "name another --data-dir"),
    }
}

fn judge_disk(folder: &Path, free: u64, all: u64) -> Finding {
    let what = "free disk";
    let gibibytes = |bytes: u64| bytes.saturating_mul(10) / (1 << 30);
    let words = |bytes: u64| format!("{}.{} GiB", gibibytes(bytes) / 10, gibibytes(bytes) % 10);
    let found = format!("{} of {} at {}", words(free), words(all), folder.display());
    let way_out = "make room, or name another --data-dir";
    if free < NO_ROOM {
        Finding::fail(what, found, way_out)
    } else if free < LITTLE_ROOM {
        Finding::warn(what, found, way_out)
    } else {
        Finding::ok(what, found)
    }
}

pub(super) async fn listening(address: SocketAddr) -> Finding {
    let what = "API port";
    match tokio::net::TcpListener::bind(address).await {
        Ok(_) => Finding::ok(what, format!("{address} is free")),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Finding::warn(
            what,
            format!("{address} is taken"),
            format!(
                "fine if this cloud runs already; else see `ss -ltnp sport = :{}`, or choose another by --listen",
                address.port()
            ),
        ),
        Err(error) => Finding::fail(what, format!("{address} can't be used: {error}"), "choose another by --listen"),
    }
}

pub(super) fn published_range(range: PortRange) -> Finding {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let mut ephemeral = setting.split_whitespace().map_while(|port| port.parse::<u16>().ok());
    match (ephemeral.next(), ephemeral.next()) {
        (Some(first), Some(last)) => judge_range(range, PortRange { first, last }),
        _ => Finding::ok("published ports", format!("{}-{}", range.first, range.last)),
    }
}

fn judge_range(range: PortRange, ephemeral: PortRange) -> Finding {
    let what = "published ports";
    let found = format!("{}-{}", range.first, range.last);
    if range.last < ephemeral.first || ephemeral.last < range.first {
        return Finding::ok(what, found);
    }
    Finding::warn(
        what,
        format!("{found} meet the kernel's own {}-{}", ephemeral.first, ephemeral.last),
        "an outgoing connection may have one first; choose others by --publish-range",
    )
}

pub(super) fn clock(data_dir: &Path) -> Finding {
    let written = fs::metadata(data_dir.join("cloud.db")).and_then(|metadata| metadata.modified()).ok();
    let keeper = fs::read_dir("/proc").into_iter().flatten().flatten().find_map(|entry| {
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        KEEPERS.into_iter().find(|keeper| *keeper == name.trim())
    });
    judge_clock(SystemClock.now().into(), written, keeper)
}

fn judge_clock(now: SystemTime, written: Option<SystemTime>, keeper: Option<&str>) -> Finding {
    let what = "clock";
    if written.is_some_and(|written| written > now + SLACK) {
        let way_out = "set it: tokens, certificates and leases go by it";
        return Finding::fail(what, "it lies before the last write to the store", way_out);
    }
    match keeper {
        Some(keeper) => Finding::ok(what, format!("kept by {keeper}")),
        None => Finding::warn(
            what,
            "no program keeps it",
            "install chrony, unless what this host runs on keeps it: tokens and certificates go by it",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Level;
    use super::*;

    #[test]
    fn a_full_disk_fails_before_it_is_full() {
        let level = |free: u64| judge_disk(Path::new("/d"), free, 100 << 30).level;
        assert_eq!([level(0), level(NO_ROOM - 1), level(NO_ROOM)], [Level::Fail, Level::Fail, Level::Warn]);
        assert_eq!(level(LITTLE_ROOM), Level::Ok);
        assert_eq!(judge_disk(Path::new("/d"), 3 << 29, 2 << 30).found, "1.5 GiB of 2.0 GiB at /d");
    }

    #[test]
    fn published_ports_must_not_meet_the_kernels_own() {
        let ephemeral = PortRange { first: 32768, last: 60999 };
        let level = |first, last| judge_range(PortRange { first, last }, ephemeral).level;
        assert_eq!(level(20000, 29999), Level::Ok);
        assert_eq!(level(61000, 62000), Level::Ok);
        assert_eq!(level(30000, 32768), Level::Warn);
        assert_eq!(level(60999, 61000), Level::Warn);
    }

    #[test]
    fn a_clock_that_went_back_fails_and_one_that_nobody_keeps_warns() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let level = |written: Option<SystemTime>, keeper| judge_clock(now, written, keeper).level;
        assert_eq!(level(Some(now + Duration::from_secs(3600)), Some("chronyd")), Level::Fail);
        assert_eq!(level(Some(now + Duration::from_secs(5)), Some("chronyd")), Level::Ok);
        assert_eq!(level(None, None), Level::Warn);
    }

    #[tokio::test]
    async fn a_taken_port_is_no_failure_and_an_address_of_another_host_is() {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(listening(taken.local_addr().unwrap()).await.level, Level::Warn);
        assert_eq!(listening("192.0.2.1:6443".parse().unwrap()).await.level, Level::Fail);
    }

    #[test]
    fn what_is_tried_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("not/yet");
        assert_eq!(existing(&missing), folder.path());
        assert_ne!(reflinks(&missing).level, Level::Fail);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
