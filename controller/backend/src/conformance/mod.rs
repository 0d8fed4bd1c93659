//! What every adapter promises, as plain functions: an adapter's tests are the list of these calls. A bug found in one
//! adapter becomes a function here first. Each function gets an installation of its own and may leave things behind;
//! the caller sweeps.

pub mod consoles;
pub mod disk_images;
pub mod events;
pub mod files;
pub mod machine_snapshots;
pub mod machines;
pub mod memory;
pub mod mounting;
pub mod networks;
pub mod snapshots;
pub mod volumes;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use uuid::Uuid;

use crate::{
    Backend, Checksum, EnvVar, FirstBoot, Machine, MachineId, MachineSpec, MachineState, NetworkAttachment,
    NetworkSpec, Owner, PortSpec, Protocol, Publish, Resources, SecurityContext, SnapshotSource, SnapshotSpec,
    VolumeMode, VolumeSpec, bridge_name, dns_names, machine_name,
};

/// How long a change of the real world may take to show.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long a guest may take until it does something, on software alone and a busy machine.
const BOOT_PATIENCE: Duration = Duration::from_secs(120);

/// The uid of the network that [`Fixture::network`] describes.
const NETWORK: u32 = 1;

/// What one conformance function is given.
#[derive(Clone)]
pub struct Fixture {
    /// The adapter, as the test's own installation.
    pub backend: Backend,
    /// That installation: random where the engine is real, so that tests never meet.
    pub installation: Uuid,
    /// The same engine as another installation.
    pub stranger: Backend,
    /// That other installation.
    pub stranger_installation: Uuid,
    /// An image on the host with `sh`, `echo`, `cat`, `sleep` and `true`.
    pub image: String,
    /// A range of 256 addresses that nothing uses.
    pub range: Ipv4Net,
    /// A port that is free on 127.0.0.1.
    pub port: u16,
    /// A file that a disk image can be imported from, where the adapter has any.
    pub disk_file: String,
    /// A url that one can be downloaded from, and its SHA-256, where the adapter has disk images.
    pub disk_url: Option<(String, Checksum)>,
    /// What differs between machines without a promise being broken.
    pub traits: Traits,
    /// What somebody does behind the adapter's back.
    pub hand: Arc<dyn Hand>,
}

impl std::fmt::Debug for Fixture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Fixture").field("installation", &self.installation).finish_non_exhaustive()
    }
}

/// What differs between machines without a promise being broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traits {
    /// Whether a machine runs a command that it is given; else it runs what its image does.
    pub runs_commands: bool,
    /// Whether ports can be published on the host.
    pub publishes: bool,
    /// Whether somebody can give a machine another name while it runs.
    pub renames_what_runs: bool,
    /// The least that a machine needs.
    pub smallest: Resources,
    /// How long a machine that has just been started may take to hear that it is asked to stop.
    pub grace: Duration,
    /// The exit code of one that did.
    pub polite_exit: i64,
}

impl Default for Traits {
    /// A process that runs a command, and ends by SIGTERM.
    fn default() -> Self {
        Self {
            runs_commands: true,
            publishes: true,
            renames_what_runs: true,
            smallest: Resources { cpu_millis: 250, memory_bytes: 32 << 20, max_memory_bytes: None },
            grace: Duration::from_secs(5),
            polite_exit: 143,
        }
    }
}

/// What somebody does to the engine behind the adapter's back.
#[async_trait]
pub trait Hand: Send + Sync {
    /// Kills a machine's process.
    async fn kill(&self, id: &MachineId);

    /// Removes a machine.
    async fn remove(&self, id: &MachineId);

    /// Gives a machine this other name.
    async fn rename(&self, id: &MachineId, name: &str);

    /// Takes a machine out of its network.
    async fn disconnect(&self, id: &MachineId);

    /// Takes all room away that the host has for what a machine writes to a disk of its own.
    async fn take_room(&self, id: &MachineId) {
        panic!("`{id}` has no disk of its own");
    }

    /// Gives it back.
    async fn give_room(&self, id: &MachineId) {
        panic!("`{id}` has no disk of its own");
    }
}

impl Fixture {
    /// An owner in the test's installation; the number makes the uid.
    pub fn owner(&self, kind: &str, name: &str, number: u32) -> Owner {
        Owner {
            installation: self.installation,
            kind: kind.to_owned(),
            namespace: "conformance".to_owned(),
            name: name.to_owned(),
            // The number goes into the first eight digits, because names at the engine are made from these.
            uid: Uuid::from_u128(self.installation.as_u128() ^ (u128::from(number) << 96)),
        }
    }

    /// The test's network.
    pub fn network(&self) -> NetworkSpec {
        let owner = self.owner("Vpc", "main", NETWORK);
        NetworkSpec { cidr: self.range, gateway: self.address(1), internal: false, bridge: bridge_name(&owner), owner }
    }

