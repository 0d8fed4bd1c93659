//! The port for machines: containers or virtual machines. Flows in: what a machine should be. Flows out: what exists.
//! It never decides whether one should run.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Error, Mounts, Owner, SecurityContext};

/// Makes, starts, stops and removes machines of one installation.
///
/// # Guarantees
/// - Only what bears the installation's mark is seen or touched. Every operation but `create` takes an id that `list`,
///   `find` or `create` gave; an id that is not this installation's is `NotFound`.
/// - Every operation can be repeated: `start` on a running machine, `stop` on a stopped one and `remove` on one that is
///   gone are `Ok`. After an error, `find` tells what took place.
/// - No machine is ever restarted by the engine: restarts are the controller's.
/// - Every machine is hardened: no new privileges, no raw sockets, the engine's default system call filter, a limit of
///   processes, capped log files.
#[async_trait]
pub trait Machines: Send + Sync {
    /// All machines of the installation, in whatever state, sorted by id. One cheap call however many there are.
    async fn list(&self) -> Result<Vec<MachineSummary>, Error>;

    /// The machines of one owner, in whatever state, oldest first. More than one when a replacement was cut off.
    async fn find(&self, owner: Uuid) -> Result<Vec<Machine>, Error>;

    /// Makes a machine, stopped.
    ///
    /// # Errors
    /// `Conflict` (`NameTaken`) if it exists. `NotFound` names the image, network, volume or file set that is missing.
    async fn create(&self, spec: &MachineSpec) -> Result<MachineId, Error>;

    /// Starts a machine that is not running.
    ///
    /// # Errors
    /// `Conflict` (`PortTaken`, `AddressTaken`) names what is taken; the machine stays as it was. `NotFound` if the
    /// storage of a volume that it mounts is not there; nothing is ever written beside it.
    async fn start(&self, id: &MachineId) -> Result<(), Error>;

    /// Asks the machine to stop, and stops it hard after `grace`; zero is at once.
    async fn stop(&self, id: &MachineId, grace: Duration) -> Result<(), Error>;

    /// Freezes a running machine. `Conflict` (`State`) if it is not running.
    async fn pause(&self, id: &MachineId) -> Result<(), Error>;

    /// Thaws a paused machine.
    ///
    /// # Errors
    /// `Conflict` (`Stalled`) if it stands still again at once, as what it stood still for is as it was: [`Machine::stall`].
    async fn unpause(&self, id: &MachineId) -> Result<(), Error>;

    /// Changes cpu and memory in place. A guest takes memory that it is given while it runs when it likes:
    /// [`Machine::memory`] tells.
    ///
    /// # Errors
    /// `Conflict` (`State`) if it runs, and gets these only while it is stopped: [`Machine::resizes_running`].
    async fn resize(&self, id: &MachineId, resources: Resources) -> Result<(), Error>;

    /// What a machine has used since its start. `Conflict` (`State`) if it is not running.
    async fn usage(&self, id: &MachineId) -> Result<Usage, Error>;

    /// Gives a machine back its name, and its place in its network unless it is in one, where somebody took them away by
    /// hand. Whether it runs or not, it goes on as it did.
    ///
    /// # Errors
    /// `Conflict` (`NameTaken`, `AddressTaken`) names what another has by now. `NotFound` names a network that is gone.
    async fn restore(&self, id: &MachineId, name: &str, network: Option<&NetworkAttachment>) -> Result<(), Error>;

    /// Removes a machine, stopping it hard if it runs. Its Volumes and file sets are left alone.
    async fn remove(&self, id: &MachineId) -> Result<(), Error>;
}

/// The engine's own id of a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MachineId(pub String);

