//! Decides the arguments of the verbs around logins and users.

use std::path::PathBuf;

use clap::{Args, Subcommand};

/// Arguments of `login`.
#[derive(Args, Debug)]
pub(crate) struct LoginArgs {
    /// The server, as https://HOST:PORT; without it that of the kubeconfig in use
    #[arg(value_name = "SERVER")]
    pub(crate) server: Option<String>,
    /// The user's name; asked for when it is missing
    #[arg(short, long, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// The certificate authority of SERVER, PEM; without it the system's count
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// Read the password from the first line of standard input
    #[arg(long)]
    pub(crate) password_stdin: bool,
    /// The kubeconfig to add the login to [default: config in $CLOUD_HOME or ~/.cloud]
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

/// Arguments of `logout`.
#[derive(Args, Debug)]
pub(crate) struct LogoutArgs {
    /// End all logins of the user, here and elsewhere
    #[arg(long)]
    pub(crate) everywhere: bool,
}

/// Arguments of `passwd`.
#[derive(Args, Debug)]
pub(crate) struct PasswdArgs {
    /// Set the password of this user; without it change your own
    #[arg(value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Read from standard input: the new password, or the present and the new one, a line each
    #[arg(long)]
    pub(crate) password_stdin: bool,
}

/// Arguments of `credential`.
#[derive(Args, Debug)]
pub(crate) struct CredentialArgs {
    /// The file of the login
    #[arg(long, value_name = "FILE")]
    pub(crate) file: PathBuf,
}

/// What can be done with API keys.
#[derive(Debug, Subcommand)]
pub(crate) enum ApiKeyCommand {
    /// Make an API key and show it, once
    Create(ApiKeyCreateArgs),
}

/// Arguments of `apikey create`.
#[derive(Args, Debug)]
pub(crate) struct ApiKeyCreateArgs {
    /// The name of the ApiKey
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// The user that it lets in
    #[arg(long, value_name = "NAME", required_unless_present = "service_account", conflicts_with = "service_account")]
    pub(crate) user: Option<String>,
    /// The service account of the namespace that it lets in
    #[arg(long, value_name = "NAME")]
    pub(crate) service_account: Option<String>,
    /// Until when it counts, such as 2030-01-01T00:00:00Z; without it as long as it is there
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<jiff::Timestamp>,
}

/// What can be done with users.
#[derive(Debug, Subcommand)]
pub(crate) enum UserCommand {
    /// Make a user; `passwd` sets the password
    Create(UserCreateArgs),
}

/// Arguments of `user create`.
#[derive(Args, Debug)]
pub(crate) struct UserCreateArgs {
    /// The user's name
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A group that the user is in; may be repeated
    #[arg(long = "group", value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// What people call the user
    #[arg(long, value_name = "TEXT")]
    pub(crate) display_name: Option<String>,
}
