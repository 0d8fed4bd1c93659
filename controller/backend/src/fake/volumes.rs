//! The rules of volumes at the fake engine.

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::world::{FakeMachine, FakeVolume, World};
use crate::{Conflict, Error, MachineState, SMALLEST_VOLUME, Volume, VolumeMode, VolumeSource, VolumeSpec, Volumes};

#[async_trait]
impl Volumes for View {
    async fn list(&self) -> Result<Vec<Volume>, Error> {
        self.perform(Operation::ListVolumes, |world, installation| {
            let ours = world.volumes.range((installation, Uuid::nil())..=(installation, Uuid::max()));
            Ok(ours.map(|(_, fake)| fake.volume.clone()).collect())
        })
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Volume>, Error> {
        self.perform(Operation::FindVolume, |world, installation| {
            Ok(world.volumes.get(&(installation, owner)).map(|fake| fake.volume.clone()))
        })
    }

    async fn ensure(&self, spec: &VolumeSpec) -> Result<Volume, Error> {
        self.perform(Operation::EnsureVolume, |world, installation| ensure(world, installation, spec))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveVolume, |world, installation| {
            unused(world, installation, owner)?;
            world.volumes.remove(&(installation, owner));
            Ok(())
        })
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RetainVolume, |world, installation| {
            unused(world, installation, owner)?;
            let fake = world
                .volumes
                .get_mut(&(installation, owner))
                .ok_or_else(|| Error::not_found(format!("volume of `{owner}`")))?;
            fake.volume.retained = true;
            fake.volume.ready = false;
            fake.volume.used_bytes = None;
            Ok(())
        })
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        self.perform(Operation::HandOverVolume, |world, installation| {
            namespace.clone_into(&mut retained(world, installation, owner)?.volume.owner.namespace);
            Ok(())
        })
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::PurgeVolume, |world, installation| {
            retained(world, installation, owner)?;
            world.volumes.remove(&(installation, owner));
            Ok(())
        })
    }
}

fn retained(world: &mut World, installation: Uuid, owner: Uuid) -> Result<&mut FakeVolume, Error> {
    let fake = world.volumes.get_mut(&(installation, owner));
    let fake = fake.ok_or_else(|| Error::not_found(format!("retained volume of `{owner}`")))?;
    if fake.volume.retained { Ok(fake) } else { Err(not_retained("volume", owner)) }
}

pub(super) fn not_retained(what: &str, owner: Uuid) -> Error {
    Error::conflict(Conflict::State { what: format!("the {what} of `{owner}`"), state: "not retained".to_owned() })
}

fn ensure(world: &mut World, installation: Uuid, spec: &VolumeSpec) -> Result<Volume, Error> {
    if spec.size_bytes < SMALLEST_VOLUME {
        return Err(Error::invalid(format!("a volume has at least {SMALLEST_VOLUME} bytes")));
    }
    let grows = |fake: &FakeVolume| fake.volume.size_bytes < spec.size_bytes;
    if world.grows_at_rest && world.volumes.get(&(installation, spec.owner.uid)).is_some_and(grows) {
        let active = |fake: &FakeMachine| matches!(fake.machine.state, MachineState::Running | MachineState::Paused);
        in_use_by(world, installation, spec.owner.uid, active)?;
    }
    if let Some(VolumeSource::Retained(from)) = spec.source
        && !world.volumes.contains_key(&(installation, spec.owner.uid))
    {
        adopt(world, installation, from, spec)?;
    }
    let number = world.next_number();
    let data = match spec.source {
        Some(source) if !world.volumes.contains_key(&(installation, spec.owner.uid)) => {
            let (data, size_bytes, mode) = source_of(world, installation, source)?;
            same_mode(mode, spec.mode)?;
            if spec.size_bytes < size_bytes {
                return Err(Error::invalid(format!("what the volume is made from has {size_bytes} bytes")));
            }
            data
        }
        _ => number,
    };
    let unenforced = world.cannot_enforce.clone();
    let fake = world.volumes.entry((installation, spec.owner.uid)).or_insert_with(|| FakeVolume {
        volume: Volume {
            owner: spec.owner.clone(),
            size_bytes: spec.size_bytes,
            used_bytes: Some(0),
            ready: true,
            retained: false,
            directory: None,
            device: None,
            mode: spec.mode,
            unenforced,
        },
        incarnation: data,
    });
    if fake.volume.size_bytes > spec.size_bytes {
        return Err(Error::invalid("a volume cannot shrink"));
    }
    same_mode(fake.volume.mode, spec.mode)?;
    fake.volume.owner = spec.owner.clone();
    fake.volume.size_bytes = spec.size_bytes;
    fake.volume.ready = true;
    fake.volume.retained = false;
    fake.volume.used_bytes.get_or_insert(0);
    Ok(fake.volume.clone())
}

/// Cut off afterwards, it is the new owner's, still marked as retained.
fn adopt(world: &mut World, installation: Uuid, from: Uuid, spec: &VolumeSpec) -> Result<(), Error> {
    let Volume { size_bytes, mode, .. } = retained(world, installation, from)?.volume;
    same_mode(mode, spec.mode)?;
    if spec.size_bytes < size_bytes {
        return Err(Error::invalid(format!("what the volume is made from has {size_bytes} bytes")));
    }
    if let Some(fake) = world.volumes.remove(&(installation, from)) {
        world.volumes.insert((installation, spec.owner.uid), fake);
    }
    Ok(())
}

/// A file system is not a device's content, nor the other way round.
fn same_mode(there: VolumeMode, wanted: VolumeMode) -> Result<(), Error> {
    if there == wanted { Ok(()) } else { Err(Error::invalid(format!("the data is that of a {there:?} volume"))) }
}

fn source_of(world: &World, installation: Uuid, source: VolumeSource) -> Result<(u64, u64, VolumeMode), Error> {
    match source {
        VolumeSource::Snapshot(owner) => world
            .snapshots
            .get(&(installation, owner))
            .map(|fake| (fake.incarnation, fake.snapshot.size_bytes, fake.snapshot.mode))
            .ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`"))),
        VolumeSource::Volume(owner) => world
            .volumes
            .get(&(installation, owner))
            .map(|fake| (fake.incarnation, fake.volume.size_bytes, fake.volume.mode))
            .ok_or_else(|| Error::not_found(format!("volume of `{owner}`"))),
        VolumeSource::Retained(owner) => Err(Error::not_found(format!("retained volume of `{owner}`"))),
    }
}

fn unused(world: &World, installation: Uuid, owner: Uuid) -> Result<(), Error> {
    in_use_by(world, installation, owner, |_| true)
}

/// `Conflict` with the names of those machines that have the volume and count.
fn in_use_by(
    world: &World,
    installation: Uuid,
    owner: Uuid,
    counts: impl Fn(&FakeMachine) -> bool,
) -> Result<(), Error> {
    let mut users: Vec<String> = world
        .machines
        .values()
        .filter(|fake| fake.machine.owner.installation == installation && fake.machine.volumes.contains(&owner))
        .filter(|fake| counts(fake))
        .map(|fake| fake.machine.name.clone())
        .collect();
    if users.is_empty() {
        return Ok(());
    }
    users.sort_unstable();
    Err(Error::conflict(Conflict::InUse { what: format!("volume of `{owner}`"), users }))
}
