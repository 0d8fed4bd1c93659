//! What is planned for an Instance in one situation after the other. Here is what the tests stand on: a scene in which each
//! step has its effect.

mod bounds;
mod endings;
mod health;
mod life;
mod mounts;
mod ports;
mod properties;
mod secrets;
mod snapshots;
mod virtual_machines;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use controller_backend::{
    Attachment, ExitState, FileSet, Image, Machine, MachineId, MachineMemory, MachineState, MountSource, Mounts, Owner,
    Protocol, Resources,
};
use crds::compute::instance::{
    BackendName, HealthCheck, Instance, InstancePhase, InstanceSpec, InstanceStatus, OnFailure, Port, PowerState,
    Publish, RestartPolicy, TcpCheck, VolumeMount,
};
use crds::compute::instance_policy::InstancePolicy;
use crds::status::{AVAILABLE, READY, STALLED, condition};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use uuid::Uuid;

use super::allocate::{Supply, has_all, host_port_of};
use super::bounds::Bounds;
use super::health::{Health, Probing};
use super::inputs::Inputs;
use super::observe::{Disk, Network, Observed, Target, wanted_hash};
use super::plan::plan;
use super::report::report;
use super::{InstanceKind, Step};
use crate::claims::HostPort;
use crate::runtime::{Account, Failure, Goal, Note, Plan};

const NETWORK: Uuid = Uuid::from_u128(10);
const VOLUME: Uuid = Uuid::from_u128(11);
const DISK: Uuid = Uuid::from_u128(12);
/// The Volumes that are devices.
const DEVICES: [Uuid; 2] = [Uuid::from_u128(13), Uuid::from_u128(14)];

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// The volumes that machines have are those that they mount or will.
fn count(machines: &mut [Machine]) {
    for machine in machines {
        let Some(mounts) = &machine.mounts else { continue };
        let all = mounts.defined.iter().chain(mounts.live.iter().flatten());
        let uids = all.filter_map(|mount| match mount.source {
            MountSource::Volume(uid) => Some(uid),
            _ => None,
        });
        machine.volumes = uids.collect::<BTreeSet<_>>().into_iter().collect();
    }
}

/// An Instance and its world.
#[derive(Debug, Clone)]
struct Scene {
    instance: Instance,
    observed: Observed,
}

/// An Instance of which nothing real exists, with all that it needs.
fn scene(spec: InstanceSpec) -> Scene {
    let mut instance = Instance::new("web", spec);
    let meta = instance.meta_mut();
    meta.namespace = Some("shop".to_owned());
    meta.uid = Some(Uuid::from_u128(1).to_string());
    meta.generation = Some(1);
    let owner = Owner {
        installation: Uuid::nil(),
        kind: "Instance".to_owned(),
        namespace: "shop".to_owned(),
        name: "web".to_owned(),
        uid: Uuid::from_u128(1),
    };
    let range = Some(("10.0.0.0/24".parse().unwrap(), "10.0.0.1".parse().unwrap()));
    let observed = Observed {
        now: second(0),
        owner,
        machines: Vec::new(),
        network: Target::Ready(Network { uid: NETWORK, range }),
        volumes: instance.volumes().into_keys().map(|name| (name.to_owned(), Target::Ready(VOLUME))).collect(),
        held_volumes: Vec::new(),
        rivals: BTreeMap::new(),
        size: Target::Ready(Resources { cpu_millis: 1000, memory_bytes: 1 << 29, max_memory_bytes: None }),
        instance_type: "small".to_owned(),
        bounds: Bounds::of("shop", [] as [Arc<InstancePolicy>; 0]),
        inputs: Inputs::default(),
        secrets: BTreeMap::new(),
        files_in_place: true,
        files_up_to_date: true,
        files_left: false,
        image: Some(image()),
        supply: Supply {
            addresses: BTreeSet::new(),
            ports: Vec::new(),
            refused: BTreeSet::new(),
            range: 20000..=20009,
            publish_address: "127.0.0.1".parse().unwrap(),
            networks: Vec::new(),
        },
        held: None,
        probing: None,
        backend: BackendName::Docker,
        snapshot: None,
        disk: None,
        host: Some("host".to_owned()),
    };
    Scene { instance, observed }
}

