//! Looks at all that concerns an Instance: its machines, what it refers to, what is taken, how it does. Asks the
//! backend for its own machine only, and for more only when something is to be made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use controller_backend::{Backend, Image, Machine, MachineState, Owner, Resources};
use crds::compute::instance::{BackendName, Instance, PowerState};
use crds::quantity::Quantity;
use crds::status::{READY, condition};
use ipnet::Ipv4Net;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{Resource, ResourceExt};
use uuid::Uuid;

use super::allocate::{Supply, has_all, host_port_of};
use super::bounds::Bounds;
use super::health::Probing;
use super::inputs::{Inputs, Sources, resolve};
use super::projected::Projected;
use super::rivals::rivals;
use super::secrets::{Digested, digested};
use super::wanted::{Parts, hash};
use super::{HostPorts, InstanceKind, mounting};
use crate::claims::{Claim, HostPort};
use crate::compute::image::named;
use crate::runtime::{Failure, Goal, uid_of};
use crate::world::{Stores, World};

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The time.
    pub(crate) now: Timestamp,
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// Its machines, oldest first.
    pub(crate) machines: Vec<Machine>,
    /// The network that it joins.
    pub(crate) network: Target<Network>,
    /// The Volumes that it mounts, by name.
    pub(crate) volumes: BTreeMap<String, Target<Uuid>>,
    /// The names of the Volumes that its machines have, whatever it mounts by now; sorted.
    pub(crate) held_volumes: Vec<String>,
    /// Which Instances stand in the way of its Volumes, by the Volume's name.
    pub(crate) rivals: BTreeMap<String, String>,
    /// Its limits.
    pub(crate) size: Target<Resources>,
    /// The InstanceType in force.
    pub(crate) instance_type: String,
    /// What the Instances of its namespace may have.
    pub(crate) bounds: Bounds,
    /// What it takes from Secrets and ConfigMaps.
    pub(crate) inputs: Inputs,
    /// Digests of what it takes from its Secrets.
    pub(crate) secrets: Digested,
    /// Whether the projected files are known to be in place, these and no others.
    pub(crate) files_in_place: bool,
    /// Whether those of them are known to be up to date that there are.
    pub(crate) files_up_to_date: bool,
    /// Whether it has projected files or empty directories; asked only when it goes.
    pub(crate) files_left: bool,
    /// The image, if it is on the host; asked only when a machine is to be made.
    pub(crate) image: Option<Image>,
    /// Addresses and ports that may be chosen from.
    pub(crate) supply: Supply,
    /// The ports of the host that are kept for it; `None` where its engine publishes by itself.
    pub(crate) held: Option<HostPorts>,
    /// The health check that is going on.
    pub(crate) probing: Option<Probing>,
    /// What runs it.
    pub(crate) backend: BackendName,
    /// The InstanceSnapshot that it is made from, if it names one.
    pub(crate) snapshot: Option<Target<Snapshot>>,
    /// The disk that it is made from, where it has a disk of its own.
    pub(crate) disk: Option<Disk>,
    /// The host.
    pub(crate) host: Option<String>,
}

/// The root disk of a virtual machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Disk {
    /// The Image, ClusterImage or InstanceSnapshot that it begins as, by its uid.
    pub(crate) image: Target<Uuid>,
    /// Which of the first two its name means; both where it is missing.
    pub(crate) kind: &'static str,
    /// How large it is to be, as the Instance or its type says.
    pub(crate) wanted: Option<Quantity>,
    /// The least that its image asks for.
    pub(crate) least: Option<Quantity>,
}

/// An InstanceSnapshot, as its status tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// Its uid.
    pub(crate) uid: Uuid,
    /// What ran the Instance that it is of, once that is known.
    pub(crate) backend: Option<BackendName>,
}

/// Something that an Instance refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target<T> {
    /// It isn't there.
    Missing,
    /// It is there and can't be used now, for this reason.
    NotReady(T, String),
    /// It is being deleted: who has it keeps it, and nobody else gets it.
    Going(T),
    /// It can be used.
    Ready(T),
}

