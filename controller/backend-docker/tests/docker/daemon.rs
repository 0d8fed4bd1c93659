//! Gives each test an installation of its own on the host's Docker, and checks that nothing of it is left.

use std::collections::HashMap;
use std::net::TcpListener;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use bollard::Docker;
use bollard::models::NetworkDisconnectRequest;
use bollard::query_parameters::{
    KillContainerOptions, ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptionsBuilder,
    ListVolumesOptionsBuilder, RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder,
};
use controller_backend::conformance::{Fixture, Hand, Traits};
use controller_backend::{Backend, MachineId, Rules};
use controller_backend_docker::{DEFAULT_SOCKET, DockerOptions, open};
use futures::FutureExt;
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::image;

/// Runs a test, takes down what it made whether it passed or not, and fails if anything is left.
pub async fn run(test: impl AsyncFnOnce(&Fixture)) {
    run_with(async |world| test(&world.fixture).await).await;
}

/// What a test of Docker's own behaviour is given besides.
pub struct World {
    pub fixture: Fixture,
    pub docker: Docker,
    /// Where the installation keeps its volumes and files.
    pub root: PathBuf,
    pub options: DockerOptions,
}

/// The same, for tests that look at Docker itself.
pub async fn run_with(test: impl AsyncFnOnce(&World)) {
    let Some(docker) = connect().await else {
        eprintln!("SKIPPED: no Docker daemon answers at {DEFAULT_SOCKET}; nothing was tested");
        return;
    };
    let image = image::ensure(&docker).await;
    let data_dir = tempfile::tempdir().expect("a data directory");
    let installation = Uuid::new_v4();
    let stranger_installation = Uuid::new_v4();
    let options = |installation| DockerOptions {
        installation,
        data_dir: data_dir.path().to_owned(),
        socket: PathBuf::from(DEFAULT_SOCKET),
    };
    let adapter = |installation| {
        open(&options(installation), controller_backend_host::firewall(installation), controller_backend_host::names())
    };
    let backend = adapter(installation).expect("the adapter is set up");
    let stranger = adapter(stranger_installation).expect("the adapter is set up");
    let fixture = Fixture {
        range: free_range(&backend, installation).await,
        port: free_port(),
        disk_file: String::new(),
        disk_url: None,
        traits: Traits::default(),
        hand: Arc::new(ByHand { docker: docker.clone() }),
        backend,
        installation,
        stranger,
        stranger_installation,
        image,
    };
    let root = data_dir.path().canonicalize().expect("it exists").join(installation.to_string());
    let world = World { fixture, docker, root, options: options(installation) };

    let outcome = AssertUnwindSafe(test(&world)).catch_unwind().await;
    take_down(&world.fixture.backend).await;
    take_down(&world.fixture.stranger).await;
    let left = left_over(&world.docker, &[installation, stranger_installation], data_dir.path()).await;
    if let Err(panic) = outcome {
        if !left.is_empty() {
            eprintln!("left over as well: {left:?}");
        }
        std::panic::resume_unwind(panic);
    }
    assert_eq!(left, Vec::<String>::new(), "nothing is left");
}

async fn connect() -> Option<Docker> {
    let docker = Docker::connect_with_unix(DEFAULT_SOCKET, 120, bollard::API_DEFAULT_VERSION).ok()?;
    docker.negotiate_version().await.ok()
}

/// A range outside 10.128.0.0/9, where a live installation has its own.
async fn free_range(backend: &Backend, installation: Uuid) -> Ipv4Net {
    let occupied = backend.networks.occupied_ranges().await.expect("occupied ranges");
    let seed = u16::from_be_bytes([installation.as_bytes()[0], installation.as_bytes()[1]]);
    (0..64)
        .map(|step: u16| {
            let [high, low] = seed.wrapping_add(step.wrapping_mul(257)).to_be_bytes();
            Ipv4Net::new([10, 64 + high % 64, low, 0].into(), 24).expect("a range")
        })
        .find(|range| occupied.iter().all(|other| !other.cidr.contains(range) && !range.contains(&other.cidr)))
        .expect("one of many ranges is free")
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address").port()
}

