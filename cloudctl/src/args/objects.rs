//! Decides the arguments of the verbs that act on objects of any kind.

use std::time::Duration;

use clap::{Args, ValueEnum};

use super::time::duration;

/// Arguments of `get`.
#[derive(Args, Debug)]
pub(crate) struct GetArgs {
    /// KIND[,KIND] [NAME...], KIND/NAME..., or `all`
    #[arg(value_name = "KIND [NAME] | KIND/NAME | all", required_unless_present = "filenames")]
    pub(crate) targets: Vec<String>,
    /// Get the objects that these files name
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "targets")]
    pub(crate) filenames: Vec<String>,
    /// With -f: read folders recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// yaml, json, wide, name, jsonpath=TEMPLATE, custom-columns=HEADING:PATH,...
    #[arg(short, long, value_name = "FORMAT")]
    pub(crate) output: Option<String>,
    /// After listing, print every change until interrupted
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Print changes only, without the list first
    #[arg(long)]
    pub(crate) watch_only: bool,
    /// Only objects whose labels match, for example `app=web,tier!=db`
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Only objects whose fields match, for example `metadata.name=web`
    #[arg(long, value_name = "FIELDS")]
    pub(crate) field_selector: Option<String>,
    /// In every namespace
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Order rows by a field, for example `.metadata.creationTimestamp`
    #[arg(long, value_name = "JSONPATH", conflicts_with = "watch")]
    pub(crate) sort_by: Option<String>,
    /// Add a column with the labels
    #[arg(long)]
    pub(crate) show_labels: bool,
    /// Leave out the line of headings
    #[arg(long)]
    pub(crate) no_headers: bool,
    /// Keep managedFields in yaml and json
    #[arg(long)]
    pub(crate) show_managed_fields: bool,
    /// Succeed when a named object does not exist
    #[arg(long)]
    pub(crate) ignore_not_found: bool,
}

/// Arguments of `describe`.
#[derive(Args, Debug)]
pub(crate) struct DescribeArgs {
    /// KIND [NAME...] or KIND/NAME...
    #[arg(value_name = "KIND [NAME] | KIND/NAME", required = true)]
    pub(crate) targets: Vec<String>,
    /// Only objects whose labels match
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// In every namespace
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
}

/// What becomes of the objects that belong to a deleted one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Cascade {
    /// They go afterwards
    Background,
    /// They go first
    Foreground,
    /// They stay
    Orphan,
}

/// Arguments of `delete`.
#[derive(Args, Debug)]
pub(crate) struct DeleteArgs {
    /// KIND NAME..., KIND/NAME..., or KIND with --all or -l
    #[arg(value_name = "KIND NAME | KIND/NAME", required_unless_present = "filenames")]
    pub(crate) targets: Vec<String>,
    /// Delete the objects that these files name; `-` is standard input
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "targets")]
    pub(crate) filenames: Vec<String>,
    /// With -f: read folders recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Only objects whose labels match
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Every object of the kind in the namespace
    #[arg(long, conflicts_with = "selector")]
    pub(crate) all: bool,
    /// Wait until the objects are gone
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set, num_args = 0..=1, default_missing_value = "true", value_name = "BOOL")]
    pub(crate) wait: bool,
    /// Give up waiting after this long; 0 waits for ever
    #[arg(long, default_value = "0", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// What becomes of the objects that belong to these
    #[arg(long, value_enum, default_value = "background", value_name = "HOW")]
    pub(crate) cascade: Cascade,
    /// Succeed when there is nothing to delete
    #[arg(long)]
    pub(crate) ignore_not_found: bool,
    /// Ask the server, but delete nothing
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "client", value_name = "HOW")]
    pub(crate) dry_run: Option<super::manifests::DryRun>,
}

