//! Decides the arguments of the verbs that read YAML files.

use clap::{ArgAction, Args, ValueEnum};

/// How far a dry run of `delete` goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DryRun {
    /// Work out the change here; the server is only read
    Client,
    /// Let the server check it, without keeping it
    Server,
}

/// Arguments of `apply`.
#[derive(Args, Debug)]
pub(crate) struct ApplyArgs {
    /// A YAML or JSON file, a folder of them, or `-` for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    pub(crate) filenames: Vec<String>,
    /// Read folders recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Take over fields that others manage
    #[arg(long)]
    pub(crate) force_conflicts: bool,
    /// Delete what was applied with this set before and is not in the files now
    #[arg(long, requires = "applyset")]
    pub(crate) prune: bool,
    /// With --prune: the set that the files are. NAME and secret/NAME note it in a Secret of the namespace, configmap/NAME in
    /// a ConfigMap
    #[arg(long, value_name = "NAME", requires = "prune")]
    pub(crate) applyset: Option<String>,
    /// Let the server say what would happen, without doing it
    #[arg(long, value_name = "HOW", num_args = 0..=1, require_equals = true, default_missing_value = "server",
        default_value = "none", hide_default_value = true, value_parser = server_dry_run, action = ArgAction::Set)]
    pub(crate) dry_run: bool,
    /// yaml, json or name instead of the sentence for each object
    #[arg(short, long, value_name = "FORMAT", value_parser = ["yaml", "json", "name"])]
    pub(crate) output: Option<String>,
}

/// Only the server can say what it makes of a wish.
fn server_dry_run(text: &str) -> Result<bool, String> {
    match text {
        "server" => Ok(true),
        "none" => Ok(false),
        "client" => Err("the server works out what an apply changes; use --dry-run=server".to_owned()),
        _ => Err("use --dry-run=server".to_owned()),
    }
}

/// Arguments of `diff`.
#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A YAML or JSON file, a folder of them, or `-` for standard input
    #[arg(short, long = "filename", value_name = "FILE", required = true)]
    pub(crate) filenames: Vec<String>,
    /// Read folders recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Show changes of fields that others manage, too
    #[arg(long)]
    pub(crate) force_conflicts: bool,
    /// Show what `apply --prune` would delete, too
    #[arg(long, requires = "applyset")]
    pub(crate) prune: bool,
    /// With --prune: the set that the files are
    #[arg(long, value_name = "NAME", requires = "prune")]
    pub(crate) applyset: Option<String>,
}
