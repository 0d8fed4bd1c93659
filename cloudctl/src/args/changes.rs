//! Decides the arguments of the verbs that change one object without a file of its own.

use clap::{Args, Subcommand, ValueEnum};

/// Arguments of `edit`.
#[derive(Args, Debug)]
pub(crate) struct EditArgs {
    /// KIND NAME or KIND/NAME
    #[arg(value_name = "KIND NAME | KIND/NAME", required = true)]
    pub(crate) target: Vec<String>,
}

/// How a patch is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum PatchType {
    /// Fields to set; null removes, a list is replaced as a whole (RFC 7386)
    Merge,
    /// Operations (RFC 6902)
    Json,
    /// As merge, but lists are merged by their keys; only Kubernetes' own kinds take it
    Strategic,
}

/// Arguments of `patch`.
#[derive(Args, Debug)]
pub(crate) struct PatchArgs {
    /// KIND NAME or KIND/NAME
    #[arg(value_name = "KIND NAME | KIND/NAME", required = true)]
    pub(crate) target: Vec<String>,
    /// The patch, as JSON or YAML
    #[arg(short, long, value_name = "PATCH", required_unless_present = "patch_file", conflicts_with = "patch_file")]
    pub(crate) patch: Option<String>,
    /// A file with the patch; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) patch_file: Option<String>,
    /// How the patch is meant
    #[arg(long = "type", value_enum, value_name = "TYPE", default_value = "merge")]
    pub(crate) kind: PatchType,
    /// Patch what is below the object, such as `status`
    #[arg(long, value_name = "NAME")]
    pub(crate) subresource: Option<String>,
}

/// Arguments of `scale`.
#[derive(Args, Debug)]
pub(crate) struct ScaleArgs {
    /// KIND NAME... or KIND/NAME...
    #[arg(value_name = "KIND NAME | KIND/NAME", required = true)]
    pub(crate) targets: Vec<String>,
    /// How many there shall be
    #[arg(long, value_name = "NUMBER")]
    pub(crate) replicas: u32,
}

/// What can be created from a command line.
#[derive(Debug, Subcommand)]
pub(crate) enum CreateCommand {
    /// A Namespace
    #[command(visible_alias = "ns")]
    Namespace(CreateNamespaceArgs),
    /// A ConfigMap from values and files
    #[command(visible_alias = "cm")]
    Configmap(CreateDataArgs),
    /// A Secret from values and files
    Secret(CreateDataArgs),
}

/// Arguments of `create namespace`.
#[derive(Args, Debug)]
pub(crate) struct CreateNamespaceArgs {
    /// Its name
    pub(crate) name: String,
    /// Only print the manifest, as yaml or json
    #[arg(short, long, value_name = "FORMAT", value_parser = ["yaml", "json"])]
    pub(crate) output: Option<String>,
}

/// Arguments of `create configmap` and `create secret`.
#[derive(Args, Debug)]
pub(crate) struct CreateDataArgs {
    /// Its name; a `generic` before it, as kubectl has it, changes nothing
    #[arg(value_name = "NAME", required = true, num_args = 1..=2)]
    pub(crate) name: Vec<String>,
    /// A value: KEY=VALUE
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) from_literal: Vec<String>,
    /// A file: KEY=FILE, or FILE under its own name
    #[arg(long, value_name = "[KEY=]FILE")]
    pub(crate) from_file: Vec<String>,
    /// Only print the manifest, as yaml or json
    #[arg(short, long, value_name = "FORMAT", value_parser = ["yaml", "json"])]
    pub(crate) output: Option<String>,
}
