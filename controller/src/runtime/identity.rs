//! Who this process is, so that the next one on the same host can tell at once whether it is gone, instead of waiting
//! until its Lease expires: after `kill -9` the cloud goes on immediately.

use std::fs;

/// The name of this process: host, boot, namespace of processes, process, and when that started.
#[must_use]
pub fn this_process() -> String {
    let process = std::process::id();
    let start = start_of(process).unwrap_or_else(|| "0".to_owned());
    format!("{}_{process}_{start}", here())
}

/// Whether the process of that name was on this host and is gone. `false` where that can't be told.
#[must_use]
pub fn is_gone(holder: &str) -> bool {
    let mut parts = holder.rsplitn(3, '_');
    let (Some(start), Some(process), Some(place)) = (parts.next(), parts.next(), parts.next()) else { return false };
    let Ok(process) = process.parse::<u32>() else { return false };
    let here = here();
    if place != here {
        // Same host, earlier boot: nothing of then runs now.
        let (host, boot) = (host(), boot());
        let mut there = place.rsplitn(3, '_');
        let (_, boot_there, host_there) = (there.next(), there.next(), there.next());
        return !boot.is_empty() && host_there == Some(host.as_str()) && boot_there.is_some_and(|there| there != boot);
    }
    start_of(process).is_none_or(|started| started != start)
}

fn here() -> String {
    let namespace = fs::read_link("/proc/self/ns/pid")
        .map(|link| link.to_string_lossy().chars().filter(char::is_ascii_digit).collect::<String>())
        .unwrap_or_default();
    format!("{}_{}_{namespace}", host(), boot())
}

fn host() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default().trim().to_owned()
}

fn boot() -> String {
    let mut boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    boot.truncate(8);
    boot
}

/// When a process started, in ticks since the boot (field 22 of its `stat`; the name in field 2 may hold anything).
fn start_of(process: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    // A process that only waits to be reaped does nothing any more.
    let mut fields = fields.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_gone() {
        assert!(!is_gone(&this_process()));
    }

    #[test]
    fn a_process_with_another_start_is_gone() {
        let name = this_process();
        let (place, _) = name.rsplit_once('_').unwrap();
        assert!(is_gone(&format!("{place}_1")));
    }

    #[test]
    fn nothing_is_known_about_another_host_or_another_kind_of_name() {
        assert!(!is_gone("elsewhere_12345678_1_42_1000"));
        assert!(!is_gone("somebody"));
    }

    #[test]
    fn what_ran_before_the_last_boot_is_gone() {
        assert!(is_gone(&format!("{}_00000000_1_42_1000", host())));
    }
}
