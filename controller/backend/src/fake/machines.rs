//! The rules of machines at the fake engine.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;
use uuid::Uuid;

use super::faults::Operation;
use super::images::Program;
use super::world::{FakeMachine, LogEntry, World};
use super::{View, mounting, shell};
use crate::{
    Attachment, Conflict, Error, Happening, Machine, MachineId, MachineSpec, MachineState, MachineSummary, Machines,
    MountSource, NetworkAttachment, Owner, PublishedPort, Resources, SecretEnvironment, Usage,
};

#[async_trait]
impl Machines for View {
    async fn list(&self) -> Result<Vec<MachineSummary>, Error> {
        self.perform(Operation::ListMachines, |world, installation| {
            let ours = world.machines.values().filter(|fake| fake.machine.owner.installation == installation);
            Ok(ours.map(|fake| fake.machine.summary()).collect())
        })
    }

    async fn find(&self, owner: Uuid) -> Result<Vec<Machine>, Error> {
        self.perform(Operation::FindMachines, |world, installation| {
            let ids = world.machines_by_owner.get(&(installation, owner)).into_iter().flatten();
            Ok(ids.filter_map(|id| world.machines.get(id)).map(|fake| mounting::seen(world, fake)).collect())
        })
    }

    async fn create(&self, spec: &MachineSpec) -> Result<MachineId, Error> {
        self.perform(Operation::CreateMachine, |world, installation| create(world, installation, spec))
    }

    async fn start(&self, id: &MachineId) -> Result<(), Error> {
        self.perform(Operation::StartMachine, |world, installation| start(world, installation, id))
    }

    async fn stop(&self, id: &MachineId, grace: Duration) -> Result<(), Error> {
        self.perform(Operation::StopMachine, |world, installation| {
            ours(world, installation, id)?;
            world.end(id, if grace.is_zero() { 137 } else { 143 }, false);
            Ok(())
        })
    }

    async fn pause(&self, id: &MachineId) -> Result<(), Error> {
        self.perform(Operation::PauseMachine, |world, installation| {
            let fake = ours(world, installation, id)?;
            match &fake.machine.state {
                MachineState::Paused => Ok(()),
                MachineState::Running => {
                    fake.machine.state = MachineState::Paused;
                    let owner = fake.machine.owner.clone();
                    world.tell(owner, Happening::Paused);
                    Ok(())
                }
                other => Err(wrong_state(id, other)),
            }
        })
    }

    async fn unpause(&self, id: &MachineId) -> Result<(), Error> {
        self.perform(Operation::UnpauseMachine, |world, installation| {
            let fake = ours(world, installation, id)?;
            match &fake.machine.state {
                MachineState::Running => Ok(()),
                MachineState::Paused => {
                    fake.machine.state = MachineState::Running;
                    fake.machine.stall = None;
                    fake.take_memory();
                    let (owner, has_room) = (fake.machine.owner.clone(), fake.has_room);
                    world.tell(owner, Happening::Unpaused);
                    if has_room {
                        return Ok(());
                    }
                    world.stall(id);
                    let stall = ours(world, installation, id)?.machine.stall;
                    stall.map_or(Ok(()), |stall| Err(Error::conflict(Conflict::Stalled { stall })))
                }
                other => Err(wrong_state(id, other)),
            }
        })
    }

    async fn resize(&self, id: &MachineId, resources: Resources) -> Result<(), Error> {
        self.perform(Operation::ResizeMachine, |world, installation| {
            ours(world, installation, id)?;
            let machine = world.machines.get(id).map(|fake| mounting::seen(world, fake));
            let runs = |machine: &Machine| matches!(machine.state, MachineState::Running | MachineState::Paused);
            if let Some(machine) = machine.filter(|machine| runs(machine) && !machine.resizes_running(resources)) {
                return Err(wrong_state(id, &machine.state));
            }
            let fake = ours(world, installation, id)?;
            fake.machine.resources = resources;
            if fake.take_memory() {
                let owner = fake.machine.owner.clone();
                world.tell(owner, Happening::MemoryTaken);
            }
            Ok(())
        })
    }