fn image() -> Image {
    Image {
        id: "sha256:1".to_owned(),
        size_bytes: 1,
        exposed_ports: Vec::new(),
        entrypoint: Vec::new(),
        command: Vec::new(),
        user: String::new(),
    }
}

fn spec() -> InstanceSpec {
    InstanceSpec { image: "nginx:1".to_owned(), vpc: Some("main".to_owned()), ..InstanceSpec::default() }
}

fn published(port: Option<i32>) -> Port {
    Port { port: 80, publish: Some(Publish { port, address: None }), ..Port::default() }
}

fn exited(code: i64, at: i64) -> MachineState {
    MachineState::Exited(ExitState { code, out_of_memory: false, finished_at: second(at) })
}

impl Scene {
    fn plan(&self, goal: Goal) -> Plan<Step> {
        plan(goal, &self.instance, &self.observed)
    }

    fn status(&mut self) -> &mut InstanceStatus {
        self.instance.status.get_or_insert_default()
    }

    fn machine(&mut self) -> &mut Machine {
        self.observed.machines.last_mut().unwrap()
    }

    /// What a step does to the world, in the simplest words.
    fn model(&mut self, step: &Step) {
        let now = self.observed.now;
        let machines = &mut self.observed.machines;
        let mut change = |id: &MachineId, change: &dyn Fn(&mut Machine)| {
            change(machines.iter_mut().find(|machine| machine.id == *id).expect("only what was observed is touched"));
        };
        match step {
            Step::MakeDefaultVpc => {
                let range = Some(("10.128.0.0/20".parse().unwrap(), "10.128.0.1".parse().unwrap()));
                self.observed.network = Target::Ready(Network { uid: NETWORK, range });
            }
            Step::Allocate { ip, ports, published, hold, .. } => {
                if *hold {
                    self.observed.held = Some(published.iter().copied().collect());
                }
                let status = self.status();
                status.ip = Some(ip.to_string());
                status.ports.clone_from(ports);
            }
            Step::HoldPorts(ports) => self.observed.held = Some(ports.clone()),
            Step::Pull(_) => self.observed.image = Some(image()),
            Step::EnsureFiles { .. } => {
                (self.observed.files_in_place, self.observed.files_up_to_date) = (true, true);
            }
            Step::RefreshFiles { .. } => self.observed.files_up_to_date = true,
            Step::Create(spec) => {
                let id = MachineId(format!("m{}", machines.len() + 100));
                machines.push(Machine {
                    id,
                    name: spec.name.clone(),
                    owner: spec.owner.clone(),
                    spec_hash: spec.spec_hash.clone(),
                    state: MachineState::Created,
                    created_at: now,
                    started_at: None,
                    image_id: "sha256:1".to_owned(),
                    attachment: spec.network.as_ref().map(|to| Attachment { network: to.network, address: to.address }),
                    published: Vec::new(),
                    resources: spec.resources,
                    security: spec.security.clone(),
                    volumes: Vec::new(),
                    mounts: spec.first_boot.as_ref().map(|_| Mounts {
                        defined: spec.mounts.clone(),
                        devices: DEVICES.to_vec(),
                        ..Mounts::default()
                    }),
                    most_processors: spec.first_boot.as_ref().map(|_| spec.resources.most_processors()),
                    memory: spec.first_boot.as_ref().map(|_| memory(spec.resources)),
                    left_frozen: false,
                    stall: None,
                });
                count(machines);
            }
            Step::Start(id) => change(id, &|machine| {
                machine.state = MachineState::Running;
                machine.started_at = Some(now);
                machine.memory = machine.memory.map(|_| memory(machine.resources));
                if let Some(mounts) = &mut machine.mounts {
                    mounts.live = Some(mounts.defined.clone());
                }
            }),
            Step::Pause(id) => change(id, &|machine| machine.state = MachineState::Paused),
            Step::Thaw(id) => change(id, &|machine| machine.left_frozen = false),
            Step::Unpause(id) | Step::Resume(id) => change(id, &|machine| {
                machine.state = MachineState::Running;
                machine.stall = None;
            }),
            Step::Resize { id, resources } => change(id, &|machine| {
                machine.resources = *resources;
                if let Some(memory) = &mut machine.memory {
                    memory.taken_bytes = resources.memory_bytes;
                }
            }),
            Step::Restore { id, name, network } => change(id, &|machine| {
                machine.name.clone_from(name);
                let network = network.as_ref();
                let joined = network.map(|to| Attachment { network: to.network, address: to.address });
                machine.attachment = machine.attachment.or(joined);
            }),
            Step::Stop { id, .. } => change(id, &|machine| {
                let exit = ExitState { code: 143, out_of_memory: false, finished_at: now };
                machine.state = MachineState::Exited(exit);
                if let Some(mounts) = &mut machine.mounts {
                    mounts.live = None;
                }
            }),
            Step::DefineMounts { id, mounts } => {
                change(id, &|machine| machine.mounts.as_mut().unwrap().defined = mounts.clone());
                count(machines);
            }
            Step::Attach { id, volume } => change(id, &|machine| {
                let mounts = machine.mounts.as_mut().unwrap();
                mounts.outgrown.retain(|outgrown| outgrown != volume);
                let comes = mounts.defined.iter().find(|mount| mount.source == MountSource::Volume(*volume));
                let (comes, live) = (comes.unwrap().clone(), mounts.live.as_mut().unwrap());
                if !live.contains(&comes) {
                    live.push(comes);
                }
            }),
            Step::Detach { id, volume } => {
                let source = MountSource::Volume(*volume);
                change(id, &|machine| {
                    machine.mounts.as_mut().unwrap().live.as_mut().unwrap().retain(|mount| mount.source != source);
                });
                count(machines);
            }
            Step::Remove(id) => {
                change(id, &|_| {});
                self.observed.machines.retain(|machine| machine.id != *id);
            }
            Step::RemoveFiles => self.observed.files_left = false,
            Step::RecordEnding(ending) => {
                let ending = ending.clone();
                let status = self.status();
                status.last_exit = Some(ending.exit);
                status.crash_count = Some(ending.crash_count);
                status.restart_count = Some(ending.restart_count);
                status.next_restart = ending.next_restart.map(Time);
            }
            Step::RecordStart => self.status().next_restart = None,
            Step::RecordRestart { token, exit } => {
                let (token, exit) = (token.clone(), exit.clone());
                let status = self.status();
                status.restart_token = Some(token);
                status.next_restart = None;
                status.crash_count = None;
                status.last_exit = exit.or(status.last_exit.take());
            }
            Step::AnnounceRestart(changed) => self.status().restarting_for.clone_from(changed),
            Step::RecordSecrets { secrets, exit } => {
                let (secrets, exit) = (secrets.clone(), exit.clone());
                let status = self.status();
                (status.secrets, status.restarting_for) = (secrets, Vec::new());
                if exit.is_some() {
                    (status.next_restart, status.crash_count, status.last_exit) = (None, None, exit);
                }
            }
            Step::Probe(spec) => {
                self.observed.probing = Some(Probing { spec: spec.clone(), health: Health::Unknown });
            }
            Step::StopProbe => self.observed.probing = None,
        }
    }