impl fmt::Display for MachineId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What a machine should be.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct MachineSpec {
    /// The marks.
    pub owner: Owner,
    /// The machine's name at the engine, from [`machine_name`](crate::machine_name).
    pub name: String,
    /// The host name inside.
    pub hostname: String,
    /// The image's id, or a reference that [`Images::resolve`](crate::Images::resolve) finds.
    pub image: String,
    /// Replaces the image's entrypoint, and then its default arguments too. `None`: the image's own.
    pub command: Option<Vec<String>>,
    /// Replaces the image's default arguments. `None`: the image's own, unless `command` is set.
    pub args: Option<Vec<String>>,
    /// `None`: the image's own.
    pub working_dir: Option<String>,
    /// `user` or `user:group`, by name or number. `None`: the image's own.
    pub user: Option<String>,
    /// Environment, in order; added to the image's own. Engines show it to whoever asks.
    pub env: Vec<EnvVar>,
    /// Whether more comes from the owner's file set [`SecretEnvironment::SET`](crate::SecretEnvironment::SET), read at each
    /// start and by each command; [`Files::ensure`](crate::Files::ensure) comes first.
    pub has_secret_environment: bool,
    /// More labels. Ours win over these.
    pub labels: BTreeMap<String, String>,
    /// The network that the machine is in.
    pub network: Option<NetworkAttachment>,
    /// Ports that the machine serves.
    pub ports: Vec<PortSpec>,
    /// What is mounted inside.
    pub mounts: Vec<Mount>,
    /// Limits that are enforced.
    pub resources: Resources,
    /// Where its bounds differ from those of every machine.
    pub security: SecurityContext,
    /// How long a stop that does not come from us (the engine's own shutdown) waits before it is hard.
    pub stop_grace: Duration,
    /// What a machine with a disk of its own is told when it first boots; `None` for one that has none.
    pub first_boot: Option<FirstBoot>,
    /// The size of the disk of its own, at least; `None`: the image's.
    pub disk_bytes: Option<u64>,
    /// A hash of what forces a replacement when it changes, never of secret values. Given back by `list` and `find`.
    pub spec_hash: String,
}

/// What a machine with a disk of its own is told when it first boots. User data may be secret: `Debug` does not show it.
#[derive(Clone, Default, PartialEq, Eq, Serialize)]
pub struct FirstBoot {
    /// Public keys, in the form of `authorized_keys`, that may log in as the image's own user.
    pub ssh_authorized_keys: Vec<String>,
    /// What cloud-init calls user data.
    pub user_data: Option<String>,
    /// What cloud-init calls network config, in place of one that gives the machine its address.
    pub network_config: Option<String>,
}

impl fmt::Debug for FirstBoot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FirstBoot")
            .field("ssh_authorized_keys", &self.ssh_authorized_keys.len())
            .field("user_data", &self.user_data.is_some())
            .field("network_config", &self.network_config.is_some())
            .finish()
    }
}

/// Arguments and environment are nobody's business who reads a log: neither is shown.
impl fmt::Debug for MachineSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("MachineSpec")
            .field("owner", &self.owner)
            .field("name", &self.name)
            .field("image", &self.image)
            .field("network", &self.network)
            .field("ports", &self.ports)
            .field("mounts", &self.mounts)
            .field("resources", &self.resources)
            .field("spec_hash", &self.spec_hash)
            .finish_non_exhaustive()
    }
}

/// One variable of the environment. Its value may be secret: `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvVar {
    /// The variable's name.
    pub name: String,
    /// Its value.
    pub value: String,
}

impl fmt::Debug for EnvVar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}=<hidden>", self.name)
    }
}

/// How a machine joins a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAttachment {
    /// The uid of the network's owner.
    pub network: Uuid,
    /// The machine's address, always chosen by us.
    pub address: Ipv4Addr,
    /// The machine's hardware address; the engine's choice when absent.
    pub mac: Option<String>,
    /// Names by which others in the network reach it, from [`dns_names`](crate::dns_names).
    pub aliases: Vec<String>,
}

/// A port that a machine serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortSpec {
    /// The port inside.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where on the host it can be reached; `None` keeps it inside the network.
    pub publish: Option<Publish>,
}

/// A transport protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// TCP.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        })
    }
}

/// Where on the host a port is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Publish {
    /// The host's address.
    pub address: IpAddr,
    /// The host's port, never 0: the choice is ours, so that it outlives the machine.
    pub port: u16,
}

