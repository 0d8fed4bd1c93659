//! The only daemon: wires apiserver, store, controllers and backend together, all in one process or a part of them.

mod args;
mod audit;
mod doctor;
mod high_water;
mod issuers;
mod keys;
mod kubeconfig;
mod logging;
mod master_key;
mod oidc;
mod open_files;
mod orphans;
mod roles;
mod serving;
mod state;
mod stop;
mod streams;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Parser as _;

use args::{Cli, Role};

/// glibc's allocator keeps what a large answer once took; this one gives it back, and is quicker with many threads.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    // What the doctor finds out is what it prints.
    let level = if matches!(cli.role, Some(Role::Doctor(_))) { "warn" } else { "info" };
    logging::start(cli.log_format(), level);
    open_files::allow_many();
    // Before anything speaks TLS; a second provider compiled in somewhere would make rustls refuse to choose.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let ended = runtime.context("start the runtime").and_then(|runtime| {
        let ended = runtime.block_on(run(cli));
        // What blocks in a thread of its own can be left behind: every step of it may be cut off.
        runtime.shutdown_timeout(Duration::from_secs(1));
        ended
    });
    match ended {
        Ok(code) => code,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "cloudd can't go on");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.role {
        None => roles::all_in_one::run(cli.all).await?,
        Some(Role::Apiserver(args)) => roles::apiserver::run(*args).await?,
        Some(Role::Migrate(args)) => roles::migrate::run(&args).await?,
        // Nothing else is written, so that it can be appended to a file.
        Some(Role::NewKey) => println!("{}", apiserver_store::seal::SealKey::generate().to_text()),
        Some(Role::NewCertificate(args)) => roles::new_certificate::run(&args)?,
        Some(Role::Doctor(args)) => {
            return Ok(if doctor::run(&args).await { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
    }
    Ok(ExitCode::SUCCESS)
}
