//! Decides the arguments of the verbs for administrators of the whole cloud.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// What administrators do.
#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Write everything that the cloud remembers into a file
    Backup(BackupArgs),
    /// Put a backup in the place of everything that the cloud remembers
    Restore(RestoreArgs),
    /// Decide about what a restore has orphaned
    #[command(subcommand)]
    Sweep(SweepCommand),
}

/// Arguments of `admin backup`.
#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// The file to write, or - for standard output
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Write Secrets in the clear, so that no key is needed to restore them. Keep such a file as you keep a password
    #[arg(long)]
    pub(crate) plain_secrets: bool,
}

/// Arguments of `admin restore`.
#[derive(Args, Debug)]
pub(crate) struct RestoreArgs {
    /// The backup, or - for standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Replace what is there, too
    #[arg(long)]
    pub(crate) force: bool,
    /// The sealing key of the installation that the backup is from (its `secret.key`), if this one has another
    #[arg(long, value_name = "FILE")]
    pub(crate) key_file: Option<PathBuf>,
}

/// Machines and networks that have no object any more.
#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Say whether they are kept, and why
    Status,
    /// Let them be removed
    Confirm,
}
