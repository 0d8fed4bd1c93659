//! What the apiserver costs: requests a second, latencies and processor time of every verb on one custom kind.
//!
//! The servers are measured in turn, round by round, so that what else the machine does hits all of them. A peer
//! (any server of Kubernetes' API, `--peer`) joins the same rounds.

mod connection;
mod disk;
mod load;
mod objects;
mod phases;
pub(crate) mod process;
mod report;
pub(crate) mod scale;
mod targets;

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use self::objects::Maker;
use self::report::Report;
use self::targets::{Peer, Target};

/// What to measure and against whom.
#[derive(Args)]
pub(crate) struct Options {
    /// Rounds; each measures every server once.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Objects that are created, read, listed and deleted in a round.
    #[arg(long, default_value_t = 5_000)]
    objects: usize,
    /// Bytes of an object as it is sent.
    #[arg(long, default_value_t = 2_048)]
    size: usize,
    /// Concurrent clients, each on a connection of its own.
    #[arg(long, default_values_t = [1, 64])]
    clients: Vec<usize>,
    /// Watchers during the watch phase.
    #[arg(long, default_value_t = 100)]
    watchers: usize,
    /// Stores of ours to measure: `sqlite`, `postgres`.
    #[arg(long = "store", default_values_t = ["sqlite".to_owned(), "postgres".to_owned()])]
    stores: Vec<String>,
    /// Another server: `name=NAME,url=https://127.0.0.1:PORT,ca=FILE,token=TOKEN,pid=PID[,pid=PID]`. Its definition of
    /// `benchwidgets.bench.thecloud.dev` is made and its objects are deleted again.
    #[arg(long = "peer")]
    peers: Vec<Peer>,
    /// Where the figures are written as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let mut targets = Vec::new();
    for store in &options.stores {
        targets.push(Target::ours(store).await?);
    }
    for peer in &options.peers {
        targets.push(Target::peer(peer)?);
    }
    anyhow::ensure!(!targets.is_empty(), "no server to measure: name a --store or a --peer");
    let maker = Maker::new(options.size);
    let mut report = Report::default();
    for target in &targets {
        objects::define(target).await.with_context(|| format!("{} takes no definition", target.name))?;
        report.memory(&target.name, "started", &target.processes)?;
    }
    for round in 0..options.rounds {
        // Every second round goes the other way, so that none is always the first.
        let order: Vec<&Target> =
            if round % 2 == 0 { targets.iter().collect() } else { targets.iter().rev().collect() };
        report.add("the disk alone", "durable write", 1, disk::durable_writes().await?);
        for target in order {
            eprintln!("round {} of {}: {}", round + 1, options.rounds, target.name);
            phases::round(target, &maker, &options, &mut report).await?;
        }
    }
    for target in &targets {
        report.memory(&target.name, "at the end", &target.processes)?;
    }
    report.print();
    if let Some(file) = &options.json {
        std::fs::write(file, report.json()).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
