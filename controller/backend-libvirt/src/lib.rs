//! The ports of `controller-backend` for virtual machines, on libvirt and QEMU. Translates between the domain's words and
//! libvirt's, and decides nothing about what should exist. Only what bears this installation's marks is seen or touched.
//!
//! Networks, volumes and projected files are the host's, whatever runs on them: another adapter makes them.
#![cfg(feature = "libvirt")]

mod backup;
mod consoles;
mod devices;
mod disks;
mod domain_xml;
mod download;
mod engine;
mod error;
mod event_loop;
mod events;
mod files;
mod frozen;
mod host;
mod images;
mod iso;
mod machine_snapshots;
mod machines;
mod marks;
mod memory;
mod places;
mod probe;
mod process_log;
mod remount;
mod seed;
mod shares;
mod terminal;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use controller_backend::{Backend, Error, HostPorts};
use uuid::Uuid;

use consoles::LibvirtConsoles;
use download::Downloader;
use engine::Engine;
use events::LibvirtEvents;
use files::LibvirtFiles;
use host::LibvirtHost;
use images::{HostImages, LibvirtImages};
use machine_snapshots::LibvirtMachineSnapshots;
use machines::LibvirtMachines;
use places::Places;

pub use download::DownloadLimits;
pub use probe::{Acceleration, Finding, find_acceleration};

/// Where libvirt listens unless told otherwise.
pub const DEFAULT_URI: &str = "qemu:///system";

/// What the adapter needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LibvirtOptions {
    /// Whose things these are.
    pub installation: Uuid,
    /// libvirt's connection URI.
    pub uri: String,
    /// Where disks are kept: QEMU's own user must be able to enter it. A folder for the installation is made inside.
    pub machine_dir: PathBuf,
    /// Where disk images may be imported from by path; `None`: from nowhere.
    pub image_dir: Option<PathBuf>,
    /// What may be downloaded.
    pub downloads: DownloadLimits,
}

/// Why the adapter cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory of disks cannot be used.
    #[error("find the directory of machines `{}`", path.display())]
    MachineDir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The C library does not start.
    #[error("start libvirt's event loop")]
    EventLoop {
        /// Why.
        source: virt::error::Error,
    },
}

/// The version of the libvirt that answers here.
///
/// # Errors
/// `Unavailable` if none does.
pub async fn version(uri: &str) -> Result<String, Error> {
    let engine = Arc::new(Engine::new(uri, Uuid::nil()));
    let version = engine.call("libvirt", "ask libvirt for its version", |connection| Ok(connection.get_lib_version()?));
    version.await.map(|number| format!("{}.{}.{}", number / 1_000_000, number / 1000 % 1000, number % 1000))
}

/// The ports on libvirt, beside those of `host`, whose networks, volumes and files the machines use, and `host_ports`,
/// where they are published. libvirt need not
/// answer yet: whatever is called then says so.
pub fn open(options: &LibvirtOptions, host: &Backend, host_ports: Arc<dyn HostPorts>) -> Result<Backend, OpenError> {
    event_loop::start().map_err(|source| OpenError::EventLoop { source })?;
    let machine_dir = std::path::absolute(&options.machine_dir)
        .map_err(|source| OpenError::MachineDir { path: options.machine_dir.clone(), source })?;
    let places = Places::new(&machine_dir, options.installation);
    let engine = Arc::new(Engine::new(&options.uri, options.installation));
    let downloader = Downloader::new(options.downloads.clone());
    let images = HostImages::new(engine.clone(), places.clone(), options.image_dir.clone(), downloader);
    let images = Arc::new(images);
    let machines = Arc::new(LibvirtMachines::new(engine.clone(), places.clone(), images.clone(), host.clone()));
    let snapshots = LibvirtMachineSnapshots::new(engine.clone(), places.clone(), images.clone());
    Ok(Backend {
        networks: host.networks.clone(),
        firewall: host.firewall.clone(),
        names: host.names.clone(),
        volumes: host.volumes.clone(),
        snapshots: host.snapshots.clone(),
        machine_snapshots: Arc::new(snapshots),
        images: Arc::new(LibvirtImages::new(images.clone())),
        disk_images: Some(images),
        files: Arc::new(LibvirtFiles::new(host.files.clone(), machines.clone())),
        mounting: Some(machines.clone()),
        machines,
        consoles: Arc::new(LibvirtConsoles::new(engine.clone(), places)),
        events: Arc::new(LibvirtEvents::new(engine.clone())),
        host_ports: Some(host_ports),
        host: Arc::new(LibvirtHost::new(engine)),
    })
}
