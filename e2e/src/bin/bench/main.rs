//! Measures the product against the same work done without it, in the same run. Prints tables; gates on nothing.

mod api;
mod direct;
mod idle;
mod measure;
mod provision;

use clap::Parser;

/// What to measure. Use a release build: `just bench NAME`.
#[derive(Parser)]
enum Bench {
    /// Every verb of the apiserver on SQLite and on PostgreSQL: rates, latencies, processor time, memory.
    Api(api::Options),
    /// What many objects change: the cost of requests with few and with many, the start, the memory.
    Scale(api::scale::Options),
    /// Objects from apply to Ready, against the same things made directly: containers and networks by Docker's API,
    /// virtual machines by virsh. And what many Instances change for one, and what a snapshot copies.
    Provision(provision::Options),
    /// What settled Instances on the fake backend cost while nothing changes.
    Idle {
        /// How many.
        #[arg(long, default_value_t = 1000)]
        instances: usize,
        /// Seconds to watch.
        #[arg(long, default_value_t = 60)]
        seconds: u64,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    match Bench::parse() {
        Bench::Api(options) => api::run(options).await,
        Bench::Scale(options) => api::scale::run_scale(options).await,
        Bench::Provision(options) => provision::run(options).await,
        Bench::Idle { instances, seconds } => idle::run(instances, seconds).await,
    }
}
