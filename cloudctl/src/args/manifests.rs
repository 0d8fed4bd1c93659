//! Decides the arguments of the verbs that read YAML files.

use clap::{Args, ValueEnum};

/// How far a dry run goes.
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
    /// Say what would happen, without doing it
    #[arg(long, value_enum, value_name = "HOW", num_args = 0..=1, default_missing_value = "client")]
    pub(crate) dry_run: Option<DryRun>,
    /// yaml, json or name instead of the sentence for each object
    #[arg(short, long, value_name = "FORMAT", value_parser = ["yaml", "json", "name"])]
    pub(crate) output: Option<String>,
    /// What the server does with a field it does not know: strict refuses, warn warns, ignore drops it
    #[arg(long, value_name = "HOW", default_value = "strict", value_parser = ["strict", "warn", "ignore"])]
    pub(crate) validate: String,
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
}
