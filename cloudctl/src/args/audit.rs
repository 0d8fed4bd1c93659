//! Decides the arguments of `audit`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::time::duration;

/// Arguments of `audit`.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) command: Option<AuditCommand>,
    #[command(flatten)]
    pub(crate) filter: AuditFilter,
}

/// What else there is to do with the log.
#[derive(Debug, Subcommand)]
pub(crate) enum AuditCommand {
    /// Check that no line of the log was changed, added or taken out
    Verify(VerifyArgs),
}

/// Which lines are shown.
#[derive(Args, Debug)]
pub(crate) struct AuditFilter {
    /// Only what this user did, or what was done in their name
    #[arg(long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Only what was done with this API key, token or certificate: an ApiKey's `status.prefix`, or `credential-id` of a line
    #[arg(long, value_name = "CREDENTIAL")]
    pub(crate) credential: Option<String>,
    /// Only this verb: create, update, patch, delete, get, list, ...
    #[arg(long, value_name = "VERB")]
    pub(crate) verb: Option<String>,
    /// Only objects of this kind
    #[arg(long, value_name = "KIND")]
    pub(crate) kind: Option<String>,
    /// Only objects of this name
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
    /// Only requests that ended with this status code
    #[arg(long, value_name = "CODE")]
    pub(crate) code: Option<u16>,
    /// Only what is not older than this, such as `30m` or `7d`
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(crate) since: Option<Duration>,
    /// The most lines to show; the newest are kept
    #[arg(long, value_name = "NUMBER", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub(crate) limit: u16,
    /// How to show them: `json` is the lines as they are in the log
    #[arg(short, long, value_name = "FORMAT", value_parser = ["json"])]
    pub(crate) output: Option<String>,
}

/// Arguments of `audit verify`.
#[derive(Args, Debug)]
pub(crate) struct VerifyArgs {
    /// A line that an earlier `verify` printed, and that must still be there as it was
    #[arg(long, value_name = "NUMBER:HASH")]
    pub(crate) line: Option<String>,
}
