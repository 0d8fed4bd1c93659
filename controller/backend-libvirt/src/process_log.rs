//! Reads when a machine started and how it ended from libvirt's own log of its QEMU process: libvirt forgets both when it
//! is restarted, and this log is what it writes for people to find out.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

/// Only the end of the log is read; a start writes some kilobytes.
const LONGEST_READ: u64 = 256 << 10;

const STARTED: &str = ": starting up libvirt version";
const ENDED: &str = ": shutting down, reason=";

/// What a log tells of one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// When it was last started.
    pub(crate) started_at: Option<Timestamp>,
    /// When it ended after that, and libvirt's word for why.
    pub(crate) ended: Option<(Timestamp, String)>,
}

/// Where libvirt writes the log of a domain's process.
pub(crate) fn path(name: &str) -> PathBuf {
    Path::new("/var/log/libvirt/qemu").join(format!("{name}.log"))
}

/// What the log tells since this moment: an earlier machine had the same name.
pub(crate) fn read(name: &str, since: Timestamp) -> Story {
    let text = tail(&path(name)).unwrap_or_default();
    story(&text, since)
}

fn tail(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LONGEST_READ)))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_READ).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn story(text: &str, since: Timestamp) -> Story {
    let mut story = Story::default();
    for line in text.lines() {
        if let Some((time, _)) = line.split_once(STARTED) {
            if let Some(at) = timestamp(time).filter(|at| *at >= since) {
                story = Story { started_at: Some(at), ended: None };
            }
        } else if let Some((time, reason)) = line.split_once(ENDED)
            && let Some(at) = timestamp(time).filter(|at| *at >= since)
        {
            story.ended = Some((at, reason.trim().to_owned()));
        }
    }
    story
}

/// `2026-01-02 03:04:05.678+0000`.
fn timestamp(text: &str) -> Option<Timestamp> {
    let (date, time) = text.trim().strip_suffix("+0000")?.split_once(' ')?;
    format!("{date}T{time}Z").parse().ok()
}

/// The exit code that stands for libvirt's word. A guest that shuts itself down has done its work.
pub(crate) fn exit_code(reason: &str) -> i64 {
    match reason {
        "shutdown" => 0,
        // 128 + SIGKILL: pulled from under it.
        "destroyed" | "failed" | "daemon" => 137,
        // 128 + SIGABRT.
        "crashed" => 134,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: &str = "2026-01-02 03:04:05.678+0000: starting up libvirt version: 9.0.0, package: 9.0.0-4 (Debian)\n\
                       LC_ALL=C \\\n/usr/bin/qemu-system-x86_64 \\\n\
                       2026-01-02 03:05:05.000+0000: shutting down, reason=shutdown\n\
                       2026-01-02 03:06:05.000+0000: starting up libvirt version: 9.0.0\n";

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_start_and_what_came_of_it_are_told() {
        let running = story(LOG, Timestamp::UNIX_EPOCH);
        assert_eq!(running, Story { started_at: Some(at("2026-01-02T03:06:05Z")), ended: None });
        let killed = format!("{LOG}2026-01-02 03:07:05.000+0000: shutting down, reason=destroyed\n");
        let ended = story(&killed, Timestamp::UNIX_EPOCH).ended.unwrap();
        assert_eq!(ended, (at("2026-01-02T03:07:05Z"), "destroyed".to_owned()));
        assert_eq!(exit_code(&ended.1), 137);
    }

    #[test]
    fn an_earlier_machine_of_the_same_name_is_not_this_one() {
        assert_eq!(story(LOG, at("2026-01-02T04:00:00Z")), Story::default());
        assert_eq!(story("guest said: shutting down, reason=lies\n", Timestamp::UNIX_EPOCH), Story::default());
    }
}
