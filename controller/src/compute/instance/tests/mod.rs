//! What is planned for an Instance in one situation after the other, and that planning comes to an end in all of them.

mod bounds;
mod endings;
mod mounts;
mod secrets;
mod snapshots;
mod virtual_machines;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use controller_backend::{
    Attachment, ExitState, FileSet, Image, Machine, MachineId, MachineState, MountSource, Mounts, Owner, Protocol,
    Resources,
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
use proptest::prelude::*;
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
        size: Target::Ready(Resources { cpu_millis: 1000, memory_bytes: 1 << 29 }),
        instance_type: "small".to_owned(),
        bounds: Bounds::of("shop", [] as [Arc<InstancePolicy>; 0]),
        inputs: Inputs::default(),
        secrets: BTreeMap::new(),
        files_in_place: true,
        files_left: false,
        image: Some(image()),
        supply: Supply {
            addresses: BTreeSet::new(),
            ports: Vec::new(),
            refused: BTreeSet::new(),
            range: 20000..=20009,
            publish_address: "127.0.0.1".parse().unwrap(),
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
            Step::EnsureFiles { .. } => self.observed.files_in_place = true,
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
                    left_frozen: false,
                });
                count(machines);
            }
            Step::Start(id) => change(id, &|machine| {
                machine.state = MachineState::Running;
                machine.started_at = Some(now);
                if let Some(mounts) = &mut machine.mounts {
                    mounts.live = Some(mounts.defined.clone());
                }
            }),
            Step::Pause(id) => change(id, &|machine| machine.state = MachineState::Paused),
            Step::Thaw(id) => change(id, &|machine| machine.left_frozen = false),
            Step::Unpause(id) => change(id, &|machine| machine.state = MachineState::Running),
            Step::Resize { id, resources } => change(id, &|machine| machine.resources = *resources),
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

#[test]
fn address_and_ports_are_written_down_before_the_machine_is_made_and_started() {
    let mut scene = scene(InstanceSpec { ports: vec![published(None)], ..spec() });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
    assert_eq!(scene.ready(), ("True", "Running"));
    assert_eq!(scene.phase(), InstancePhase::Running);
    let port = scene.instance.status.unwrap().ports[0].published_port.unwrap();
    assert!((20000..=20009).contains(&port));
}

#[test]
fn a_settled_instance_has_nothing_to_do_and_its_status_does_not_change() {
    let mut scene = running(spec());
    assert_eq!(scene.plan(Goal::Present), Plan::default());
    let before = scene.instance.status.clone();
    scene.observed.now = second(99);
    let plan = scene.plan(Goal::Present);
    assert_eq!(scene.report(Some(&plan), None, Goal::Present), []);
    assert_eq!(scene.instance.status, before);
}

#[test]
fn a_deleted_instance_stops_gently_and_leaves_nothing() {
    let mut scene = running(InstanceSpec { termination_grace_period_seconds: 7, ..spec() });
    scene.observed.files_left = true;
    let steps = scene.converge(Goal::Absent);
    assert_eq!(names(&steps), ["Stop", "Remove", "RemoveFiles"]);
    assert!(matches!(&steps[0], Step::Stop { grace, .. } if grace.as_secs() == 7));
    assert_eq!(scene.phase(), InstancePhase::Terminating);
    assert!(scene.observed.machines.is_empty());
}

#[test]
fn a_missing_dependency_is_named_and_nothing_is_made() {
    let mut scene = scene(InstanceSpec {
        volumes: vec![VolumeMount {
            mount_path: "/data".to_owned(),
            volume: Some("data".to_owned()),
            ..VolumeMount::default()
        }],
        ..spec()
    });
    scene.observed.network = Target::Missing;
    scene.observed.volumes.insert("data".to_owned(), Target::Missing);
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "DependencyMissing"));
    assert_eq!(scene.phase(), InstancePhase::Pending);
    let status = scene.instance.status.clone().unwrap();
    assert_eq!(condition(&status.conditions, READY).unwrap().message, "Waiting for Vpc `main`, Volume `data`.");
    assert!(condition(&status.conditions, STALLED).is_none());
    assert_eq!(status.ip, None);
}