    /// Writes the status, as the driver does.
    fn report(&mut self, plan: Option<&Plan<Step>>, failure: Option<&Failure>, goal: Goal) -> Vec<Note> {
        let observed = failure.is_none_or(|failure| !failure.verdict().unknown).then_some(&self.observed);
        let account: Account<'_, InstanceKind> =
            Account { goal, object: &self.instance, observed, plan, failure, now: self.observed.now };
        let report = report(&account);
        self.instance.status = Some(report.status);
        report.notes
    }

    /// Plans, applies and reports until nothing is left to do. Gives every step taken.
    fn converge(&mut self, goal: Goal) -> Vec<Step> {
        let mut taken = Vec::new();
        for _ in 0..12 {
            let mut plan = self.plan(goal);
            let steps = plan.steps.clone();
            if plan.slow || plan.tell || steps.is_empty() {
                self.report(Some(&plan), None, goal);
            }
            if steps.is_empty() {
                return taken;
            }
            for step in &steps {
                self.model(step);
            }
            taken.extend(steps);
            if plan.last {
                plan.steps.clear();
                self.report(Some(&plan), None, goal);
            }
        }
        panic!("planning does not come to an end: {taken:?}");
    }

    /// The same, by controllers that are cut off after so many steps and by those that come after them.
    fn converge_cut_off_after(&mut self, done: usize) -> Vec<Step> {
        let mut taken = Vec::new();
        while taken.len() < done {
            let step = self.plan(Goal::Present).steps[0].clone();
            self.model(&step);
            taken.push(step);
        }
        taken.extend(self.converge(Goal::Present));
        taken
    }

