//! Decides the arguments of `secret`. No value is among them: other users of this host see what a process was called with.

use clap::{Args, Subcommand, ValueEnum};

/// What can be done with Secrets.
#[derive(Debug, Subcommand)]
pub(crate) enum SecretCommand {
    /// Set keys of a Secret, and make it if there is none; other keys stay
    Put(SecretPutArgs),
    /// Print the value of a key, as it is
    Get(SecretGetArgs),
    /// List Secrets with their keys and versions, without any value
    #[command(visible_alias = "ls")]
    List,
    /// List what a Secret held before, without any value
    Versions(SecretNameArgs),
    /// Give a Secret the content of an older version, as a new one
    Rollback(SecretRollbackArgs),
    /// Delete Secrets with all their versions
    Delete(SecretDeleteArgs),
}

/// Arguments of `secret put`.
#[derive(Args, Debug)]
pub(crate) struct SecretPutArgs {
    /// The name of the Secret
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A key to type the value of, unseen; of a single one, the value may come on standard input
    #[arg(value_name = "KEY", required_unless_present_any = ["from_file", "generate"])]
    pub(crate) keys: Vec<String>,
    /// A file with a value; without KEY its name is the key; `-` is standard input; may be repeated
    #[arg(long, value_name = "[KEY=]FILE")]
    pub(crate) from_file: Vec<String>,
    /// A key to make a random value for; may be repeated
    #[arg(long, value_name = "KEY")]
    pub(crate) generate: Vec<String>,
    /// How many characters a random value has
    #[arg(long, value_name = "NUMBER", default_value_t = 32, value_parser = clap::value_parser!(u16).range(8..=1024))]
    pub(crate) length: u16,
    /// What a random value is made of
    #[arg(long, value_enum, value_name = "ALPHABET", default_value = "alphanumeric")]
    pub(crate) alphabet: Alphabet,
}

/// What random values are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Alphabet {
    /// Letters and digits: it needs no quoting anywhere
    Alphanumeric,
    /// Digits
    Digits,
    /// Digits and the letters a to f
    Hex,
    /// Everything that can be typed but space and quotes
    Printable,
}

/// Arguments of `secret get`.
#[derive(Args, Debug)]
pub(crate) struct SecretGetArgs {
    /// The name of the Secret
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The key; not needed where there is one only
    #[arg(value_name = "KEY")]
    pub(crate) key: Option<String>,
    /// Of this version instead of the present one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) version: Option<u64>,
}

/// Arguments of `secret versions`.
#[derive(Args, Debug)]
pub(crate) struct SecretNameArgs {
    /// The name of the Secret
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
}

/// Arguments of `secret rollback`.
#[derive(Args, Debug)]
pub(crate) struct SecretRollbackArgs {
    /// The name of the Secret
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The version to go back to; without it the one before the present one
    #[arg(long, value_name = "NUMBER")]
    pub(crate) to: Option<u64>,
}

/// Arguments of `secret delete`.
#[derive(Args, Debug)]
pub(crate) struct SecretDeleteArgs {
    /// The names of the Secrets
    #[arg(value_name = "NAME", required = true)]
    pub(crate) names: Vec<String>,
}