#[test]
fn what_is_being_deleted_waits_for_the_machine_that_has_it_and_is_given_to_no_other() {
    let mount =
        VolumeMount { mount_path: "/data".to_owned(), volume: Some("data".to_owned()), ..VolumeMount::default() };
    let mut scene = running(InstanceSpec { volumes: vec![mount], ..spec() });
    scene.machine().volumes = vec![VOLUME];
    let network = *scene.observed.network.known().unwrap();
    scene.observed.network = Target::Going(network);
    scene.observed.volumes.insert("data".to_owned(), Target::Going(VOLUME));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("True", "Running"));
    scene.machine().state = exited(137, 5);
    scene.observed.now = second(6);
    assert!(names(&scene.converge(Goal::Present)).contains(&"Start".to_owned()));
    assert_eq!(scene.ready(), ("True", "Running"));

    scene.observed.machines.clear();
    assert_eq!(scene.converge(Goal::Present), [], "one that is made anew hasn't got it");
    assert_eq!(scene.ready(), ("False", "DependencyNotReady"));
}

#[test]
fn the_default_vpc_is_made_when_first_needed_and_no_other() {
    let mut scene = scene(InstanceSpec { vpc: None, ..spec() });
    scene.observed.network = Target::Missing;
    assert_eq!(names(&scene.converge(Goal::Present)), ["MakeDefaultVpc", "Allocate", "Create", "Start"]);
}

#[test]
fn a_missing_secret_holds_up_the_start_and_not_what_runs() {
    let mut fresh = scene(spec());
    fresh.observed.inputs.missing.insert("key `password` in Secret `db`".to_owned());
    assert_eq!(names(&fresh.converge(Goal::Present)), ["Allocate"]);
    assert_eq!(fresh.ready(), ("False", "DependencyMissing"));

    let mut running = running(spec());
    running.observed.inputs.missing.insert("Secret `db`".to_owned());
    assert_eq!(running.converge(Goal::Present), []);
    assert_eq!(running.ready(), ("True", "Running"));
}

#[test]
fn another_image_replaces_the_machine_and_keeps_its_address() {
    let mut scene = running(InstanceSpec { ports: vec![published(None)], ..spec() });
    let before = scene.instance.status.clone().unwrap();
    scene.instance.spec.image = "nginx:2".to_owned();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Stop", "Remove", "Create", "Start"]);
    let after = scene.instance.status.clone().unwrap();
    assert_eq!((before.ip, before.ports), (after.ip, after.ports));
}

#[test]
fn the_old_machine_goes_on_while_the_new_image_can_not_be_had() {
    let mut scene = running(spec());
    scene.instance.spec.image = "nginx:0".to_owned();
    scene.observed.image = None;
    let plan = scene.plan(Goal::Present);
    assert_eq!(plan.steps, [Step::Pull("nginx:0".to_owned())]);
    let failure = Failure::Pull(controller_backend::PullError::NoSuchImage { reference: "nginx:0".to_owned() });
    let notes = scene.report(Some(&plan), Some(&failure), Goal::Present);
    assert_eq!(scene.ready(), ("False", "ImageNotFound"));
    assert_eq!(scene.phase(), InstancePhase::Running);
    assert_eq!(scene.available(), "Running");
    assert_eq!(notes.len(), 1);
    // The same failure again is no news.
    assert_eq!(scene.report(Some(&plan), Some(&failure), Goal::Present), []);
}

#[test]
fn other_amounts_apply_in_place() {
    let mut scene = running(spec());
    scene.observed.size = Target::Ready(Resources { cpu_millis: 250, memory_bytes: 1 << 28 });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Resize"]);
    let amounts = scene.instance.status.unwrap().resources.unwrap();
    assert_eq!((amounts.cpu.unwrap().0, amounts.memory.unwrap().0), ("250m".to_owned(), "256Mi".to_owned()));
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

#[test]
fn what_the_backend_cannot_do_is_named_and_touches_nothing() {
    let mut scene = virtual_scene();
    scene.instance.spec.command = vec!["sleep".to_owned()];
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "Invalid"));
    let message = |scene: &Scene| {
        let status = scene.instance.status.clone().unwrap();
        condition(&status.conditions, READY).unwrap().message.clone()
    };
    assert!(message(&scene).contains("`command` is for containers"), "{}", message(&scene));
    let mut scene = self::scene(InstanceSpec { ssh_authorized_keys: vec!["ssh-ed25519 AAAA".to_owned()], ..spec() });
    assert_eq!(scene.converge(Goal::Present), []);
    assert!(message(&scene).contains("`sshAuthorizedKeys` is for virtual machines"), "{}", message(&scene));
}

