//! The processor time and memory of a server's processes, as the kernel counts them.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// The processes that make up a server: those named and all that descend from them.
#[derive(Debug, Clone)]
pub(crate) struct Processes {
    roots: Vec<u32>,
}

impl Processes {
    pub(crate) fn of(roots: Vec<u32>) -> Self {
        Self { roots }
    }

    /// In user and kernel mode, children that have ended included.
    pub(crate) fn processor_time(&self) -> anyhow::Result<Duration> {
        let mut ticks = 0;
        for pid in self.all()? {
            // One that has ended meanwhile is in the figures of its parent.
            let Ok(fields) = stat(pid) else { continue };
            for field in &fields[11..15] {
                ticks += field.parse::<u64>()?;
            }
        }
        // The kernel counts in hundredths of a second (USER_HZ) on every platform that we run on.
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Resident memory in MiB; pages that processes share are counted in parts.
    pub(crate) fn memory(&self) -> anyhow::Result<f64> {
        let mut bytes = 0;
        for pid in self.all()? {
            let Ok(smaps) = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else { continue };
            let line = smaps.lines().find_map(|line| line.strip_prefix("Pss:")).context("a process has a Pss")?;
            bytes += line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024;
        }
        Ok(bytes as f64 / f64::from(1 << 20))
    }

    fn all(&self) -> anyhow::Result<BTreeSet<u32>> {
        let mut parents = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let Ok(pid) = entry?.file_name().to_string_lossy().parse::<u32>() else { continue };
            let Ok(fields) = stat(pid) else { continue };
            parents.push((pid, fields[1].parse::<u32>()?));
        }
        let mut all: BTreeSet<u32> = self.roots.iter().copied().collect();
        loop {
            let before = all.len();
            all.extend(
                parents.iter().filter(|(_, parent)| all.contains(parent)).map(|(pid, _)| *pid).collect::<Vec<_>>(),
            );
            if all.len() == before {
                return Ok(all);
            }
        }
    }
}

/// The fields of a process's `stat` line from its state on.
fn stat(pid: u32) -> anyhow::Result<Vec<String>> {
    let line = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = line.rsplit_once(") ").context("a process has a stat line")?;
    Ok(fields.split_whitespace().map(str::to_owned).collect())
}
