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
    #[arg(short, long, value_name = "NAME", conflicts_with = "oidc")]
    pub(crate) user: Option<String>,
    /// The certificate authority of SERVER, PEM; without it the system's count
    #[arg(long, value_name = "FILE", requires = "server")]
    pub(crate) certificate_authority: Option<PathBuf>,
    /// Read the password from the first line of standard input
    #[arg(long, conflicts_with = "oidc")]
    pub(crate) password_stdin: bool,
    /// Log in at the OpenID issuer of the server, in a browser
    #[arg(long)]
    pub(crate) oidc: bool,
    #[command(flatten)]
    pub(crate) at_issuer: AtIssuerArgs,
    /// The kubeconfig to add the login to [default: config in $CLOUD_HOME or ~/.cloud]
    #[arg(long, value_name = "FILE")]
    pub(crate) write: Option<PathBuf>,
}

/// Arguments of `login --oidc`.
#[derive(Args, Debug)]
#[command(next_help_heading = "With --oidc")]
pub(crate) struct AtIssuerArgs {
    /// Only print the address of the page
    #[arg(long, requires = "oidc")]
    pub(crate) no_browser: bool,
    /// Log in with a browser anywhere, by a code that is typed there, where the issuer offers that
    #[arg(long, requires = "oidc", conflicts_with_all = ["no_browser", "port"])]
    pub(crate) device: bool,
    /// The port of 127.0.0.1 that the browser comes back to, for issuers that must know it; without it any free one
    #[arg(long, value_name = "PORT", default_value_t = 0, hide_default_value = true, requires = "oidc")]
    pub(crate) port: u16,
    /// A scope to ask for; may be repeated [default: offline_access, profile, email and groups, if offered]
    #[arg(long = "scope", value_name = "SCOPE", requires = "oidc")]
    pub(crate) scopes: Vec<String>,
    /// The issuer, where the server doesn't tell it
    #[arg(long, value_name = "URL", requires = "oidc", requires = "client_id")]
    pub(crate) issuer: Option<String>,
    /// The name by which that issuer knows the cloud
    #[arg(long, value_name = "ID", requires = "issuer")]
    pub(crate) client_id: Option<String>,
    /// A file with the secret of the client, where the issuer wants one; the login keeps it
    #[arg(long, value_name = "FILE", requires = "oidc")]
    pub(crate) client_secret_file: Option<PathBuf>,
    /// The certificate authority of the issuer, PEM; without it those that the server tells, or the system's
    #[arg(long, value_name = "FILE", requires = "oidc")]
    pub(crate) issuer_certificate_authority: Option<PathBuf>,
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