#[test]
fn a_port_that_is_not_published_replaces_nothing() {
    let mut scene = running(spec());
    scene.instance.spec.ports.push(Port { port: 81, ..Port::default() });
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate"]);
}

#[test]
fn a_machine_that_somebody_removed_is_made_again_at_once() {
    let mut scene = running(spec());
    scene.observed.machines.clear();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Create", "Start"]);
}

#[test]
fn what_somebody_took_from_a_machine_is_given_back_without_another_machine() {
    let mut scene = running(spec());
    let before = scene.machine().clone();
    scene.machine().name = "mine".to_owned();
    scene.machine().attachment = None;
    let steps = scene.plan(Goal::Present).steps;
    let [Step::Restore { id, name, network: Some(network) }] = steps.as_slice() else { panic!("{steps:?}") };
    assert_eq!((id, name), (&before.id, &before.name));
    assert_eq!((network.network, Some(network.address)), (NETWORK, before.attachment.map(|at| at.address)));
    scene.converge(Goal::Present);
    assert_eq!(*scene.machine(), before);
    // Where the network is gone, only the name can be given back.
    scene.machine().name = "mine".to_owned();
    scene.machine().attachment = None;
    scene.observed.network = Target::NotReady(Network { uid: NETWORK, range: None }, "is not ready".to_owned());
    let steps = scene.plan(Goal::Present).steps;
    assert!(matches!(steps.first(), Some(Step::Restore { network: None, .. })), "{steps:?}");
}

#[test]
fn of_two_machines_the_one_that_is_as_it_should_be_stays() {
    let mut scene = running(spec());
    let mut old = scene.machine().clone();
    old.id = MachineId("old".to_owned());
    old.spec_hash = "other".to_owned();
    scene.observed.machines.push(old);
    let steps = scene.converge(Goal::Present);
    assert_eq!(names(&steps), ["Stop", "Remove"]);
    assert_eq!(steps[1], Step::Remove(MachineId("old".to_owned())));
}

#[test]
fn a_picked_port_that_the_host_refuses_is_replaced_by_another() {
    let mut scene = scene(InstanceSpec { ports: vec![published(None)], ..spec() });
    scene.converge(Goal::Present);
    let picked = scene.instance.status.clone().unwrap().ports[0].published_port.unwrap();
    scene.machine().state = MachineState::Created;
    let refused = HostPort {
        port: u16::try_from(picked).unwrap(),
        protocol: Protocol::Tcp,
        address: "127.0.0.1".parse().unwrap(),
    };
    scene.observed.supply.refused.insert(refused);
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Remove", "Create", "Start"]);
    assert_ne!(scene.instance.status.unwrap().ports[0].published_port.unwrap(), picked);
}

#[test]
fn a_port_that_another_instance_has_is_a_condition_that_names_it() {
    let mut scene = scene(InstanceSpec { ports: vec![published(Some(8080))], ..spec() });
    let taken = HostPort { port: 8080, protocol: Protocol::Tcp, address: "0.0.0.0".parse().unwrap() };
    scene.observed.supply.ports.push((taken, Some("api".to_owned())));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "PortTaken"));
    let status = scene.instance.status.clone().unwrap();
    let message = &condition(&status.conditions, READY).unwrap().message;
    assert_eq!(message, "TCP port 127.0.0.1:8080 is taken by Instance `api`.");
    scene.observed.supply.ports.clear();
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "Create", "Start"]);
}

#[test]
fn a_taken_port_does_not_tear_down_what_runs() {
    let mut scene = running(spec());
    scene.instance.spec.ports.push(published(Some(8080)));
    let taken = HostPort { port: 8080, protocol: Protocol::Tcp, address: "127.0.0.1".parse().unwrap() };
    scene.observed.supply.ports.push((taken, None));
    assert_eq!(scene.converge(Goal::Present), []);
    assert_eq!(scene.ready(), ("False", "PortTaken"));
    assert_eq!(scene.phase(), InstancePhase::Running);
}

