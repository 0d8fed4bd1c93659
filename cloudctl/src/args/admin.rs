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
    /// Make a tenant: a namespace with its quota, its network and its administrators
    CreateTenant(TenantArgs),
    /// Seal everything with the newest master key
    RotateKey(RotateKeyArgs),
    /// Have a new key sign the tokens of users and service accounts; nobody is logged out
    RotateSigningKey(RotateSigningKeyArgs),
    /// Decide about what a restore has orphaned
    #[command(subcommand)]
    Sweep(SweepCommand),
    /// Decide about data that outlived its object
    #[command(subcommand)]
    Orphans(OrphansCommand),
}

/// Arguments of `admin create-tenant`. The same again changes nothing; what is said differently is changed.
#[derive(Args, Debug)]
pub(crate) struct TenantArgs {
    /// The name of its namespace
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A user who administers it; may be given again
    #[arg(long, value_name = "USER")]
    pub(crate) admin: Vec<String>,
    /// A group whose members administer it; may be given again
    #[arg(long, value_name = "GROUP")]
    pub(crate) group: Vec<String>,
    /// How much processor time its machines may have together, such as 4 or 500m
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) cpu: Option<String>,
    /// How much memory, such as 8Gi
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) memory: Option<String>,
    /// How much its Volumes may hold together, such as 100Gi
    #[arg(long, value_name = "QUANTITY")]
    pub(crate) storage: Option<String>,
}

/// Arguments of `admin rotate-signing-key`.
#[derive(Args, Debug)]
pub(crate) struct RotateSigningKeyArgs {
    /// End every token that the keys until now have signed: for when somebody else may have one of them
    #[arg(long)]
    pub(crate) revoke_old: bool,
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

/// Arguments of `admin rotate-key`. Cut off, it is given again; every apiserver must have been given the newest key before.
#[derive(Args, Debug)]
pub(crate) struct RotateKeyArgs {
    /// Make the key of each namespace anew, too, and seal all its objects with that: for when an old copy of the database and
    /// its key may have come into other hands
    #[arg(long)]
    pub(crate) renew_data_keys: bool,
    /// Only say how it stands
    #[arg(long, conflicts_with = "renew_data_keys")]
    pub(crate) status: bool,
}

/// Data that has no object any more: of Volumes, VolumeSnapshots and InstanceSnapshots with `deletionPolicy: Retain`, or
/// orphaned by a restore.
#[derive(Debug, Subcommand)]
pub(crate) enum OrphansCommand {
    /// Show all of it
    List(OrphanListArgs),
    /// Make a Volume, VolumeSnapshot or InstanceSnapshot that takes data over
    Adopt(AdoptArgs),
    /// Remove data for good
    Purge(PurgeArgs),
}

/// Arguments of `admin orphans list`.
#[derive(Args, Debug)]
pub(crate) struct OrphanListArgs {
    /// How to show it
    #[arg(short, long, value_name = "FORMAT", value_parser = ["json"])]
    pub(crate) output: Option<String>,
}

/// Arguments of `admin orphans adopt`. It goes into the namespace of `--namespace`, or else back to its own.
#[derive(Args, Debug)]
pub(crate) struct AdoptArgs {
    /// The uid of the data, as the list shows it
    #[arg(value_name = "UID")]
    pub(crate) uid: String,
    /// The name of the new object, if not that of the old one
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Option<String>,
}

/// Arguments of `admin orphans purge`.
#[derive(Args, Debug)]
pub(crate) struct PurgeArgs {
    /// The uid of the data, as the list shows it
    #[arg(value_name = "UID")]
    pub(crate) uid: String,
}

/// Machines and networks that have no object any more.
#[derive(Debug, Subcommand)]
pub(crate) enum SweepCommand {
    /// Say whether they are kept, and why
    Status,
    /// Let them be removed
    Confirm,
}