    async fn usage(&self, id: &MachineId) -> Result<Usage, Error> {
        self.perform(Operation::MachineUsage, |world, installation| {
            let at = world.now;
            let machine = &ours(world, installation, id)?.machine;
            let Some(started) = machine.started_at.filter(|_| machine.state == MachineState::Running) else {
                return Err(wrong_state(id, &machine.state));
            };
            // A tenth of the processor that it was given, and a quarter of the memory.
            let runs = Duration::try_from(at.duration_since(started)).unwrap_or_default();
            let share = u32::try_from(machine.resources.cpu_millis).unwrap_or(u32::MAX);
            Ok(Usage { at, cpu: runs.saturating_mul(share) / 10_000, memory_bytes: machine.resources.memory_bytes / 4 })
        })
    }

    async fn restore(&self, id: &MachineId, name: &str, network: Option<&NetworkAttachment>) -> Result<(), Error> {
        self.perform(Operation::RestoreMachine, |world, installation| {
            let machine = ours(world, installation, id)?.machine.clone();
            if machine.name != name {
                world.rename(id, name)?;
            }
            match network {
                Some(network) if machine.attachment.is_none() => world.join(id, network),
                _ => Ok(()),
            }
        })
    }

    async fn remove(&self, id: &MachineId) -> Result<(), Error> {
        self.perform(Operation::RemoveMachine, |world, installation| match ours(world, installation, id) {
            Ok(_) => {
                world.discard(id);
                Ok(())
            }
            Err(Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(error),
        })
    }
}

pub(super) fn ours<'world>(
    world: &'world mut World,
    installation: Uuid,
    id: &MachineId,
) -> Result<&'world mut FakeMachine, Error> {
    world
        .machines
        .get_mut(id)
        .filter(|fake| fake.machine.owner.installation == installation)
        .ok_or_else(|| Error::not_found(format!("machine `{id}`")))
}

pub(super) fn wrong_state(id: &MachineId, state: &MachineState) -> Error {
    let state = match state {
        MachineState::Created => "not started",
        MachineState::Running => "running",
        MachineState::Paused => "paused",
        MachineState::Exited(_) => "not running",
        MachineState::Dead => "dead",
    };
    Error::conflict(Conflict::State { what: format!("machine `{id}`"), state: state.to_owned() })
}

fn create(world: &mut World, installation: Uuid, spec: &MachineSpec) -> Result<MachineId, Error> {
    if world.machine_names.contains_key(&spec.name) {
        return Err(Error::conflict(Conflict::NameTaken { name: spec.name.clone() }));
    }
    let (image_id, _, disk) =
        world.origin(installation, &spec.image).ok_or_else(|| Error::not_found(format!("image `{}`", spec.image)))?;
    if let Some(network) = &spec.network {
        let found = world
            .networks
            .get(&network.network)
            .filter(|found| found.owner.installation == installation)
            .ok_or_else(|| Error::not_found(format!("network of `{}`", network.network)))?;
        if !found.cidr.contains(&network.address) || network.address == found.gateway {
            return Err(Error::invalid(format!("address {} is not one of {}", network.address, found.cidr)));
        }
    }
    mounting::there(world, &spec.owner, &spec.mounts)?;
    if spec.has_secret_environment {
        has_files(world, &spec.owner, SecretEnvironment::SET)?;
    }
    let mut published: Vec<PublishedPort> = spec
        .ports
        .iter()
        .filter_map(|port| {
            port.publish.map(|publish| PublishedPort { port: port.port, protocol: port.protocol, publish })
        })
        .collect();
    published.sort_unstable();
    let disk = disk.unwrap_or_else(|| world.next_number());
    // Zeros keep the order of text that of making.
    let id = MachineId(format!("machine-{:08}", world.next_number()));
    let machine = Machine {
        id: id.clone(),
        name: spec.name.clone(),
        owner: spec.owner.clone(),
        spec_hash: spec.spec_hash.clone(),
        state: MachineState::Created,
        created_at: world.now,
        started_at: None,
        image_id,
        attachment: spec
            .network
            .as_ref()
            .map(|network| Attachment { network: network.network, address: network.address }),
        published,
        resources: spec.resources,
        security: spec.security.clone(),
        volumes: Vec::new(),
        mounts: None,
        most_processors: None,
        memory: None,
        left_frozen: false,
        stall: None,
    };
    world.machine_names.insert(spec.name.clone(), id.clone());
    world.machines_by_owner.entry((installation, spec.owner.uid)).or_default().push(id.clone());
    let (log, told, begun_with) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let spec = spec.clone();
    let mut fake = FakeMachine {
        spec,
        machine,
        log,
        live: None,
        told,
        holds_on: false,
        ignores_memory: false,
        has_room: true,
        disk,
        begun_with,
    };
    fake.count_volumes();
    world.tell(fake.spec.owner.clone(), Happening::Created);
    world.machines.insert(id.clone(), fake);
    Ok(id)
}

