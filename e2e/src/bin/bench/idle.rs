//! What settled Instances cost while nothing changes: the processor time and memory of cloudd, as the kernel counts them.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;
use crds::compute::instance::{Instance, InstanceSpec};
use e2e::Cloud;
use kube::api::Api;

use crate::measure::{client, create_and_await};
use crate::provision::is_ready;

/// Instances created at once while filling the cloud.
const BATCH: usize = 50;
/// How long the cloud may settle before it is watched.
const SETTLE: Duration = Duration::from_secs(15);

pub(crate) async fn run(instances: usize, seconds: u64) -> anyhow::Result<()> {
    let cloud = Cloud::builder().fake().start();
    let empty = memory(cloud.pid())?;
    let api: Api<Instance> = Api::default_namespaced(client(&cloud).await?);
    let all: Vec<Instance> = (0..instances).map(|number| instance(&format!("idle-{number}"))).collect();
    for batch in all.chunks(BATCH) {
        create_and_await(&api, is_ready, batch).await?;
    }
    tokio::time::sleep(SETTLE).await;
    let before = processor_time(cloud.pid())?;
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let used = processor_time(cloud.pid())?.saturating_sub(before);
    println!("| {instances} settled Instances, watched for {seconds} s | |\n|---|---|");
    println!("| processor time | {:.2} % of one core |", used.as_secs_f64() * 100.0 / seconds as f64);
    println!("| resident memory | {:.1} MiB (empty: {:.1} MiB) |", mib(memory(cloud.pid())?), mib(empty));
    println!("| its peak | {:.1} MiB |", mib(status_field(cloud.pid(), "VmHWM:")?));
    Ok(())
}

fn instance(name: &str) -> Instance {
    Instance::new(name, InstanceSpec { image: "busybox:stable".to_owned(), ..InstanceSpec::default() })
}

/// The processor time that a process has used, in user and kernel.
fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = stat.rsplit(") ").next().context("a process has a stat line")?.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    // The kernel counts in hundredths of a second (USER_HZ) on every platform that we run on.
    Ok(Duration::from_millis(ticks * 10))
}

/// Resident memory, in bytes.
fn memory(pid: u32) -> anyhow::Result<u64> {
    status_field(pid, "VmRSS:")
}

fn status_field(pid: u32, field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)).context("a process has a status")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? * 1024)
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
