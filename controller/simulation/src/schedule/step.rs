//! What can be in a schedule, and how a script of it is written: one JSON line a step.

use serde::{Deserialize, Serialize};

/// One step of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// The user makes this, or changes it into this.
    Write(Thing),
    /// The user makes these, or changes them, all within a second.
    Burst(Vec<Thing>),
    /// The user deletes this.
    Delete(Thing),
    /// The user deletes this Volume or snapshot, and has its data stay.
    Leave(Thing),
    /// The user has the data that this has left adopted, under its name.
    Adopt(Thing),
    /// The user has the data that this has left purged.
    Purge(Thing),
    /// Everything that went wrong is over, and what is there now is compared.
    Settle,
    /// The controllers are killed after so many more changes, and start anew.
    Crash(u64),
    /// The next adoption or purge is cut off after so many changes.
    CutOff(u64),
    /// A call of the backend fails.
    Fault {
        /// The call, by its name.
        operation: String,
        /// What it does: `Fail`, `Unavailable` or `LostAnswer`.
        kind: String,
        /// Which of the next calls; 0 is every one until everything is over.
        nth: u64,
    },
    /// The engine stops answering.
    Down,
    /// The engine answers again.
    Up,
    /// Events of the engine are lost from now on.
    LoseEvents,
    /// Events of the engine are told twice from now on.
    DoubleEvents,
    /// What the controllers watch reaches them so many milliseconds late from now on: they act on what was.
    Lag(u64),
    /// Every watch of the controllers is cut.
    Cut,
    /// The machine of this Instance ends by itself with this code.
    Dies(usize, i64),
    /// Somebody removes the machine of this Instance.
    MachineRemoved(usize),
    /// Somebody takes the machine of this Instance its name and its network.
    MachineAstray(usize),
    /// Somebody removes the network of this Vpc.
    NetworkRemoved(usize),
    /// The host restarts.
    Reboot,
    /// So many milliseconds pass.
    Pass(u64),
}

/// An object, by kind and number: `Instance` 2 is named `instance2`, and mounts `volume2`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Thing {
    /// A Vpc; the last one's range is that of the first.
    Vpc(usize),
    /// A SecurityGroup of a Vpc that lets in a port.
    SecurityGroup {
        /// Its number.
        number: usize,
        /// The Vpc's number.
        vpc: usize,
        /// The port.
        port: i32,
    },
    /// A VpcPeering of two Vpcs.
    VpcPeering {
        /// Its number.
        number: usize,
        /// The one Vpc's number.
        vpc: usize,
        /// The other's.
        peer: usize,
    },
    /// A Volume.
    Volume {
        /// Its number.
        number: usize,
        /// Mebibytes.
        size: u64,
        /// The snapshot that it is made from, by number.
        snapshot: Option<usize>,
        /// The Volume that it is made from, by number.
        volume: Option<usize>,
        /// Whether it is a device.
        #[serde(default)]
        block: bool,
    },
    /// A snapshot of the Volume with its number.
    Snapshot(usize),
    /// A snapshot of the Instance with its number.
    InstanceSnapshot(usize),
    /// The ClusterImage of virtual machines.
    ClusterImage,
    /// The Image of virtual machines.
    Image,
    /// An Image made from the InstanceSnapshot with its number.
    ImageOfSnapshot(usize),
    /// A Secret.
    Secret {
        /// Its number.
        number: usize,
        /// Which value it holds.
        value: u64,
    },
    /// The InstancePolicy that lets Instances have more capabilities.
    InstancePolicy,
    /// An Instance.
    Instance {
        /// Its number.
        number: usize,
        /// The Vpc's number; none is the default one.
        vpc: Option<usize>,
        /// The image; of no account where it is made from a snapshot.
        image: String,
        /// The InstanceSnapshot that it is made from, by number.
        #[serde(default)]
        snapshot: Option<usize>,
        /// Millicores.
        cpu: u64,
        /// Mebibytes, which can become many more while it runs; 0 is what its type says.
        #[serde(default)]
        memory: u64,
        /// Whether it mounts the Volume with its number.
        mounts: bool,
        /// Whether a port is published.
        publishes: bool,
        /// Whether it is a virtual machine.
        is_virtual: bool,
        /// Its power state.
        power: String,
        /// What it takes from Secrets.
        #[serde(default)]
        takes: Taking,
        /// Whether it asks for a capability that an InstancePolicy has to allow.
        #[serde(default)]
        asks: bool,
    },
}

/// What an Instance takes from Secrets, and how.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Taking {
    /// The Secrets, by number.
    pub secrets: Vec<usize>,
    /// Whether as files, rather than as variables.
    pub mounted: bool,
    /// Its `secretUpdatePolicy`.
    pub policy: String,
}

impl Step {
    /// Whether it is something that the user wants, rather than something that goes wrong.
    #[must_use]
    pub fn is_wished(&self) -> bool {
        matches!(
            self,
            Self::Write(_)
                | Self::Burst(_)
                | Self::Delete(_)
                | Self::Leave(_)
                | Self::Adopt(_)
                | Self::Purge(_)
                | Self::Settle
        )
    }
}

/// The script of a schedule.
#[must_use]
pub fn script(steps: &[Step]) -> String {
    let line = |step| serde_json::to_string(step).expect("a step is JSON") + "\n";
    steps.iter().map(line).collect()
}

/// Reads a script. Empty lines and lines that begin with `#` say nothing.
///
/// # Errors
/// A line is no step; the error names it.
pub fn read(script: &str) -> Result<Vec<Step>, String> {
    let mut steps = Vec::new();
    for (index, line) in script.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let step = serde_json::from_str(line).map_err(|error| format!("line {}: {error}: {line}", index + 1))?;
        steps.push(step);
    }
    Ok(steps)
}