/// A port that is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PublishedPort {
    /// The port inside.
    pub port: u16,
    /// Its protocol.
    pub protocol: Protocol,
    /// Where on the host it is reached.
    pub publish: Publish,
}

/// Something mounted in a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// Where inside; an absolute path.
    pub path: String,
    /// Whether writing is refused.
    pub read_only: bool,
    /// What is mounted.
    pub source: MountSource,
}

/// What is mounted in a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum MountSource {
    /// A volume, by its owner's uid, at a directory or as a device, as its mode is; [`Volumes::ensure`](crate::Volumes::ensure) comes first.
    Volume(Uuid),
    /// A file set of the machine's own owner, by name; [`Files::ensure`](crate::Files::ensure) comes first.
    Files(String),
    /// A directory in the machine's memory, empty at each start, that holds at most so many bytes.
    Empty {
        /// The most that it holds.
        size_bytes: u64,
    },
}

/// Limits that are enforced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time, in thousandths of a core.
    pub cpu_millis: u64,
    /// Memory, with no swap on top.
    pub memory_bytes: u64,
    /// As much as its memory can become while it runs, where a machine has memory of its own; `None`: no more than it is
    /// started with. Where it shares the host's, nobody looks at this.
    #[serde(default)]
    pub max_memory_bytes: Option<u64>,
}

/// A machine can grow to so many times its processors while it runs, ...
const GROWTH: u64 = 4;
/// ... to so many at least, each of which costs it some memory, ...
const LEAST_ROOM: u64 = 8;
/// ... and no further than this, unless it is started with more.
const MOST_ROOM: u64 = 128;

/// What a machine has used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// When that was so.
    pub at: Timestamp,
    /// Processor time since the machine's start.
    pub cpu: Duration,
    /// Memory at that moment, without what it would give back when asked.
    pub memory_bytes: u64,
}

/// What `list` tells of a machine: enough to find orphans and to see who uses what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MachineSummary {
    /// The engine's id.
    pub id: MachineId,
    /// The marks.
    pub owner: Owner,
    /// As given at creation.
    pub spec_hash: String,
    /// Whether a process of it exists, running or paused.
    pub active: bool,
    /// Its place in a network, held whether it runs or not.
    pub attachment: Option<Attachment>,
    /// The volumes that it has, by owner's uid, sorted.
    pub volumes: Vec<Uuid>,
}

/// A machine as it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Machine {
    /// The engine's id.
    pub id: MachineId,
    /// Its name at the engine.
    pub name: String,
    /// The marks.
    pub owner: Owner,
    /// As given at creation.
    pub spec_hash: String,
    /// What it is doing.
    pub state: MachineState,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last started; `None` if it never was.
    pub started_at: Option<Timestamp>,
    /// The id of the image that it was made from.
    pub image_id: String,
    /// Its place in a network, held whether it runs or not; `None` also when somebody took it out by hand.
    pub attachment: Option<Attachment>,
    /// What it was told to publish, sorted; in force only while it runs.
    pub published: Vec<PublishedPort>,
    /// The limits in force.
    pub resources: Resources,
    /// As given at creation.
    pub security: SecurityContext,
    /// The volumes that it has, by owner's uid, sorted: those that it mounts or will, and those that it hasn't let go of.
    pub volumes: Vec<Uuid>,
    /// What it mounts, where that changes while it exists.
    pub mounts: Option<Mounts>,
    /// As many processors as it can get while it runs, where it has some of its own; `None` where it shares the host's.
    pub most_processors: Option<u64>,
    /// How far its memory goes, where it has some of its own; `None` where it shares the host's.
    pub memory: Option<MachineMemory>,
    /// Whether its guest may still be frozen for a snapshot that was cut off:
    /// [`MachineSnapshots::thaw`](crate::MachineSnapshots::thaw) has it go on.
    pub left_frozen: bool,
    /// Why it is [`Paused`](MachineState::Paused) though nobody froze it.
    pub stall: Option<Stall>,
}

