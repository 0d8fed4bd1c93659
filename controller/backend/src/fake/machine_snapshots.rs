//! The rules of snapshots of machines at the fake engine: each is taken at once.

use async_trait::async_trait;
use tokio::time::Instant;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::images::Program;
use super::machines::ours;
use super::volumes::not_retained;
use super::world::{FakeMachineSnapshot, World};
use crate::{
    Conflict, Consistency, Error, Image, MachineId, MachineSnapshot, MachineSnapshotSource, MachineSnapshotSpec,
    MachineSnapshots, MachineState, Progress,
};

#[async_trait]
impl MachineSnapshots for View {
    async fn list(&self) -> Result<Vec<MachineSnapshot>, Error> {
        self.perform(Operation::ListMachineSnapshots, |world, installation| {
            let ours = world.machine_snapshots.range((installation, Uuid::nil())..=(installation, Uuid::max()));
            Ok(ours.map(|(_, fake)| fake.snapshot.clone()).collect())
        })
    }

    async fn find(&self, owner: Uuid) -> Result<Option<MachineSnapshot>, Error> {
        self.perform(Operation::FindMachineSnapshot, |world, installation| {
            Ok(world.machine_snapshots.get(&(installation, owner)).map(|fake| fake.snapshot.clone()))
        })
    }

    async fn ensure(&self, spec: &MachineSnapshotSpec, progress: &Progress) -> Result<MachineSnapshot, Error> {
        self.perform(Operation::EnsureMachineSnapshot, |world, installation| {
            let taken = ensure(world, installation, spec)?;
            if let MachineSnapshotSource::Machine(machine) = &spec.source
                && taken.consistency == Consistency::Frozen
            {
                drop(self.engine.shared.stillness.begin(machine));
            }
            progress.complete();
            Ok(taken)
        })
    }

    async fn thaw(&self, machine: &MachineId) -> Result<(), Error> {
        self.perform(Operation::ThawMachine, |world, installation| {
            ours(world, installation, machine)?.machine.left_frozen = false;
            Ok(())
        })
    }

    fn held_still(&self, machine: &MachineId, since: Instant) -> bool {
        self.engine.shared.stillness.was_since(machine, since)
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveMachineSnapshot, |world, installation| remove(world, installation, owner))
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RetainMachineSnapshot, |world, installation| {
            let fake = world.machine_snapshots.get_mut(&(installation, owner));
            fake.ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))?.snapshot.retained = true;
            Ok(())
        })
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        self.perform(Operation::HandOverMachineSnapshot, |world, installation| {
            namespace.clone_into(&mut retained(world, installation, owner)?.snapshot.owner.namespace);
            Ok(())
        })
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::PurgeMachineSnapshot, |world, installation| {
            retained(world, installation, owner)?;
            remove(world, installation, owner)
        })
    }
}

fn retained(world: &mut World, installation: Uuid, owner: Uuid) -> Result<&mut FakeMachineSnapshot, Error> {
    let fake = world.machine_snapshots.get_mut(&(installation, owner));
    let fake = fake.ok_or_else(|| Error::not_found(format!("retained snapshot of `{owner}`")))?;
    if fake.snapshot.retained { Ok(fake) } else { Err(not_retained("snapshot", owner)) }
}

fn remove(world: &mut World, installation: Uuid, owner: Uuid) -> Result<(), Error> {
    let Some(fake) = world.machine_snapshots.get(&(installation, owner)) else { return Ok(()) };
    let of_it = |image_id: &str| image_id == fake.snapshot.image.id;
    let mut users: Vec<String> = world
        .machines
        .values()
        .filter(|fake| fake.machine.owner.installation == installation && of_it(&fake.machine.image_id))
        .map(|fake| fake.machine.name.clone())
        .collect();
    if users.is_empty() {
        world.machine_snapshots.remove(&(installation, owner));
        return Ok(());
    }
    users.sort_unstable();
    Err(Error::conflict(Conflict::InUse { what: format!("snapshot of `{owner}`"), users }))
}

fn ensure(world: &mut World, installation: Uuid, spec: &MachineSnapshotSpec) -> Result<MachineSnapshot, Error> {
    let key = (installation, spec.owner.uid);
    if let MachineSnapshotSource::Retained(from) = spec.source
        && !world.machine_snapshots.contains_key(&key)
    {
        retained(world, installation, from)?;
        if let Some(fake) = world.machine_snapshots.remove(&(installation, from)) {
            world.machine_snapshots.insert(key, fake);
        }
    }
    if let Some(known) = world.machine_snapshots.get_mut(&key) {
        known.snapshot.owner = spec.owner.clone();
        known.snapshot.retained = false;
        return Ok(known.snapshot.clone());
    }
    let MachineSnapshotSource::Machine(machine) = &spec.source else {
        return Err(Error::not_found(format!("snapshot of `{}`", spec.owner.uid)));
    };
    let fake = ours(world, installation, machine)?;
    let consistency = match fake.machine.state {
        MachineState::Running | MachineState::Paused => Consistency::Frozen,
        MachineState::Created | MachineState::Exited(_) | MachineState::Dead => Consistency::AtRest,
    };
    let (image_id, disk) = (fake.machine.image_id.clone(), fake.disk);
    let has_disk = fake.spec.first_boot.is_some();
    let program = world.origin(installation, &image_id).map_or(Program::Runs, |(_, program, _)| program);
    let image = Image {
        // Ids differ from run to run, names do not.
        id: format!("snapshot:{}", spec.owner),
        size_bytes: 3_000_000,
        exposed_ports: Vec::new(),
        entrypoint: Vec::new(),
        command: vec!["run".to_owned()],
        user: String::new(),
    };
    let disk_bytes = has_disk.then_some(1 << 30);
    let (owner, taken_at) = (spec.owner.clone(), Some(world.now));
    let snapshot = MachineSnapshot { owner, image, disk_bytes, consistency, retained: false, taken_at };
    let taken = FakeMachineSnapshot { snapshot: snapshot.clone(), program, disk };
    world.machine_snapshots.insert(key, taken);
    Ok(snapshot)
}