async fn take_down(backend: &Backend) {
    backend.firewall.apply(&Rules::default()).await.expect("remove the packet filter");
    for machine in backend.machines.list().await.expect("list") {
        backend.machines.remove(&machine.id).await.expect("remove a machine");
    }
    for snapshot in backend.machine_snapshots.list().await.expect("list") {
        backend.machine_snapshots.remove(snapshot.owner.uid).await.expect("remove a snapshot");
    }
    for network in backend.networks.list().await.expect("list") {
        backend.networks.remove(network.owner.uid).await.expect("remove a network");
    }
    for volume in backend.volumes.list().await.expect("list") {
        backend.volumes.remove(volume.owner.uid).await.expect("remove a volume");
    }
    for snapshot in backend.snapshots.list().await.expect("list") {
        backend.snapshots.remove(snapshot.owner.uid).await.expect("remove a snapshot");
    }
    for owner in backend.files.list().await.expect("list") {
        backend.files.remove(owner).await.expect("remove files");
    }
}

/// Containers, networks, volumes, mounts and loop devices that a test left behind.
async fn left_over(docker: &Docker, installations: &[Uuid], data_dir: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for installation in installations {
        let label = format!("thecloud.dev/installation={installation}");
        let filter = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::default().all(true).filters(&filter).build();
        let containers = docker.list_containers(Some(options)).await.expect("list");
        left.extend(containers.into_iter().map(|container| format!("container {:?}", container.names)));
        let options = ListImagesOptionsBuilder::default().all(true).filters(&filter).build();
        let images = docker.list_images(Some(options)).await.expect("list");
        left.extend(images.into_iter().map(|image| format!("image {} {:?}", image.id, image.repo_tags)));
        let options = ListNetworksOptionsBuilder::default().filters(&filter).build();
        let networks = docker.list_networks(Some(options)).await.expect("list");
        left.extend(networks.into_iter().map(|network| format!("network {:?}", network.name)));
        let options = ListVolumesOptionsBuilder::default().filters(&filter).build();
        let volumes = docker.list_volumes(Some(options)).await.expect("list").volumes.unwrap_or_default();
        left.extend(volumes.into_iter().map(|volume| format!("volume {}", volume.name)));
    }
    let output = std::process::Command::new("nft").args(["list", "tables"]).output().expect("nft runs");
    let tables = String::from_utf8_lossy(&output.stdout).into_owned();
    let ours = |line: &&str| installations.iter().any(|id| line.ends_with(&id.simple().to_string()[..8]));
    left.extend(tables.lines().filter(ours).map(str::to_owned));
    let data_dir = data_dir.canonicalize().expect("it exists");
    let within = |line: &&str| line.contains(&*data_dir.to_string_lossy());
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").expect("mounts");
    left.extend(mounts.lines().filter(within).map(|line| format!("mount {line}")));
    left.extend(loop_files().iter().map(String::as_str).filter(within).map(|file| format!("loop device on {file}")));
    left
}

/// The files that loop devices of the host are on.
pub fn loop_files() -> Vec<String> {
    let devices = std::fs::read_dir("/sys/block").expect("block devices");
    devices
        .filter_map(|device| std::fs::read_to_string(device.ok()?.path().join("loop/backing_file")).ok())
        .map(|file| file.trim_end().to_owned())
        .collect()
}

struct ByHand {
    docker: Docker,
}

#[async_trait]
impl Hand for ByHand {
    async fn kill(&self, id: &MachineId) {
        self.docker.kill_container(&id.0, None::<KillContainerOptions>).await.expect("kill");
    }

    async fn remove(&self, id: &MachineId) {
        let options = RemoveContainerOptionsBuilder::default().force(true).build();
        self.docker.remove_container(&id.0, Some(options)).await.expect("remove");
    }

    async fn rename(&self, id: &MachineId, name: &str) {
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        self.docker.rename_container(&id.0, options).await.expect("rename");
    }

    async fn disconnect(&self, id: &MachineId) {
        let container = self.docker.inspect_container(&id.0, None).await.expect("inspect");
        let networks = container.network_settings.and_then(|settings| settings.networks).expect("it is in a network");
        for name in networks.into_keys() {
            let leave = NetworkDisconnectRequest { container: id.0.clone(), force: None };
            self.docker.disconnect_network(&name, leave).await.expect("disconnect");
        }
    }
}