/// Arguments of `wait`.
#[derive(Args, Debug)]
pub(crate) struct WaitArgs {
    /// KIND/NAME..., KIND NAME..., or KIND with --all or -l
    #[arg(value_name = "KIND/NAME", required_unless_present = "filenames")]
    pub(crate) targets: Vec<String>,
    /// The objects that these files name
    #[arg(short, long = "filename", value_name = "FILE", conflicts_with = "targets")]
    pub(crate) filenames: Vec<String>,
    /// With -f: read folders recursively
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// condition=NAME[=VALUE], delete, create, or jsonpath=PATH[=VALUE]
    #[arg(long = "for", value_name = "WHAT", default_value = "condition=Ready")]
    pub(crate) what: String,
    /// Give up after this long; 0 looks once
    #[arg(long, default_value = "30s", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// Only objects whose labels match
    #[arg(short = 'l', long, value_name = "LABELS")]
    pub(crate) selector: Option<String>,
    /// Every object of the kind in the namespace
    #[arg(long, conflicts_with = "selector")]
    pub(crate) all: bool,
}

/// Arguments of `label`.
#[derive(Args, Debug)]
pub(crate) struct LabelArgs {
    /// KIND NAME... or KIND/NAME..., then KEY=VALUE to set, KEY- to remove
    #[arg(value_name = "KIND NAME KEY=VALUE | KEY-", required = true)]
    pub(crate) words: Vec<String>,
    /// Replace values that are set to something else
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// Arguments of `annotate`.
#[derive(Args, Debug)]
pub(crate) struct AnnotateArgs {
    /// KIND NAME... or KIND/NAME..., then KEY=VALUE to set, KEY- to remove
    #[arg(value_name = "KIND NAME KEY=VALUE | KEY-", required = true)]
    pub(crate) words: Vec<String>,
    /// Replace values that are set to something else
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// Arguments of `events`.
#[derive(Args, Debug)]
pub(crate) struct EventsArgs {
    /// Only those of one object
    #[arg(long = "for", value_name = "KIND/NAME")]
    pub(crate) target: Option<String>,
    /// Only Normal or only Warning
    #[arg(long, value_name = "TYPE")]
    pub(crate) types: Option<String>,
    /// In every namespace
    #[arg(short = 'A', long)]
    pub(crate) all_namespaces: bool,
    /// Go on printing until interrupted
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// Arguments of `explain`.
#[derive(Args, Debug)]
pub(crate) struct ExplainArgs {
    /// KIND, or KIND.field.field
    #[arg(value_name = "KIND[.FIELD...]")]
    pub(crate) path: String,
    /// Show every field below
    #[arg(long)]
    pub(crate) recursive: bool,
}

/// Arguments of `api-resources`.
#[derive(Args, Debug)]
pub(crate) struct ApiResourcesArgs {
    /// Only kinds of this group
    #[arg(long, value_name = "GROUP")]
    pub(crate) api_group: Option<String>,
    /// `wide` adds verbs and categories; `name` prints names only
    #[arg(short, long, value_name = "FORMAT", value_parser = ["wide", "name"])]
    pub(crate) output: Option<String>,
    /// Leave out the line of headings
    #[arg(long)]
    pub(crate) no_headers: bool,
}

/// Arguments of `version`.
#[derive(Args, Debug)]
pub(crate) struct VersionArgs {
    /// Only this program's version; asks no server
    #[arg(long)]
    pub(crate) client: bool,
    /// yaml or json
    #[arg(short, long, value_name = "FORMAT", value_parser = ["yaml", "json"])]
    pub(crate) output: Option<String>,
}

/// The shells with a completion script.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Shell {
    /// `source <(cloudctl completion bash)`
    Bash,
    /// `source <(cloudctl completion zsh)`
    Zsh,
    /// `cloudctl completion fish | source`
    Fish,
}

/// Arguments of `completion`.
#[derive(Args, Debug)]
pub(crate) struct CompletionArgs {
    /// For which shell
    #[arg(value_enum)]
    pub(crate) shell: Shell,
}
