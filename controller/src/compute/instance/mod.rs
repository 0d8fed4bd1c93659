//! The kind Instance: one machine. Finalizer: the machine and its projected files. Ports: `Machines`, `Images`,
//! `Files`, and `Consoles` for health checks.

mod allocate;
mod amounts;
mod apply;
mod bounds;
mod fit;
mod health;
pub(crate) mod index;
mod inputs;
mod mounting;
mod needs;
mod observe;
mod origin;
mod plan;
mod projected;
mod pull;
mod report;
mod restart;
mod restore;
mod rivals;
mod secrets;
mod stall;
mod taking;
#[cfg(test)]
mod tests;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use controller_backend::{FileSet, MachineId, MachineSpec, Mount, NetworkAttachment, Resources};
use crds::compute::instance::{Exit, Instance, InstanceStatus, PortStatus, SecretStatus};
use kube::{Api, Client};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::claims::HostPort;
use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Report};
use crate::world::World;

pub(crate) use allocate::host_port_of;
use health::{ProbeSpec, Probes};
use observe::Observed;
use projected::Projected;
use restart::Ending;
use taking::Takers;

/// One thing to do. Ids are in it, so that a step says what it touches.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Make the namespace's default Vpc.
    MakeDefaultVpc,
    /// Write address and ports into the status, before a machine is made with them.
    Allocate {
        /// The network that the address is in.
        network: Uuid,
        /// The address.
        ip: Ipv4Addr,
        /// The ports, with where they are published.
        ports: Vec<PortStatus>,
        /// The same, to be promised.
        published: Vec<HostPort>,
        /// Whether they are kept at the host too, because its engine doesn't do it.
        hold: bool,
    },
    /// Keep exactly these ports of the host for it.
    HoldPorts(HostPorts),
    /// Fetch the image.
    Pull(String),
    /// Put the projected files in place.
    EnsureFiles {
        /// What they should be.
        sets: Vec<FileSet>,
        /// What is remembered once they are.
        digest: [u8; 32],
    },
    /// Bring those of the projected files up to date that a machine which runs has.
    RefreshFiles {
        /// What they should be.
        sets: Vec<FileSet>,
        /// What is remembered once they are.
        digest: [u8; 32],
    },
    /// Make the machine, stopped.
    Create(Box<MachineSpec>),
    /// Start the machine.
    Start(MachineId),
    /// Freeze it.
    Pause(MachineId),
    /// Thaw it.
    Unpause(MachineId),
    /// Have it go on that stands still because the host couldn't write for it.
    Resume(MachineId),
    /// Have its guest go on that was frozen for a snapshot which was cut off.
    Thaw(MachineId),
    /// Change its limits in place.
    Resize {
        /// The machine.
        id: MachineId,
        /// The limits.
        resources: Resources,
    },
    /// Give it back the name and the place in its network that somebody took away.
    Restore {
        /// The machine.
        id: MachineId,
        /// Its name at the engine.
        name: String,
        /// Its place, unless it is in it.
        network: Option<NetworkAttachment>,
    },
    /// Define what it mounts from its next start on.
    DefineMounts {
        /// The machine.
        id: MachineId,
        /// All of it.
        mounts: Vec<Mount>,
    },
    /// Plug a Volume into it while it runs, or tell it that the Volume has grown.
    Attach {
        /// The machine.
        id: MachineId,
        /// The Volume's uid.
        volume: Uuid,
    },
    /// Have it let go of a Volume while it runs.
    Detach {
        /// The machine.
        id: MachineId,
        /// The Volume's uid.
        volume: Uuid,
    },
    /// Ask it to stop, then stop it hard.
    Stop {
        /// The machine.
        id: MachineId,
        /// How long it may take.
        grace: Duration,
    },
    /// Remove it.
    Remove(MachineId),
    /// Remove the projected files.
    RemoveFiles,
    /// Write into the status how the machine ended and when it is started again.
    RecordEnding(Ending),
    /// Write into the status that the start that was due took place.
    RecordStart,
    /// Write into the status that the machine is started with this `restartToken`, and that it was stopped for that.
    RecordRestart {
        /// The token.
        token: String,
        /// How it ended, unless it has never run.
        exit: Option<Exit>,
    },
    /// Write into the status that the machine is about to be stopped, and started again, because these Secrets changed.
    AnnounceRestart(Vec<String>),
    /// Write into the status what the machine is started with from its Secrets.
    RecordSecrets {
        /// Its Secrets.
        secrets: Vec<SecretStatus>,
        /// How it ended, if it was stopped for that.
        exit: Option<Exit>,
    },
    /// Begin to check its health.
    Probe(ProbeSpec),
    /// Check its health no more.
    StopProbe,
}

/// The kind.
pub(crate) struct InstanceKind {
    world: Arc<World>,
    probes: Probes,
    /// The files that this process put in place.
    projected: Mutex<BTreeMap<Uuid, Projected>>,
    /// Places for making and starting machines.
    starts: Semaphore,
    /// Who is about to take a Volume.
    takers: Takers,
}

impl InstanceKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        let starts = Semaphore::new(world.options.starts_at_a_time.max(1));
        let probes = Probes::new(world.queues.instances.clone());
        Self { world, probes, projected: Mutex::default(), starts, takers: Takers::default() }
    }

    fn projected(&self, uid: Uuid) -> Option<Projected> {
        self.projected.lock().unwrap_or_else(PoisonError::into_inner).get(&uid).copied()
    }

    fn remember_projected(&self, uid: Uuid, known: Option<Projected>) {
        let mut projected = self.projected.lock().unwrap_or_else(PoisonError::into_inner);
        match known {
            Some(known) => projected.insert(uid, known),
            None => projected.remove(&uid),
        };
    }
}

#[async_trait]
impl Kind for InstanceKind {
    const NAME: &'static str = "Instance";
    type Object = Instance;
    type Status = InstanceStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<Instance> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, goal: Goal, instance: &Instance) -> Result<Observed, Failure> {
        observe::observe(self, goal, instance).await
    }

    fn plan(&self, goal: Goal, instance: &Instance, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, instance, observed)
    }

    async fn apply(&self, instance: &Instance, step: &Step) -> Result<Applied<Instance>, Failure> {
        apply::apply(self, instance, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<InstanceStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.world.claims.release(uid);
        self.probes.stop(uid);
        self.remember_projected(uid, None);
    }
}

/// The refused ports and the taken ones are sets of these.
type HostPorts = BTreeSet<HostPort>;