#[test]
fn addresses_that_others_have_are_not_given_out_twice() {
    let mut first = scene(spec());
    first.converge(Goal::Present);
    let favourite: Ipv4Addr = first.instance.status.clone().unwrap().ip.unwrap().parse().unwrap();
    let mut second = scene(spec());
    second.observed.supply.addresses.insert(favourite);
    second.converge(Goal::Present);
    assert_ne!(second.instance.status.clone().unwrap().ip.unwrap(), favourite.to_string());

    let mut full = scene(spec());
    full.observed.supply.addresses = (0..=255).map(|last| Ipv4Addr::new(10, 0, 0, last)).collect();
    assert_eq!(full.converge(Goal::Present), []);
    assert_eq!(full.ready(), ("False", "AddressesExhausted"));
}

#[test]
fn who_has_address_and_ports_looks_at_nobody_until_it_needs_another_one() {
    let mut scene = scene(spec());
    scene.instance.spec.ports = vec![published(Some(8080)), published(None)];
    scene.instance.spec.ports[1].port = 81;
    let network = scene.observed.network.known().unwrap().range.unwrap();
    let all = |scene: &Scene| has_all(&scene.instance, network, &scene.observed.supply);
    assert!(!all(&scene), "it has nothing yet");
    scene.converge(Goal::Present);
    assert!(all(&scene));
    // Another image is another machine, with the same address and ports.
    scene.instance.spec.image = "nginx:2".to_owned();
    assert!(all(&scene));
    let elsewhere = ("10.1.0.0/24".parse().unwrap(), "10.1.0.1".parse().unwrap());
    assert!(!has_all(&scene.instance, elsewhere, &scene.observed.supply));
    let picked = scene.instance.status.as_ref().unwrap().ports.iter().filter_map(host_port_of).next_back().unwrap();
    let mut refused = scene.clone();
    refused.observed.supply.refused.insert(picked);
    assert!(!all(&refused), "the host refused the port that was picked");
    scene.instance.spec.ports[0].publish = Some(Publish { port: Some(8081), address: None });
    assert!(!all(&scene));
}

#[test]
fn a_volume_that_another_machine_writes_to_is_waited_for() {
    let mut scene = scene(spec());
    scene.observed.rivals.insert("data".to_owned(), "api".to_owned());
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate"]);
    assert_eq!(scene.ready(), ("False", "VolumeInUse"));
}

fn checked(on_failure: OnFailure) -> InstanceSpec {
    let check =
        HealthCheck { tcp: Some(TcpCheck { port: 80 }), failure_threshold: 3, on_failure, ..HealthCheck::default() };
    InstanceSpec { health_check: Some(check), ..spec() }
}

fn set_health(scene: &mut Scene, health: Health) {
    scene.observed.probing.as_mut().unwrap().health = health;
}

#[test]
fn a_failing_check_makes_it_unavailable_and_is_told_once() {
    let mut scene = running(checked(OnFailure::None));
    assert_eq!((scene.available(), scene.ready()), ("Checking", ("True", "Running")));
    set_health(&mut scene, Health::Passing);
    scene.converge(Goal::Present);
    assert_eq!(scene.available(), "Healthy");
    set_health(&mut scene, Health::Failing("port 80 does not accept connections".to_owned()));
    let plan = scene.plan(Goal::Present);
    assert_eq!(plan.steps, []);
    assert_eq!(scene.report(Some(&plan), None, Goal::Present).len(), 1);
    assert_eq!(scene.report(Some(&plan), None, Goal::Present).len(), 0);
    assert_eq!(scene.available(), "Unhealthy");
    assert_eq!(scene.ready(), ("True", "Running"));
}

#[test]
fn what_was_healthy_is_checked_anew_after_a_restart_and_not_after_a_restart_of_the_controllers() {
    let mut scene = running(checked(OnFailure::None));
    set_health(&mut scene, Health::Passing);
    scene.converge(Goal::Present);
    scene.observed.probing = None;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Probe"]);
    assert_eq!(scene.available(), "Healthy");

    scene.observed.now += SignedDuration::from_secs(5);
    scene.machine().state = exited(137, 5);
    assert_eq!(names(&scene.converge(Goal::Present)), ["StopProbe", "RecordEnding", "Start", "RecordStart", "Probe"]);
    assert_eq!(scene.available(), "Checking");
}

