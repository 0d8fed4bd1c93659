//! Decides the arguments of the verbs that act on running machines.

use std::path::PathBuf;
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

/// Arguments of `cp`.
#[derive(Args, Debug)]
pub(crate) struct CpArgs {
    /// What to copy: NAME:/PATH in an Instance, or a path here
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// Where to: the other of the two. Into a folder that is there, or under this name
    #[arg(value_name = "TO")]
    pub(crate) to: String,
}

/// Arguments of `port-forward`.
#[derive(Args, Debug)]
pub(crate) struct PortForwardArgs {
    /// The Instance: NAME, or KIND/NAME for another kind with ports
    #[arg(value_name = "NAME")]
    pub(crate) target: String,
    /// A port here and one of the machine; PORT for both, :REMOTE for any free one here
    #[arg(value_name = "LOCAL:REMOTE", required_unless_present = "stdio")]
    pub(crate) ports: Vec<String>,
    /// Carry standard input and output to this port of the machine, as a ProxyCommand does
    #[arg(long, value_name = "PORT", conflicts_with = "ports", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) stdio: Option<u16>,
}

/// Arguments of `ssh`.
#[derive(Args, Debug)]
#[command(override_usage = "cloudctl ssh [OPTIONS] <[USER@]NAME> [-- COMMAND...]")]
pub(crate) struct SshArgs {
    /// The Instance, with the user to log in as
    #[arg(value_name = "[USER@]NAME")]
    pub(crate) target: String,
    /// The user to log in as
    #[arg(short, long, value_name = "USER")]
    pub(crate) login: Option<String>,
    /// The file of the private key
    #[arg(short, long, value_name = "FILE")]
    pub(crate) identity: Option<PathBuf>,
    /// The port that the machine's sshd listens on
    #[arg(short, long, value_name = "PORT", default_value_t = 22, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) port: u16,
    /// An option of ssh, as in ssh_config
    #[arg(short, long, value_name = "OPTION=VALUE")]
    pub(crate) option: Vec<String>,
    /// The command to run instead of a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}

/// Arguments of `top`.
#[derive(Args, Debug)]
pub(crate) struct TopArgs {
    /// Instances; all that run, when none is named
    #[arg(value_name = "[inst] NAME")]
    pub(crate) targets: Vec<String>,
    /// Go on, with a new table every other second
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Only those with these labels
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Those of all namespaces
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
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
