//! `cloudctl`: drives The Cloud from a terminal. Everything goes over the Kubernetes wire with the `kube` client; nothing here
//! knows how the server keeps or runs things.

use std::process::ExitCode;

use clap::Parser as _;

use crate::error::{Error, chain};
use crate::output::Screen;

mod api;
mod apply_set;
mod args;
mod commands;
mod connect;
mod error;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
mod jsonpath;
mod login;
mod manifests;
mod output;

/// The whole program, from its arguments to its exit code.
pub fn main() -> ExitCode {
    let cli = args::Cli::parse();
    let screen = Screen::of_process();
    // Two providers may be compiled in; rustls refuses to guess.
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        screen.warning("another cryptography provider was installed before ours");
    }
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.error(&format!("no runtime: {error}"));
            return ExitCode::FAILURE;
        }
    };
    let result = runtime.block_on(commands::run(cli, &screen));
    // A read of standard input that is still waiting must not keep the process.
    runtime.shutdown_background();
    finish(result, &screen)
}

/// Says what went wrong, and with which code the process ends.
fn finish(result: Result<(), Error>, screen: &Screen) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    if error.is_broken_pipe() {
        return ExitCode::SUCCESS;
    }
    if !matches!(error, Error::Silent(_)) {
        screen.error(&chain(&error));
    }
    ExitCode::from(error.exit().code())
}