#[test]
fn a_failing_check_restarts_the_machine_if_asked_to() {
    let mut scene = running(InstanceSpec { restart_policy: RestartPolicy::OnFailure, ..checked(OnFailure::Restart) });
    set_health(&mut scene, Health::Failing("no answer".to_owned()));
    let steps = scene.converge(Goal::Present);
    assert_eq!(names(&steps), ["StopProbe", "Stop", "RecordEnding", "Start", "RecordStart", "Probe"]);
    let status = scene.instance.status.clone().unwrap();
    assert_eq!(status.last_exit.unwrap().reason, "Unhealthy");
    assert_eq!(scene.available(), "Checking");
}

#[test]
fn a_backend_that_does_not_answer_is_unknown_and_what_was_said_stands() {
    let mut scene = running(spec());
    let failure = Failure::backend("look for the machine")(controller_backend::Error::Unavailable {
        what: "Docker".to_owned(),
        source: None,
    });
    assert_eq!(scene.report(None, Some(&failure), Goal::Present).len(), 1);
    assert_eq!(scene.ready(), ("Unknown", "BackendUnavailable"));
    assert_eq!(scene.phase(), InstancePhase::Running);
    scene.converge(Goal::Present);
    assert_eq!(scene.ready(), ("True", "Running"));
}

fn file_set() -> FileSet {
    FileSet { name: "etc".to_owned(), files: BTreeMap::new() }
}

#[test]
fn files_are_put_in_place_before_every_start_and_when_they_change() {
    let mut scene = scene(spec());
    scene.observed.inputs.files.push(file_set());
    scene.observed.files_in_place = false;
    assert_eq!(names(&scene.converge(Goal::Present)), ["Allocate", "EnsureFiles", "Create", "EnsureFiles", "Start"]);
    scene.observed.files_in_place = false;
    assert_eq!(names(&scene.converge(Goal::Present)), ["EnsureFiles"]);
}

#[test]
fn no_step_shows_a_secret_value() {
    let mut scene = scene(spec());
    scene
        .observed
        .inputs
        .environment
        .push(controller_backend::EnvVar { name: "PASSWORD".to_owned(), value: "hunter2".to_owned() });
    let hash_before = {
        let mut other = scene.clone();
        other.converge(Goal::Present);
        wanted_hash(&other.instance, &other.observed)
    };
    let steps = scene.converge(Goal::Present);
    assert!(!format!("{steps:?}").contains("hunter2"));
    scene.observed.inputs.environment[0].value = "hunter3".to_owned();
    assert_eq!(wanted_hash(&scene.instance, &scene.observed), hash_before);
}

prop_compose! {
    fn any_spec()(
        power in prop_oneof![Just(PowerState::Running), Just(PowerState::Stopped), Just(PowerState::Paused)],
        policy in prop_oneof![Just(RestartPolicy::Always), Just(RestartPolicy::OnFailure), Just(RestartPolicy::Never)],
        default_vpc in any::<bool>(),
        port in prop_oneof![Just(None), Just(Some(published(None))), Just(Some(published(Some(20003))))],
        volume in any::<bool>(),
        check in prop_oneof![Just(None), Just(Some(OnFailure::None)), Just(Some(OnFailure::Restart))],
        restart in any::<bool>(),
    ) -> InstanceSpec {
        let mount = VolumeMount { mount_path: "/data".to_owned(), volume: Some("data".to_owned()), ..VolumeMount::default() };
        InstanceSpec {
            power_state: power,
            restart_policy: policy,
            restart_token: restart.then(|| "again".to_owned()),
            vpc: (!default_vpc).then(|| "main".to_owned()),
            ports: port.into_iter().collect(),
            volumes: if volume { vec![mount] } else { Vec::new() },
            health_check: check.and_then(|on_failure| checked(on_failure).health_check),
            ..spec()
        }
    }
}