/// How far the memory of a machine goes that has some of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct MachineMemory {
    /// What its guest has, in bytes: less than [`Resources::memory_bytes`] until it has taken all that it was given while
    /// it runs.
    pub taken_bytes: u64,
    /// As much as it can get while it runs, in bytes.
    pub most_bytes: u64,
}

/// Why a machine stands still that nobody froze: the host couldn't write what it wrote. Nothing is lost by that: once it is
/// unpaused it goes on with that very write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Stall {
    /// Why the host couldn't.
    pub cause: StallCause,
    /// The volume that it wrote to, by owner's uid; `None`: the disk of its own.
    pub volume: Option<Uuid>,
}

/// Why the host couldn't write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum StallCause {
    /// The host's disk is full.
    NoRoom,
    /// Anything else.
    WriteFailed,
}

impl fmt::Display for Stall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.cause {
            StallCause::NoRoom => "the host has no room for what the machine writes",
            StallCause::WriteFailed => "the host can't write what the machine writes",
        })
    }
}

impl Resources {
    /// As much memory as a machine can get while it runs that is started with these.
    pub fn most_memory(&self) -> u64 {
        self.max_memory_bytes.unwrap_or_default().max(self.memory_bytes)
    }

    /// The processors that hold so much processor time, where a machine has whole ones and a limit of their time.
    pub fn processors(&self) -> u64 {
        self.cpu_millis.div_ceil(1000).max(1)
    }

    /// As many as a machine can get while it runs that is started with these.
    pub fn most_processors(&self) -> u64 {
        let processors = self.processors();
        (processors * GROWTH).clamp(LEAST_ROOM, MOST_ROOM).max(processors)
    }
}

impl Machine {
    /// Whether it can get these amounts while it runs. One with processors of its own gets more of them up to a number, and
    /// fewer. One with memory of its own gets more of it up to a size, and no less than its guest has: what that gives back
    /// when asked it can take again. How far memory goes counts at a start.
    pub fn resizes_running(&self, resources: Resources) -> bool {
        let has_processors = self.most_processors.is_none_or(|most| resources.processors() <= most);
        let has_memory = |memory: MachineMemory| {
            let bytes = resources.memory_bytes;
            // What the guest has may be rounded up.
            let least = memory.taken_bytes.min(self.resources.memory_bytes);
            let is_in_reach = (least..=memory.most_bytes).contains(&bytes);
            (is_in_reach || bytes == self.resources.memory_bytes)
                && resources.max_memory_bytes == self.resources.max_memory_bytes
        };
        has_processors && self.memory.is_none_or(has_memory)
    }

    /// Whether its guest hasn't taken all of the memory that it was given while it runs.
    pub fn lacks_memory(&self) -> bool {
        self.state == MachineState::Running
            && self.memory.is_some_and(|memory| memory.taken_bytes < self.resources.memory_bytes)
    }

    /// What `list` would tell of it.
    pub fn summary(&self) -> MachineSummary {
        MachineSummary {
            id: self.id.clone(),
            owner: self.owner.clone(),
            spec_hash: self.spec_hash.clone(),
            active: matches!(self.state, MachineState::Running | MachineState::Paused),
            attachment: self.attachment,
            volumes: self.volumes.clone(),
        }
    }
}

/// A machine's place in a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attachment {
    /// The uid of the network's owner.
    pub network: Uuid,
    /// The machine's address.
    pub address: Ipv4Addr,
}

/// What a machine is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum MachineState {
    /// Made and never started with success.
    Created,
    /// Running.
    Running,
    /// Frozen.
    Paused,
    /// It ended, by itself or because it was stopped.
    Exited(ExitState),
    /// The engine could not take it down entirely. It can only be removed.
    Dead,
}

/// How a machine ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExitState {
    /// The exit code; 128 + n after signal n.
    pub code: i64,
    /// Whether the kernel killed it for want of memory.
    pub out_of_memory: bool,
    /// When it ended.
    pub finished_at: Timestamp,
}
