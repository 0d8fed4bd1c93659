//! Ends a command whose client has gone: Docker has no call for it and lets it run on.
//!
//! The command and what descends from it are signalled on the host, each only while the kernel says that it is still in
//! the machine's control group, so that a number that has passed to another process is never hit. Where the daemon runs
//! on another host there is no such process here, and the command runs on.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use bollard::Docker;
use rustix::process::{Pid, Signal, kill_process};

/// What a command gets between being asked to end and being killed.
const GRACE: Duration = Duration::from_secs(1);

/// Ends the command of an exec in a container, if it still runs.
pub(crate) async fn end(client: &Docker, exec: &str, container: &str) {
    for signal in [Signal::TERM, Signal::KILL] {
        let Ok(state) = client.inspect_exec(exec).await else { return };
        let pid = state.pid.and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 1);
        let (Some(true), Some(pid)) = (state.running, pid) else { return };
        let family = family(pid);
        let ended = family.iter().filter(|pid| is_inside(**pid, container)).filter(|pid| send(**pid, signal)).count();
        tracing::debug!(exec, ended, ?signal, "the client of a command has gone");
        tokio::time::sleep(GRACE).await;
    }
}

fn send(pid: u32, signal: Signal) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| kill_process(pid, signal).is_ok())
}

/// The process and all that descend from it.
fn family(first: u32) -> BTreeSet<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)?)))
        .collect();
    let mut family = BTreeSet::from([first]);
    loop {
        let known = family.len();
        for (pid, parent) in &parents {
            if family.contains(parent) {
                family.insert(*pid);
            }
        }
        if family.len() == known {
            return family;
        }
    }
}

/// The second field behind the name, which is in parentheses and may hold anything.
fn parent(stat: &str) -> Option<u32> {
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split(' ').nth(1)?.parse().ok()
}

/// Whether the kernel has the process in the container's control group.
fn is_inside(pid: u32, container: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|groups| groups.contains(container))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parent_is_read_behind_any_name() {
        assert_eq!(parent("12 (a) b ) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (sh) S"), None);
    }

    #[test]
    fn family_holds_children_and_no_strangers() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().expect("sleep runs");
        let family = family(std::process::id());
        assert!(family.contains(&child.id()) && !family.contains(&1));
        assert!(!is_inside(child.id(), "no such container"));
        child.kill().expect("kill");
        child.wait().expect("wait");
    }
}
