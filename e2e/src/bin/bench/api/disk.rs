//! What a durable write costs on this disk without any server: no store can be faster than that.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::{Duration, Instant};

use super::load::Outcome;
use super::phases::{EVENTS, EVENTS_A_SECOND};

/// About what one object costs in a database: three pages.
const BYTES: usize = 3 * 8_192;

/// As many durable writes as the watch phase makes objects, at the same pace, over a file that has its size already (as
/// the log of a database has).
pub(crate) async fn durable_writes() -> anyhow::Result<Outcome> {
    let folder = tempfile::tempdir()?;
    let file = File::create(folder.path().join("disk"))?;
    let data = vec![0x5a; BYTES];
    file.write_all_at(&vec![0; BYTES * EVENTS], 0)?;
    file.sync_all()?;
    let mut latencies = Vec::with_capacity(EVENTS);
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / EVENTS_A_SECOND);
    let began = Instant::now();
    for number in 0..EVENTS {
        ticks.tick().await;
        let sent = Instant::now();
        file.write_all_at(&data, (number * BYTES) as u64)?;
        file.sync_data()?;
        latencies.push(sent.elapsed());
    }
    Ok(Outcome { requests: EVENTS, wall: began.elapsed(), processor: Duration::ZERO, latencies })
}