    fn ready(&self) -> (&str, &str) {
        let status = self.instance.status.as_ref().unwrap();
        let ready = condition(&status.conditions, READY).unwrap();
        (&ready.status, &ready.reason)
    }

    fn message(&self) -> &str {
        &condition(&self.instance.status.as_ref().unwrap().conditions, READY).unwrap().message
    }

    fn available(&self) -> &str {
        &condition(&self.instance.status.as_ref().unwrap().conditions, AVAILABLE).unwrap().reason
    }

    fn phase(&self) -> InstancePhase {
        self.instance.status.as_ref().unwrap().phase.unwrap()
    }
}

/// A scene in which the machine runs and nothing is to be done.
fn running(spec: InstanceSpec) -> Scene {
    let mut scene = scene(spec);
    scene.converge(Goal::Present);
    assert_eq!(scene.machine().state, MachineState::Running);
    scene
}

fn names(steps: &[Step]) -> Vec<String> {
    let name = |step: &Step| format!("{step:?}").split(|c: char| !c.is_alphanumeric()).next().unwrap().to_owned();
    steps.iter().map(name).collect()
}

/// That of a machine which was started with these.
fn memory(resources: Resources) -> MachineMemory {
    MachineMemory { taken_bytes: resources.memory_bytes, most_bytes: resources.most_memory() }
}

/// A disk that is ready, as large as its image's.
fn disk() -> Disk {
    Disk { image: Target::Ready(DISK), kind: "ClusterImage", wanted: None, least: None }
}

/// An Instance that is a virtual machine, of which nothing real exists, with all that it needs.
fn virtual_scene() -> Scene {
    let mut scene = scene(InstanceSpec { backend: Some(BackendName::Libvirt), image: "debian".to_owned(), ..spec() });
    scene.observed.backend = BackendName::Libvirt;
    scene.observed.disk = Some(disk());
    scene
}

fn checked(on_failure: OnFailure) -> InstanceSpec {
    let check =
        HealthCheck { tcp: Some(TcpCheck { port: 80 }), failure_threshold: 3, on_failure, ..HealthCheck::default() };
    InstanceSpec { health_check: Some(check), ..spec() }
}

fn file_set() -> FileSet {
    FileSet { name: "etc".to_owned(), files: BTreeMap::new() }
}

fn set_health(scene: &mut Scene, health: Health) {
    scene.observed.probing.as_mut().unwrap().health = health;
}