impl<T> Target<T> {
    /// What is known of it, whether it can be used or not.
    pub(super) fn known(&self) -> Option<&T> {
        match self {
            Self::Missing => None,
            Self::NotReady(known, _) | Self::Going(known) | Self::Ready(known) => Some(known),
        }
    }

    /// The same of a part of what is known.
    fn map<U>(self, part: impl FnOnce(T) -> U) -> Target<U> {
        match self {
            Self::Missing => Target::Missing,
            Self::NotReady(known, why) => Target::NotReady(part(known), why),
            Self::Going(known) => Target::Going(part(known)),
            Self::Ready(known) => Target::Ready(part(known)),
        }
    }
}

/// A network, as its Vpc's status tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Network {
    /// The Vpc's uid.
    pub(crate) uid: Uuid,
    /// The range; `None` until it is allocated.
    pub(crate) range: Option<(Ipv4Net, Ipv4Addr)>,
}

impl Network {
    /// Whether the address is one of its own.
    pub(super) fn has(&self, address: Ipv4Addr) -> bool {
        self.range.is_some_and(|(cidr, _)| cidr.contains(&address))
    }
}

pub(super) async fn observe(kind: &InstanceKind, goal: Goal, instance: &Instance) -> Result<Observed, Failure> {
    let world = kind.world.as_ref();
    world.gate.check()?;
    let owner = world.owner(instance);
    let was_made = instance.status.as_ref().is_some_and(|status| status.machine_id.is_some());
    let backend = match world.backend_of(instance) {
        // What was never made is not there, whatever can't be asked.
        Err(_) if goal == Goal::Absent && !was_made => world.backend(),
        backend => backend?,
    };
    let machines = backend.machines.find(owner.uid).await.map_err(Failure::backend("look for the machine"))?;
    let files_are_there = async || {
        let owners = backend.files.list().await.map_err(Failure::backend("look for projected files"))?;
        Ok::<_, Failure>(owners.contains(&owner.uid))
    };
    let files_left = goal == Goal::Absent && files_are_there().await?;

    let sources = Namespace { stores: &world.stores, namespace: &owner.namespace };
    let (inputs, secrets) = (resolve(instance, &sources), digested(instance, &sources, &world.digests));
    let digest = inputs.digest();
    let files_in_place = match kind.projected(owner.uid) {
        Some(Projected::Exactly(known)) => known == digest,
        // What an earlier process may have put there, and nobody wants any more, is not in place either.
        Some(Projected::Refreshed(_)) | None => inputs.files.is_empty() && !files_are_there().await?,
    };
    if files_in_place {
        kind.remember_projected(owner.uid, Some(Projected::Exactly(digest)));
    }
    let files_up_to_date = files_in_place || kind.projected(owner.uid) == Some(Projected::Refreshed(digest));
    let network = network(world, instance, &owner.namespace);
    let mut observed = Observed {
        now: world.now(),
        volumes: volumes(world, instance, &owner.namespace),
        held_volumes: held_volumes(world, &machines),
        rivals: BTreeMap::new(),
        size: size(world, instance),
        instance_type: type_name(world, instance),
        bounds: Bounds::of(&owner.namespace, world.stores.instance_policies.all()),
        files_in_place,
        files_up_to_date,
        inputs,
        secrets,
        files_left,
        image: None,
        supply: supply(world, instance, &owner, &network, machines.iter().any(is_active)),
        network,
        held: held(world, instance, owner.uid),
        probing: kind.probes.get(owner.uid),
        backend: world.backend_name(instance),
        snapshot: snapshot(world, instance),
        disk: disk(world, instance),
        host: world.gate.host(),
        machines,
        owner,
    };
    let to_make = goal == Goal::Present
        && instance.spec.power_state != PowerState::Stopped
        && !observed
            .machines
            .iter()
            .any(|machine| Some(&machine.spec_hash) == wanted_hash(instance, &observed).as_ref());
    if to_make || goal == Goal::Present && mounting::wants_more(instance, &observed) {
        observed.rivals = rivals(world, instance, &observed.owner, &observed.volumes).await?;
    }
    if to_make {
        observed.image = image(backend, instance, &observed).await?;
    }
    Ok(observed)
}

