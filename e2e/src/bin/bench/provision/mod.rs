//! How long what the user declares takes to be there, against the same things made with nothing between.

mod containers;
mod one_of_many;
mod snapshot;
mod virtual_machines;
mod vpcs;

use std::time::Duration;

use crds::compute::instance::Instance;
use crds::status::{READY, is_true};

/// How it is measured.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Only this.
    #[arg(long)]
    only: Option<What>,
    /// Rounds of many at once, ours and direct in turn.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Containers at once.
    #[arg(long, default_value_t = 50)]
    at_once: usize,
    /// Vpcs at once; 250 at most.
    #[arg(long, default_value_t = 100)]
    vpcs: u8,
    /// Instances on the fake backend, of which one changes.
    #[arg(long, default_value_t = 2000)]
    many: usize,
}

/// What is measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum What {
    /// Instances on Docker.
    Containers,
    /// Networks.
    Vpcs,
    /// Instances on libvirt.
    VirtualMachines,
    /// The change of one Instance among many.
    OneOfMany,
    /// A snapshot of a large Volume with little in it.
    Snapshot,
}

pub(crate) async fn run(options: Options) -> anyhow::Result<()> {
    let wanted = |what| options.only.is_none_or(|only| only == what);
    if wanted(What::Containers) {
        containers::run(options.rounds, options.at_once).await?;
    }
    if wanted(What::Vpcs) {
        vpcs::run(options.rounds, options.vpcs).await?;
    }
    if wanted(What::VirtualMachines) {
        virtual_machines::run().await?;
    }
    if wanted(What::OneOfMany) {
        one_of_many::run(options.many).await?;
    }
    if wanted(What::Snapshot) {
        snapshot::run().await?;
    }
    Ok(())
}

/// Whether an Instance is as its spec says.
pub(crate) fn is_ready(instance: &Instance) -> bool {
    instance.status.as_ref().is_some_and(|status| is_true(&status.conditions, READY))
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

fn head(what: &str) {
    println!("\n| {what} | ours | direct | difference |\n|---|---|---|---|");
}

fn row(what: &str, ours: f64, theirs: f64) {
    println!("| {what} | {ours:.0} ms | {theirs:.0} ms | {:+.0} ms, {:.2} times |", ours - theirs, ours / theirs);
}
