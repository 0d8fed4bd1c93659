//! Decides which server a command talks to, and makes sure that it is one of ours before anything else is sent.
//! In: the global flags and the environment. Out: a `Session`. It never reads `KUBECONFIG` or `~/.kube/config`, so that a
//! command meant for a cloud on this machine cannot reach somebody's production cluster.

use std::path::PathBuf;
use std::time::Duration;

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

use crate::api::{ApiError, Session, explained};
use crate::args::Global;
use crate::error::chain;
use crate::output::Screen;

mod search;

pub(crate) use search::{Found, Origin, Surroundings, find};

/// How long to wait for the server to accept a connection.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// What `gitVersion` of a server of ours contains.
const OURS: &str = "thecloud";

/// Why there is no server to talk to. Every text ends with the way out.
#[derive(Debug, Error)]
pub(crate) enum ConnectError {
    /// No file tells where a server is.
    #[error("no cloud found\n{}\n`./justw up` starts a cloud here and writes .cloud/kubeconfig.", looked_at(.tried))]
    NoFile {
        /// Where one could have been, in the order of the search.
        tried: Vec<PathBuf>,
    },
    /// A file was asked for by name, and is not there.
    #[error("{} names {}, which does not exist\n{}", .origin.describe(), .path.display(), way_out(.origin))]
    MissingFile {
        /// The file.
        path: PathBuf,
        /// Who named it.
        origin: Origin,
    },
    /// A file found by searching could have been put there by somebody else.
    #[error(
        "{} belongs to another user (uid {owner}), so it is not trusted\nUse --kubeconfig {} if that is what you want.",
        .path.display(), .path.display()
    )]
    ForeignFile {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
    },
    /// The file cannot be read or makes no sense.
    #[error("{} is not a usable kubeconfig: {reason}", .path.display())]
    BadFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The server does not answer.
    #[error("{address} does not answer: {cause}\nThe address is from {}. {hint}", .path.display())]
    NoAnswer {
        /// The server's address.
        address: String,
        /// The file that names it.
        path: PathBuf,
        /// What happened.
        cause: String,
        /// What to do.
        hint: String,
    },
    /// The server refuses the credentials.
    #[error(
        "{address} does not accept the credentials in {}: {message}\nWas the cloud made anew since? `./justw up` writes a fresh file.",
        .path.display()
    )]
    Refused {
        /// The server's address.
        address: String,
        /// The file that holds the credentials.
        path: PathBuf,
        /// What the server said.
        message: String,
    },
    /// The server is not ours.
    #[error(
        "{address} is not The Cloud: it says that it is {version}\nThe address is from {}. Nothing was sent but the question for its version.\nIf you do mean this server, repeat the command with --any-cluster.",
        .path.display()
    )]
    NotOurs {
        /// The server's address.
        address: String,
        /// The file that names it.
        path: PathBuf,
        /// What it answered to `/version`.
        version: String,
    },
    /// A question to the server failed in another way.
    #[error("{address} gave no version: {source}\nThe address is from {}.", .path.display())]
    NoVersion {
        /// The server's address.
        address: String,
        /// The file that names it.
        path: PathBuf,
        /// What it answered.
        source: Box<ApiError>,
    },
}

/// Finds the server, checks that it is ours, and returns a session with it.
pub(crate) async fn connect(global: &Global, screen: &Screen) -> Result<Session, ConnectError> {
    let found = search::find(&Surroundings::of_process(global.kubeconfig.clone()))?;
    let session = open(&found, global, screen).await?;
    check(&session, global.any_cluster).await?;
    Ok(session)
}

/// Reads the file and prepares a client; sends nothing.
async fn open(found: &Found, global: &Global, screen: &Screen) -> Result<Session, ConnectError> {
    let bad = |reason: String| ConnectError::BadFile { path: found.path.clone(), reason };
    let kubeconfig = Kubeconfig::read_from(&found.path).map_err(|error| bad(unreadable(&error)))?;
    let context = global.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
    if let Some(wanted) = &global.context
        && !kubeconfig.contexts.iter().any(|context| &context.name == wanted)
    {
        let names: Vec<_> = kubeconfig.contexts.iter().map(|context| format!("`{}`", context.name)).collect();
        return Err(bad(format!("it has no context `{wanted}`, only {}", names.join(", "))));
    }
    let names_a_proxy = kubeconfig
        .clusters
        .iter()
        .any(|cluster| cluster.cluster.as_ref().is_some_and(|cluster| cluster.proxy_url.is_some()));
    let options = KubeConfigOptions { context: global.context.clone(), ..KubeConfigOptions::default() };
    let mut config =
        Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|error| bad(unreadable(&error)))?;
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    if !names_a_proxy {
        // kube takes HTTPS_PROXY from the environment, which is never meant for a server on this machine.
        config.proxy_url = None;
    }
    let address = config.cluster_url.to_string().trim_end_matches('/').to_owned();
    let namespace = global.namespace.clone().unwrap_or_else(|| config.default_namespace.clone());
    let client = Client::try_from(config.clone()).map_err(|error| bad(chain(&error)))?;
    Ok(Session::new(client, namespace, address)
        .with_source(&found.path, &context)
        .with_config(config)
        .with_trace(screen.clone(), global.verbose))
}

/// Asks for the version, and refuses a server that is not ours.
async fn check(session: &Session, any_cluster: bool) -> Result<(), ConnectError> {
    let address = session.address().to_owned();
    let path = session.file().to_path_buf();
    let version = match session.get("/version").await {
        Ok(version) => version,
        Err(error) => return Err(refusal(error, address, path)),
    };
    let version = version["gitVersion"].as_str().unwrap_or("something else entirely").to_owned();
    if any_cluster || version.contains(OURS) {
        return Ok(());
    }
    Err(ConnectError::NotOurs { address, path, version })
}

/// The words for a server that cannot even say its version.
fn refusal(error: ApiError, address: String, path: PathBuf) -> ConnectError {
    match error {
        ApiError::Status { status, .. } if status.code == 401 => {
            ConnectError::Refused { address, path, message: status.message.to_lowercase() }
        }
        ApiError::Unreachable { error, .. } => {
            let explained = explained(error.as_ref());
            ConnectError::NoAnswer { address, path, cause: explained.cause, hint: explained.hint.to_owned() }
        }
        source => ConnectError::NoVersion { address, path, source: Box::new(source) },
    }
}

/// Why a kubeconfig makes no sense. The parser would show the lines around a mistake, and a token may be on them.
fn unreadable(error: &KubeconfigError) -> String {
    match error {
        KubeconfigError::ReadConfig(source, _) => source.to_string(),
        KubeconfigError::CurrentContextNotSet => "it names no current context".to_owned(),
        error => {
            let text = chain(error);
            let first = text.lines().next().unwrap_or_default();
            first.replace("failed to parse kubeconfig YAML: error: ", "")
        }
    }
}

fn looked_at(tried: &[PathBuf]) -> String {
    let lines: Vec<_> = tried.iter().map(|path| format!("  {}", path.display())).collect();
    format!("Looked for:\n{}", lines.join("\n"))
}

fn way_out(origin: &Origin) -> &'static str {
    match origin {
        Origin::CloudHome => "`./justw up` with the same CLOUD_HOME starts that cloud and writes the file.",
        _ => "`./justw up` starts a cloud and writes .cloud/kubeconfig.",
    }
}

#[cfg(test)]
mod tests;