/// The names of the Volumes that machines have.
fn held_volumes(world: &World, machines: &[Machine]) -> Vec<String> {
    let held: BTreeSet<Uuid> = machines.iter().flat_map(|machine| machine.volumes.iter().copied()).collect();
    let names: BTreeSet<String> =
        held.into_iter().filter_map(|uid| Some(world.stores.volumes.of_uid(uid)?.name_any())).collect();
    names.into_iter().collect()
}

/// What a machine is made from, if it is on the host.
async fn image(backend: &Backend, instance: &Instance, observed: &Observed) -> Result<Option<Image>, Failure> {
    if let Some(snapshot) = &observed.snapshot {
        let Some(known) = snapshot.known() else { return Ok(None) };
        let real = backend.machine_snapshots.find(known.uid).await;
        return Ok(real.map_err(Failure::backend("look for the snapshot"))?.map(|real| real.image));
    }
    // A disk image is named by the uid of its object: names come and go.
    let reference = match &observed.disk {
        None => Some(instance.spec.image.clone()),
        Some(disk) => disk.image.known().map(Uuid::to_string),
    };
    let Some(reference) = reference else { return Ok(None) };
    backend.images.resolve(&reference).await.map_err(Failure::backend("look for the image"))
}

/// The hash of the machine that it should have, once all that goes into it is known.
pub(super) fn wanted_hash(instance: &Instance, observed: &Observed) -> Option<String> {
    let status = instance.status.as_ref()?;
    let volumes = known_volumes(observed);
    Some(hash(
        instance,
        &Parts {
            owner: &observed.owner,
            network: observed.network.known()?.uid,
            address: status.ip.as_deref()?.parse().ok()?,
            ports: &status.ports,
            volumes: &volumes,
            snapshot: observed.snapshot.as_ref().and_then(Target::known).map(|snapshot| snapshot.uid),
            disk: observed.disk.as_ref(),
        },
    ))
}

/// The uids of the Volumes that are there, by name.
pub(super) fn known_volumes(observed: &Observed) -> BTreeMap<String, Uuid> {
    observed.volumes.iter().filter_map(|(name, volume)| Some((name.clone(), *volume.known()?))).collect()
}

fn network(world: &World, instance: &Instance, namespace: &str) -> Target<Network> {
    let Some(vpc) = world.stores.vpcs.get(namespace, instance.vpc()) else { return Target::Missing };
    let status = vpc.status.clone().unwrap_or_default();
    let range = status.cidr.as_deref().and_then(|cidr| cidr.parse().ok());
    let gateway = status.gateway.as_deref().and_then(|gateway| gateway.parse().ok());
    let network = Network { uid: uid_of(vpc.as_ref()), range: range.zip(gateway) };
    if vpc.meta().deletion_timestamp.is_some() {
        Target::Going(network)
    } else if !stands(&status.conditions, status.phase.as_deref()) || network.range.is_none() {
        let ready = condition(&status.conditions, READY);
        Target::NotReady(network, not_ready(ready.map(|ready| ready.reason.as_str())))
    } else {
        Target::Ready(network)
    }
}

pub(super) fn volumes(world: &World, instance: &Instance, namespace: &str) -> BTreeMap<String, Target<Uuid>> {
    let target = |name: &str| {
        let Some(volume) = world.stores.volumes.get(namespace, name) else { return Target::Missing };
        let uid = uid_of(volume.as_ref());
        let status = volume.status.clone().unwrap_or_default();
        if volume.meta().deletion_timestamp.is_some() {
            Target::Going(uid)
        } else if stands(&status.conditions, status.phase.as_deref()) {
            Target::Ready(uid)
        } else {
            let ready = condition(&status.conditions, READY);
            Target::NotReady(uid, not_ready(ready.map(|ready| ready.reason.as_str())))
        }
    };
    instance.volumes().into_keys().map(|name| (name.to_owned(), target(name))).collect()
}

/// Whether a network or a Volume is there to be used. While nothing is known of it, what was said before stands.
fn stands(conditions: &[Condition], phase: Option<&str>) -> bool {
    match condition(conditions, READY).map(|ready| ready.status.as_str()) {
        Some("True") => true,
        Some("Unknown") => !matches!(phase, None | Some("Pending" | "Failed")),
        _ => false,
    }
}