fn any_state() -> impl Strategy<Value = MachineState> {
    prop_oneof![
        Just(MachineState::Created),
        Just(MachineState::Running),
        Just(MachineState::Paused),
        Just(MachineState::Dead),
        (prop_oneof![Just(0_i64), Just(1), Just(137)], -700_i64..1).prop_map(|(code, at)| exited(code, at)),
    ]
}

prop_compose! {
    fn any_scene()(
        spec in any_spec(),
        settled_before in any::<bool>(),
        states in proptest::collection::vec((any_state(), any::<bool>()), 0..3),
        has_image in any::<bool>(),
        missing_network in any::<bool>(),
        missing_volume in any::<bool>(),
        missing_input in proptest::bool::weighted(0.2),
        rival in proptest::bool::weighted(0.2),
        files in any::<bool>(),
        failing in any::<bool>(),
        small in any::<bool>(),
        taken in any::<bool>(),
        crashes in 0_i32..4,
        held in any::<bool>(),
        astray in any::<bool>(),
    ) -> Scene {
        let mut scene = scene(InstanceSpec { power_state: PowerState::Running, ..spec.clone() });
        scene.observed.held = held.then(BTreeSet::new);
        if settled_before {
            scene.converge(Goal::Present);
            if failing && scene.observed.probing.is_some() {
                set_health(&mut scene, Health::Failing("no answer".to_owned()));
            }
        }
        let template = scene.observed.machines.pop();
        if let Some(template) = template {
            for (number, (state, same)) in states.into_iter().enumerate() {
                let mut machine = template.clone();
                machine.id = MachineId(format!("m{number}"));
                machine.started_at = Some(second(-900));
                machine.state = state;
                if astray {
                    machine.name = format!("mine{number}");
                    machine.attachment = None;
                }
                if !same {
                    machine.spec_hash = "other".to_owned();
                }
                scene.observed.machines.push(machine);
            }
        }
        scene.instance.spec = spec;
        scene.instance.metadata.generation = Some(2);
        if !has_image {
            scene.observed.image = None;
        }
        if missing_network {
            scene.observed.network = Target::Missing;
        }
        if missing_volume && let Some(volume) = scene.observed.volumes.get_mut("data") {
            *volume = Target::Missing;
        }
        if missing_input {
            scene.observed.inputs.missing.insert("Secret `db`".to_owned());
        }
        if rival {
            scene.observed.rivals.insert("data".to_owned(), "other".to_owned());
        }
        if files {
            let set = file_set();
            scene.observed.inputs.files.push(set);
            scene.observed.files_in_place = false;
            scene.observed.files_left = true;
        }
        if small {
            scene.observed.size = Target::Ready(Resources { cpu_millis: 250, memory_bytes: 1 << 27 });
        }
        if taken {
            let port = HostPort { port: 20003, protocol: Protocol::Tcp, address: "127.0.0.1".parse().unwrap() };
            scene.observed.supply.ports.push((port, None));
        }
        if crashes > 0 {
            scene.status().crash_count = Some(crashes);
        }
        scene
    }
}

proptest! {
    /// The model panics when a step touches a machine that was not observed to be ours.
    #[test]
    fn planning_again_after_applying_plans_nothing(mut scene in any_scene(), absent in any::<bool>()) {
        let goal = if absent { Goal::Absent } else { Goal::Present };
        scene.converge(goal);
        let again = scene.plan(goal);
        prop_assert_eq!(&again.steps, &Vec::new());
        if absent {
            prop_assert!(again.waiting.is_none());
            prop_assert!(scene.observed.machines.is_empty() && !scene.observed.files_left);
        }
    }

    #[test]
    fn the_report_says_ready_only_of_what_is_as_the_spec_says(mut scene in any_scene()) {
        scene.converge(Goal::Present);
        let running = scene.observed.machines.iter().filter(|machine| machine.state == MachineState::Running).count();
        let (truth, reason) = scene.ready();
        if reason == "Running" {
            prop_assert_eq!((truth, running), ("True", 1));
        }
        if scene.instance.spec.power_state == PowerState::Stopped {
            prop_assert_eq!((truth, reason, running), ("True", "Stopped", 0));
        }
        prop_assert!(scene.observed.machines.len() <= 1);
    }
}
