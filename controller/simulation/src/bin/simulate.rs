//! `just simulate`: plays the schedules of many seeds, or a script. `RUST_LOG=info` tells on stderr what the controllers do.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use controller_simulation::schedule::{Sweep, draw, judge, read, script, sweep};

/// Plays random schedules of wishes and accidents on virtual time, and compares how they end.
#[derive(Debug, Parser)]
struct Arguments {
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first seed
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// No new seed is begun after so many seconds
    #[arg(long, default_value_t = u64::MAX)]
    seconds: u64,
    /// Play the others, too, after one has failed
    #[arg(long)]
    keep_going: bool,
    /// Print the script of this seed instead, with all its accidents
    #[arg(long, value_name = "SEED")]
    draw: Option<u64>,
    /// Play this script instead
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
}

/// A schedule is mostly small allocations, at which this one is a sixth quicker.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = tracing_subscriber::EnvFilter::from_default_env();
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .init();
    if let Some(seed) = arguments.draw {
        print!("{}", script(&draw(seed)));
        return ExitCode::SUCCESS;
    }
    let begin = Instant::now();
    let said = match &arguments.script {
        Some(file) => played(file),
        None => swept(&arguments),
    };
    let took = begin.elapsed().as_secs_f64();
    match said {
        Ok(said) => {
            println!("{said}, in {took:.1} s");
            ExitCode::SUCCESS
        }
        Err(said) => {
            println!("{said}");
            ExitCode::FAILURE
        }
    }
}

fn played(file: &PathBuf) -> Result<String, String> {
    let script = std::fs::read_to_string(file).map_err(|error| format!("{}: {error}", file.display()))?;
    judge(&read(&script)?).map_err(|failure| failure.what)?;
    Ok("the script ended as it does where nothing goes wrong".to_owned())
}

fn swept(arguments: &Arguments) -> Result<String, String> {
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let limit = Duration::from_secs(arguments.seconds);
    let wanted =
        Sweep { from: arguments.from, seeds: arguments.seeds, limit, threads, keep_going: arguments.keep_going };
    let played = sweep(wanted).map_err(|failed| failed.to_string())?;
    Ok(format!("{played} schedules ended as they do where nothing goes wrong"))
}
