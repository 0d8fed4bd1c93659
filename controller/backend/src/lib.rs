//! The ports through which controllers reach the real world, in words of the domain: machines, networks, volumes,
//! images. An adapter (Docker, libvirt) implements them, `fake` does so in memory, and `conformance` says what each
//! of them promises. Nothing here knows a kind of the API or a particular engine.

pub mod conformance;
mod consoles;
mod disk_images;
mod environment;
mod error;
mod events;
pub mod fake;
mod files;
mod firewall;
mod host;
mod host_ports;
mod images;
mod machine_snapshots;
mod machines;
mod mounting;
mod names;
mod networks;
mod owner;
mod security;
mod snapshots;
mod stillness;
mod volumes;

use std::sync::Arc;

pub use consoles::{Channel, Chunk, Consoles, ExecControl, ExecSession, ExecSpec, LogOptions, LogStream, TerminalSize};
pub use disk_images::{
    Algorithm, Checksum, DiskFormat, DiskImage, DiskImageSpec, DiskImages, DiskSource, ImportError, ParseChecksumError,
};
pub use environment::SecretEnvironment;
pub use error::{Conflict, Error, Source};
pub use events::{Event, EventStream, Events, Happening};
pub use files::{FileSet, Files, ProjectedFile};
pub use firewall::{Allowed, AllowedPeer, Firewall, Group, GuardedNetwork, Member, Rules, Traffic, mac_of, port_name};
pub use host::{Capacity, Host, Identity};
pub use host_ports::HostPorts;
pub use images::{Image, Images, PullError};
pub use machine_snapshots::{
    Consistency, MachineSnapshot, MachineSnapshotSource, MachineSnapshotSpec, MachineSnapshots,
};
pub use machines::{
    Attachment, EnvVar, ExitState, FirstBoot, Machine, MachineId, MachineMemory, MachineSpec, MachineState,
    MachineSummary, Machines, Mount, MountSource, NetworkAttachment, PortSpec, Protocol, Publish, PublishedPort,
    Resources, Stall, StallCause, Usage,
};
pub use mounting::{Detached, Mounting, Mounts};
pub use names::{DOMAIN, Names, Zone, Zones};
pub use networks::{Network, NetworkSpec, Networks, OccupiedRange};
pub use owner::{Owner, bridge_name, dns_names, machine_name};
pub use security::{ALL, PROCESS_LIMIT, SecurityContext};
pub use snapshots::{Progress, Snapshot, SnapshotSource, SnapshotSpec, Snapshots};
pub use stillness::{Still, Stillness};
pub use volumes::{SMALLEST_VOLUME, Volume, VolumeMode, VolumeSource, VolumeSpec, Volumes};

/// Everything that one backend offers. Cloning shares the adapters.
#[derive(Clone)]
pub struct Backend {
    /// Runs machines: containers or virtual machines.
    pub machines: Arc<dyn Machines>,
    /// Changes what machines mount, where one is not made anew for that; `None` where it is.
    pub mounting: Option<Arc<dyn Mounting>>,
    /// Isolated networks.
    pub networks: Arc<dyn Networks>,
    /// What passes between machines, the host and the world.
    pub firewall: Arc<dyn Firewall>,
    /// Names of machines, inside their networks.
    pub names: Arc<dyn Names>,
    /// Disks with data that outlives machines.
    pub volumes: Arc<dyn Volumes>,
    /// What volumes held at a moment.
    pub snapshots: Arc<dyn Snapshots>,
    /// What the disks of machines held at a moment.
    pub machine_snapshots: Arc<dyn MachineSnapshots>,
    /// What machines are started from.
    pub images: Arc<dyn Images>,
    /// What machines are made from that have a disk of their own; `None` where they have none.
    pub disk_images: Option<Arc<dyn DiskImages>>,
    /// Content projected into machines from Secrets and ConfigMaps.
    pub files: Arc<dyn Files>,
    /// Logs of machines, and commands inside them.
    pub consoles: Arc<dyn Consoles>,
    /// What happens to things that bear our marks.
    pub events: Arc<dyn Events>,
    /// Ports of the host, where the engine doesn't publish by itself.
    pub host_ports: Option<Arc<dyn HostPorts>>,
    /// The engine itself.
    pub host: Arc<dyn Host>,
}

impl std::fmt::Debug for Backend {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Backend").finish_non_exhaustive()
    }
}
