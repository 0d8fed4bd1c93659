//! The ports of `controller-backend` on Docker: containers, bridge networks, and loop-mounted volumes on the same host.
//! Translates between the domain's words and Docker's, and decides nothing about what should exist. Only what bears
//! this installation's labels is seen or touched.

mod abandoned;
mod consoles;
mod engine;
mod error;
mod events;
mod files;
mod held;
mod host;
mod images;
mod init;
mod labels;
mod machine_snapshots;
mod machines;
mod networks;
mod remap;
mod routes;
mod starting;
mod tools;
mod turns;
mod volumes;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use controller_backend::{Backend, Error, Firewall, Names};
use uuid::Uuid;

use consoles::DockerConsoles;
use engine::Engine;
use events::DockerEvents;
use files::HostFiles;
use host::DockerHost;
use images::DockerImages;
use machine_snapshots::DockerMachineSnapshots;
use machines::DockerMachines;
use networks::DockerNetworks;
use turns::Turns;
use volumes::{DockerVolumes, HostSnapshots, Layout, Sources};

/// Where Docker listens unless told otherwise.
pub const DEFAULT_SOCKET: &str = "/var/run/docker.sock";

/// What the adapter needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerOptions {
    /// Whose things these are.
    pub installation: Uuid,
    /// Where volumes and projected files are kept. A folder for the installation is made inside.
    pub data_dir: PathBuf,
    /// Docker's socket.
    pub socket: PathBuf,
}

/// Why the adapter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be used.
    #[error("prepare the data directory `{}`", path.display())]
    DataDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The ports on Docker, with the host's packet filter and name server. Docker need not answer yet: whatever is called
/// then says so.
pub fn open(options: &DockerOptions, firewall: Arc<dyn Firewall>, names: Arc<dyn Names>) -> Result<Backend, OpenError> {
    let root = installation_dir(&options.data_dir, options.installation)
        .map_err(|source| OpenError::DataDir { path: options.data_dir.clone(), source })?;
    let init = init::install(&root).map_err(|source| OpenError::DataDir { path: root.clone(), source })?;
    let engine = Arc::new(Engine::new(&options.socket, options.installation));
    let files = Arc::new(HostFiles::new(&root));
    let volumes = Layout::new(&root, options.installation);
    let snapshots = Layout::of_snapshots(&root, options.installation);
    let sources = Sources { volumes: volumes.clone(), snapshots, turns: Turns::default() };
    Ok(Backend {
        machines: Arc::new(DockerMachines::new(engine.clone(), files.clone(), volumes, init)),
        networks: Arc::new(DockerNetworks::new(engine.clone())),
        firewall,
        names,
        volumes: Arc::new(DockerVolumes::new(engine.clone(), sources.clone())),
        snapshots: Arc::new(HostSnapshots::new(sources)),
        machine_snapshots: Arc::new(DockerMachineSnapshots::new(engine.clone())),
        disk_images: None,
        images: Arc::new(DockerImages::new(engine.clone())),
        files,
        consoles: Arc::new(DockerConsoles::new(engine.clone())),
        events: Arc::new(DockerEvents::new(engine.clone())),
        // A container is made anew with other mounts.
        mounting: None,
        host_ports: None,
        host: Arc::new(DockerHost::new(engine)),
    })
}

/// The version of the Docker that listens here.
///
/// # Errors
/// `Unavailable` if nobody answers.
pub async fn version(socket: &Path) -> Result<String, Error> {
    let version = Engine::new(socket, Uuid::nil()).client().await?.version().await;
    let version = version.map_err(|error| error::translate("Docker", "ask Docker for its version", error))?;
    Ok(version.version.unwrap_or_default())
}

/// By what the Docker that listens here confines containers, as it says itself: `name=seccomp,profile=builtin`,
/// `name=userns`.
///
/// # Errors
/// `Unavailable` if nobody answers.
pub async fn confinement(socket: &Path) -> Result<Vec<String>, Error> {
    let info = Engine::new(socket, Uuid::nil()).client().await?.info().await;
    let info = info.map_err(|error| error::translate("Docker", "ask Docker how it confines containers", error))?;
    Ok(info.security_options.unwrap_or_default())
}

/// Mount tables tell resolved paths, so that ours must be resolved too.
fn installation_dir(data_dir: &Path, installation: Uuid) -> io::Result<PathBuf> {
    let dir = data_dir.join(installation.to_string());
    std::fs::create_dir_all(&dir)?;
    dir.canonicalize()
}