    /// An address in the test's network.
    pub fn address(&self, host: u8) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.range.network()) + u32::from(host))
    }

    /// A machine without a network that runs until it is stopped.
    pub fn machine(&self, name: &str, number: u32) -> MachineSpec {
        let owner = self.owner("Instance", name, number);
        MachineSpec {
            name: machine_name(&owner),
            hostname: name.to_owned(),
            image: self.image.clone(),
            command: self.traits.runs_commands.then(|| vec!["sleep".to_owned(), "1000".to_owned()]),
            args: None,
            working_dir: None,
            user: None,
            env: vec![EnvVar { name: "COLOUR".to_owned(), value: "blue".to_owned() }],
            has_secret_environment: false,
            labels: [("example.com/team".to_owned(), "red".to_owned())].into(),
            network: None,
            ports: Vec::new(),
            mounts: Vec::new(),
            resources: self.traits.smallest,
            security: SecurityContext { process_limit: 64, ..SecurityContext::default() },
            stop_grace: Duration::from_secs(1),
            first_boot: (!self.traits.runs_commands).then(FirstBoot::default),
            disk_bytes: None,
            spec_hash: "first".to_owned(),
            owner,
        }
    }

    /// The same, running a shell script.
    pub fn script(&self, name: &str, number: u32, script: &str) -> MachineSpec {
        let words = ["sh", "-c", script];
        MachineSpec { command: Some(words.map(str::to_owned).to_vec()), ..self.machine(name, number) }
    }

    /// A machine in the test's network, made beforehand, at an address.
    pub async fn networked(&self, name: &str, number: u32, host: u8) -> MachineSpec {
        self.backend.networks.ensure(&self.network()).await.expect("the network is made");
        let spec = self.machine(name, number);
        let network = NetworkAttachment {
            network: self.network().owner.uid,
            address: self.address(host),
            mac: None,
            aliases: dns_names(&spec.owner),
        };
        MachineSpec { network: Some(network), ..spec }
    }

    /// The test's port, published for port 80 inside, where ports can be.
    pub fn ports(&self) -> Vec<PortSpec> {
        if self.traits.publishes { vec![self.published()] } else { Vec::new() }
    }

    /// The test's port, published for port 80 inside.
    pub fn published(&self) -> PortSpec {
        PortSpec { port: 80, protocol: Protocol::Tcp, publish: Some(self.publish()) }
    }

    /// Where the test's port is published.
    pub fn publish(&self) -> Publish {
        Publish { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: self.port }
    }

    /// A small volume.
    pub fn volume(&self, name: &str, number: u32) -> VolumeSpec {
        let owner = self.owner("Volume", name, number);
        VolumeSpec { owner, size_bytes: 32 << 20, mode: VolumeMode::Filesystem, source: None }
    }

    /// A snapshot of a volume.
    pub fn snapshot(&self, name: &str, number: u32, volume: &VolumeSpec) -> SnapshotSpec {
        let source = SnapshotSource::Volume(volume.owner.uid);
        SnapshotSpec { owner: self.owner("VolumeSnapshot", name, number), source }
    }

    /// Makes and starts a machine.
    pub async fn start(&self, spec: &MachineSpec) -> MachineId {
        let id = self.backend.machines.create(spec).await.expect("the machine is made");
        self.backend.machines.start(&id).await.expect("the machine starts");
        id
    }

    /// The only machine of an owner.
    pub async fn only(&self, owner: Uuid) -> Machine {
        let mut machines = self.backend.machines.find(owner).await.expect("machines are found");
        assert_eq!(machines.len(), 1, "the owner has one machine: {machines:?}");
        machines.remove(0)
    }

    /// Waits until the state of the only machine of an owner is as wanted.
    pub async fn wait_for(&self, owner: Uuid, what: &str, wanted: impl Fn(&MachineState) -> bool) -> Machine {
        self.wait(owner, what, PATIENCE, |machine| wanted(&machine.state)).await
    }

    /// Waits as long as a guest may take to boot, until the only machine of an owner is as wanted.
    pub async fn wait_long_for(&self, owner: Uuid, what: &str, wanted: impl Fn(&Machine) -> bool) -> Machine {
        self.wait(owner, what, BOOT_PATIENCE, wanted).await
    }

    async fn wait(&self, owner: Uuid, what: &str, patience: Duration, wanted: impl Fn(&Machine) -> bool) -> Machine {
        let started = tokio::time::Instant::now();
        loop {
            let machine = self.only(owner).await;
            if wanted(&machine) {
                return machine;
            }
            assert!(started.elapsed() < patience, "waited for `{what}`, still {:?}", machine.state);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}