fn not_ready(reason: Option<&str>) -> String {
    match reason {
        Some(reason) => format!("is not ready ({reason})"),
        None => "is not ready yet".to_owned(),
    }
}

/// The InstanceSnapshot, if it names one.
fn snapshot(world: &World, instance: &Instance) -> Option<Target<Snapshot>> {
    let name = instance.spec.image_snapshot.as_ref()?;
    let namespace = instance.namespace().unwrap_or_default();
    let Some(found) = world.stores.instance_snapshots.get(&namespace, name) else { return Some(Target::Missing) };
    let status = found.status.clone().unwrap_or_default();
    let snapshot = Snapshot { uid: uid_of(found.as_ref()), backend: status.backend };
    Some(usable(snapshot, found.meta().deletion_timestamp.is_some(), &status.conditions))
}

/// Something that can be used once it is ready, and not while it goes.
fn usable<T>(known: T, is_going: bool, conditions: &[Condition]) -> Target<T> {
    let ready = condition(conditions, READY);
    if is_going {
        Target::Going(known)
    } else if ready.is_none_or(|ready| ready.status != "True") {
        Target::NotReady(known, not_ready(ready.map(|ready| ready.reason.as_str())))
    } else {
        Target::Ready(known)
    }
}

/// The root disk, if what runs the Instance gives it one.
fn disk(world: &World, instance: &Instance) -> Option<Disk> {
    if world.backend_name(instance) != BackendName::Libvirt {
        return None;
    }
    let named = named(&world.stores, &instance.namespace().unwrap_or_default(), &instance.spec.image);
    let kind = named.as_ref().map_or("Image or ClusterImage", |named| named.kind);
    let (image, least) = match snapshot(world, instance) {
        Some(snapshot) => (snapshot.map(|snapshot| snapshot.uid), None),
        None => named.map_or((Target::Missing, None), |named| {
            (usable(named.uid, named.is_going, &named.status.conditions), named.least_disk())
        }),
    };
    let type_ = world.stores.instance_types.get("", &type_name(world, instance));
    let wanted = instance.spec.resources.as_ref().and_then(|resources| resources.disk.clone());
    let wanted = wanted.or_else(|| type_.and_then(|type_| type_.spec.disk.clone()));
    Some(Disk { image, kind, wanted, least })
}

fn type_name(world: &World, instance: &Instance) -> String {
    instance.spec.instance_type.clone().unwrap_or_else(|| world.options.default_instance_type.clone())
}

/// What overrides the type, and else the type's.
fn size(world: &World, instance: &Instance) -> Target<Resources> {
    let overrides = instance.spec.resources.clone().unwrap_or_default();
    let type_ = world.stores.instance_types.get("", &type_name(world, instance));
    let cpu = overrides.cpu.or_else(|| type_.as_ref().map(|type_| type_.spec.cpu.clone()));
    let memory = overrides.memory.or_else(|| type_.as_ref().map(|type_| type_.spec.memory.clone()));
    let (Some(cpu), Some(memory)) = (cpu, memory) else { return Target::Missing };
    let cpu_millis = cpu.millis().ok().and_then(|millis| u64::try_from(millis).ok()).unwrap_or_default();
    let memory_bytes = memory.units().unwrap_or_default();
    // A container has the host's memory, and as much of it as it is allowed at the moment.
    let has_its_own = world.backend_name(instance) == BackendName::Libvirt;
    let max_memory = overrides.max_memory.filter(|_| has_its_own);
    let max_memory_bytes = max_memory.as_ref().map(|max| max.units().unwrap_or_default());
    let resources = Resources { cpu_millis, memory_bytes, max_memory_bytes };
    if cpu_millis == 0 || memory_bytes == 0 {
        return Target::NotReady(resources, format!("asks for cpu `{cpu}` and memory `{memory}`, which can't be"));
    }
    if let Some(max) = max_memory.filter(|_| max_memory_bytes.is_some_and(|max| max < memory_bytes)) {
        let why = format!(
            "asks for memory `{memory}` and maxMemory `{max}`, which is less: make it as much, or leave it out"
        );
        return Target::NotReady(resources, why);
    }
    Target::Ready(resources)
}

