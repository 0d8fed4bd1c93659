//! Decides the arguments of the verbs that act on running machines.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::time::duration;

/// Arguments of `logs`.
#[derive(Args, Debug)]
pub(crate) struct LogsArgs {
    /// The Instance: NAME, or KIND/NAME for another kind with logs
    #[arg(value_name = "NAME")]
    pub(crate) target: String,
    /// Go on printing what comes
    #[arg(short, long)]
    pub(crate) follow: bool,
    /// Only the last lines
    #[arg(long, value_name = "LINES")]
    pub(crate) tail: Option<u64>,
    /// Only what is younger than this, for example 10m
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) since: Option<Duration>,
    /// Put the time before every line
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Those of the machine before the present one
    #[arg(short, long)]
    pub(crate) previous: bool,
}

/// Arguments of `exec`.
#[derive(Args, Debug)]
#[command(override_usage = "cloudctl exec [OPTIONS] <NAME> -- <COMMAND>...")]
pub(crate) struct ExecArgs {
    /// The Instance: NAME, or KIND/NAME for another kind with exec
    #[arg(value_name = "NAME")]
    pub(crate) target: String,
    /// Pass standard input on
    #[arg(short = 'i', long)]
    pub(crate) stdin: bool,
    /// Give the command a terminal
    #[arg(short = 't', long)]
    pub(crate) tty: bool,
    /// Words of a command that was written without `--`
    #[arg(hide = true)]
    pub(crate) misplaced: Vec<String>,
    /// The command and its arguments
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// Arguments of `console`.
#[derive(Args, Debug)]
pub(crate) struct ConsoleArgs {
    /// The Instance: NAME, or KIND/NAME for another kind with a console
    #[arg(value_name = "NAME")]
    pub(crate) target: String,
}

/// Arguments of `stop`, `start` and `restart`.
#[derive(Args, Debug)]
pub(crate) struct PowerArgs {
    /// The Instances
    #[arg(value_name = "NAME", required = true)]
    pub(crate) targets: Vec<String>,
    /// How long to wait until it is so; 0 does not wait
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// The name of the new Instance
    pub(crate) name: String,
    /// The image to start
    #[arg(long)]
    pub(crate) image: String,
    /// Publish a port of the machine: PORT, HOSTPORT:PORT or ADDRESS:HOSTPORT:PORT, with /udp for UDP
    #[arg(long, short = 'p', value_name = "PORT")]
    pub(crate) publish: Vec<String>,
    /// Set a variable: KEY=VALUE, or KEY to take the value from here
    #[arg(long, short = 'e', value_name = "KEY=VALUE")]
    pub(crate) env: Vec<String>,
    /// Mount a Volume: VOLUME:PATH, with :ro for read-only
    #[arg(long, value_name = "VOLUME:PATH")]
    pub(crate) volume: Vec<String>,
    /// Set a label: KEY=VALUE
    #[arg(long, short = 'l', value_name = "KEY=VALUE")]
    pub(crate) label: Vec<String>,
    /// The Vpc to be in
    #[arg(long)]
    pub(crate) vpc: Option<String>,
    /// The InstanceType, for example micro
    #[arg(long = "type", value_name = "TYPE")]
    pub(crate) instance_type: Option<String>,
    /// What happens when the command ends: Always, OnFailure or Never
    #[arg(long, value_name = "POLICY")]
    pub(crate) restart_policy: Option<String>,
    /// Let COMMAND replace the image's entrypoint, not only its arguments
    #[arg(long)]
    pub(crate) command: bool,
    /// Only print the manifest, as yaml or json
    #[arg(short, long, value_name = "FORMAT", value_parser = ["yaml", "json"])]
    pub(crate) output: Option<String>,
    /// How long to wait until it is ready; 0 does not wait
    #[arg(long, default_value = "5m", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// Arguments for the image's command
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) arguments: Vec<String>,
}

/// The demonstrations.
#[derive(Debug, Subcommand)]
pub(crate) enum DemoCommand {
    /// Kill the container of an Instance and watch it come back
    Heal(HealArgs),
}

/// Arguments of `demo heal`.
#[derive(Args, Debug)]
pub(crate) struct HealArgs {
    /// The Instance; by default the first running one that is restarted always
    pub(crate) name: Option<String>,
    /// How long to wait for the recovery
    #[arg(long, default_value = "60s", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
}