pub(super) fn has_files(world: &World, owner: &Owner, name: &str) -> Result<(), Error> {
    let key = (owner.installation, owner.uid);
    if world.files.get(&key).is_some_and(|owned| owned.sets.contains_key(name)) {
        Ok(())
    } else {
        Err(Error::not_found(format!("file set `{name}`")))
    }
}

fn start(world: &mut World, installation: Uuid, id: &MachineId) -> Result<(), Error> {
    let fake = ours(world, installation, id)?;
    match &fake.machine.state {
        MachineState::Running => return Ok(()),
        MachineState::Created | MachineState::Exited(_) => {}
        state @ (MachineState::Paused | MachineState::Dead) => return Err(wrong_state(id, state)),
    }
    let machine = fake.machine.clone();
    let spec = fake.spec.clone();

    for uid in &machine.volumes {
        if !world.volumes.get(&(installation, *uid)).is_some_and(|fake| fake.volume.ready) {
            return Err(Error::not_found(format!("storage of volume `{uid}`")));
        }
    }
    for mount in &spec.mounts {
        if let MountSource::Files(name) = &mount.source {
            has_files(world, &spec.owner, name)?;
        }
    }
    if spec.has_secret_environment {
        has_files(world, &spec.owner, SecretEnvironment::SET)?;
    }
    if let Some(attachment) = machine.attachment {
        if !world.networks.contains_key(&attachment.network) {
            return Err(Error::not_found(format!("network of `{}`", attachment.network)));
        }
        if world.addresses.contains_key(&(attachment.network, attachment.address)) {
            return Err(Error::conflict(Conflict::AddressTaken { address: attachment.address }));
        }
    }
    for port in &machine.published {
        if world.is_port_taken(port.protocol, port.publish) {
            return Err(Error::conflict(Conflict::PortTaken {
                address: port.publish.address,
                port: port.publish.port,
                protocol: port.protocol,
            }));
        }
    }

    if let Some(attachment) = machine.attachment {
        world.addresses.insert((attachment.network, attachment.address), id.clone());
    }
    for port in &machine.published {
        world.take_port(port.protocol, port.publish, Some(id.clone()));
    }
    let program = world.origin(installation, &machine.image_id).map_or(Program::Runs, |(_, program, _)| program);
    let run = world.next_number();
    let now = world.now;
    let sizes = mounting::sizes(world, installation, &spec.mounts);
    let files = world.files.get(&(installation, spec.owner.uid)).map(|owned| owned.sets.clone()).unwrap_or_default();
    *world.starts.entry(spec.owner.uid).or_default() += 1;
    let fake = ours(world, installation, id)?;
    fake.machine.state = MachineState::Running;
    fake.machine.started_at = Some(now);
    fake.machine.left_frozen = false;
    let has_its_own = fake.spec.first_boot.is_some();
    fake.machine.most_processors = has_its_own.then(|| fake.machine.resources.most_processors());
    fake.begin_with_memory();
    fake.live = Some(fake.spec.mounts.clone());
    fake.told = sizes;
    fake.begun_with = files;
    world.tell(spec.owner.clone(), Happening::Started);

    let mut words = spec.command.clone().unwrap_or_default();
    words.extend(spec.args.clone().unwrap_or_default());
    let (lines, ended) = if words.is_empty() {
        (Vec::new(), program.exit_code())
    } else {
        let outcome = shell::run(&words);
        (outcome.lines, outcome.code)
    };
    let fake = ours(world, installation, id)?;
    fake.log.extend(lines.into_iter().map(|(channel, line)| LogEntry { at: now, run, channel, line }));
    let has_room = fake.has_room;
    match ended {
        Some(code) => world.end(id, code, false),
        None if !has_room => world.stall(id),
        None => {}
    }
    Ok(())
}