fn is_active(machine: &Machine) -> bool {
    matches!(machine.state, MachineState::Running | MachineState::Paused)
}

fn supply(world: &World, instance: &Instance, owner: &Owner, network: &Target<Network>, active: bool) -> Supply {
    let mut supply = Supply {
        addresses: BTreeSet::new(),
        ports: Vec::new(),
        // What it listens on itself is refused to others and not to it.
        refused: if active { HostPorts::new() } else { world.claims.refused(world.now()) },
        range: world.options.publish_range.clone(),
        publish_address: world.options.publish_address,
        networks: if names_address(instance) { ranges(world) } else { Vec::new() },
    };
    // A thousand Instances that have all that they need must not look at each other.
    let Some(network) = network.known() else { return supply };
    if network.range.is_none_or(|range| has_all(instance, range, &supply)) {
        return supply;
    }
    // As text, which thousands of others needn't be read for.
    let own = owner.uid.to_string();
    for other in world.stores.instances.all() {
        let meta = other.meta();
        let Some(status) = other.status.as_ref().filter(|_| meta.uid.as_deref() != Some(own.as_str())) else {
            continue;
        };
        let same_namespace = meta.namespace.as_deref() == Some(owner.namespace.as_str());
        if same_namespace && other.vpc() == instance.vpc() {
            supply.addresses.extend(status.ip.as_deref().and_then(|ip| ip.parse::<Ipv4Addr>().ok()));
        }
        let name = || same_namespace.then(|| other.name_any());
        supply.ports.extend(status.ports.iter().filter_map(host_port_of).map(|port| (port, name())));
    }
    for claim in world.claims.of_others(owner.uid) {
        match claim {
            Claim::Address { network: of, address } if of == network.uid => {
                supply.addresses.insert(address);
            }
            Claim::Port(port) if !supply.ports.iter().any(|(known, _)| *known == port) => {
                supply.ports.push((port, None))
            }
            _ => {}
        }
    }
    supply
}

/// Whether it says on which address of the host it publishes.
fn names_address(instance: &Instance) -> bool {
    let mut published = instance.spec.ports.iter().filter_map(|port| port.publish.as_ref());
    published.any(|publish| publish.address.is_some())
}

/// The ranges of all Vpcs.
fn ranges(world: &World) -> Vec<Ipv4Net> {
    let vpcs = world.stores.vpcs.all();
    vpcs.iter().filter_map(|vpc| vpc.status.as_ref()?.cidr.as_deref()?.parse().ok()).collect()
}

/// The ports of the host that are kept for it, where its engine doesn't publish.
fn held(world: &World, instance: &Instance, uid: Uuid) -> Option<HostPorts> {
    if world.backend_name(instance) != BackendName::Libvirt {
        return None;
    }
    let ports = world.backend_of(instance).ok()?.host_ports.as_ref()?.held(uid);
    let ports = ports.into_iter();
    Some(ports.map(|(protocol, at)| HostPort { port: at.port, protocol, address: at.address }).collect())
}

struct Namespace<'a> {
    stores: &'a Stores,
    namespace: &'a str,
}

impl Sources for Namespace<'_> {
    fn secret(&self, name: &str) -> Option<Arc<Secret>> {
        self.stores.secrets.get(self.namespace, name)
    }

    fn config_map(&self, name: &str) -> Option<Arc<ConfigMap>> {
        self.stores.config_maps.get(self.namespace, name)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::runtime::conditions::{Moment, Truth, set};

    #[test]
    fn what_was_never_made_is_not_there_while_nothing_is_known_of_it() {
        let moment = Moment { now: Timestamp::UNIX_EPOCH, generation: None };
        let stands = |truth, phase| {
            let mut conditions = Vec::new();
            set(&mut conditions, READY, truth, "Some", "", moment);
            super::stands(&conditions, phase)
        };
        assert!(stands(Truth::True, Some("Pending")) && stands(Truth::Unknown, Some("Available")));
        for phase in [None, Some("Pending"), Some("Failed")] {
            assert!(!stands(Truth::Unknown, phase), "{phase:?}");
        }
        assert!(!stands(Truth::False, Some("Available")) && !super::stands(&[], Some("Available")));
    }
}
