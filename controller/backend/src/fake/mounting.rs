//! The rules of mounts that change, at the fake engine: only a machine with a disk of its own has such.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::machines::{has_files, ours};
use super::world::{FakeMachine, World};
use crate::{Detached, Error, Happening, Machine, MachineId, Mount, MountSource, Mounting, Mounts, Owner, VolumeMode};

#[async_trait]
impl Mounting for View {
    async fn define(&self, id: &MachineId, mounts: &[Mount]) -> Result<(), Error> {
        self.perform(Operation::DefineMounts, |world, installation| {
            let owner = ours(world, installation, id)?.machine.owner.clone();
            there(world, &owner, mounts)?;
            let fake = ours(world, installation, id)?;
            fake.spec.mounts = mounts.to_vec();
            fake.count_volumes();
            Ok(())
        })
    }

    async fn attach(&self, id: &MachineId, volume: Uuid) -> Result<(), Error> {
        self.perform(Operation::AttachVolume, |world, installation| {
            let mount = defined(ours(world, installation, id)?, volume);
            let mount = mount.ok_or_else(|| Error::not_found(format!("mount of volume `{volume}`")))?;
            let found = world.volumes.get(&(installation, volume)).filter(|fake| fake.volume.ready);
            let size = found.ok_or_else(|| Error::not_found(format!("volume of `{volume}`")))?.volume.size_bytes;
            let fake = ours(world, installation, id)?;
            if let Some(live) = &mut fake.live {
                if !live.iter().any(|mount| is_of(mount, volume)) {
                    live.push(mount);
                }
                fake.told.insert(volume, size);
            }
            Ok(())
        })
    }

    async fn detach(&self, id: &MachineId, volume: Uuid) -> Result<Detached, Error> {
        self.perform(Operation::DetachVolume, |world, installation| {
            let fake = ours(world, installation, id)?;
            let owner = fake.machine.owner.clone();
            let has = |fake: &FakeMachine| fake.live.iter().flatten().any(|mount| is_of(mount, volume));
            if !has(fake) {
                return Ok(Detached::Gone);
            }
            if fake.holds_on {
                return Ok(Detached::Held);
            }
            fake.live.iter_mut().for_each(|live| live.retain(|mount| !is_of(mount, volume)));
            fake.told.remove(&volume);
            fake.count_volumes();
            world.tell(owner, Happening::Unplugged);
            Ok(Detached::Gone)
        })
    }
}

impl FakeMachine {
    /// The volumes that it has are those that it mounts or will.
    pub(super) fn count_volumes(&mut self) {
        let mounts = self.spec.mounts.iter().chain(self.live.iter().flatten());
        let uids = mounts.filter_map(|mount| match mount.source {
            MountSource::Volume(uid) => Some(uid),
            _ => None,
        });
        self.machine.volumes = uids.collect::<BTreeSet<_>>().into_iter().collect();
    }
}

/// The machine as it is told of.
pub(super) fn seen(world: &World, fake: &FakeMachine) -> Machine {
    let mut machine = fake.machine.clone();
    let volume = |uid: &Uuid| world.volumes.get(&(machine.owner.installation, *uid)).map(|fake| &fake.volume);
    let is_device = |uid: &&Uuid| volume(uid).is_some_and(|volume| volume.mode == VolumeMode::Block);
    let devices: Vec<Uuid> = machine.volumes.iter().filter(is_device).copied().collect();
    let has_grown = |uid: &&Uuid| {
        let (told, size) = (fake.told.get(uid), volume(uid).map(|volume| volume.size_bytes));
        told.is_some_and(|told| size.is_some_and(|size| size > *told))
    };
    let outgrown = devices.iter().filter(has_grown).copied().collect();
    machine.mounts = fake.spec.first_boot.as_ref().map(|_| Mounts {
        defined: fake.spec.mounts.clone(),
        live: fake.live.clone(),
        devices,
        outgrown,
    });
    machine
}

/// Whether all that is to be mounted is there.
pub(super) fn there(world: &World, owner: &Owner, mounts: &[Mount]) -> Result<(), Error> {
    for mount in mounts {
        match &mount.source {
            MountSource::Volume(uid) if !world.volumes.contains_key(&(owner.installation, *uid)) => {
                return Err(Error::not_found(format!("volume of `{uid}`")));
            }
            MountSource::Files(name) => has_files(world, owner, name)?,
            MountSource::Volume(_) | MountSource::Empty { .. } => {}
        }
    }
    Ok(())
}

/// The sizes of the volumes among these.
pub(super) fn sizes(world: &World, installation: Uuid, mounts: &[Mount]) -> BTreeMap<Uuid, u64> {
    let sizes = mounts.iter().filter_map(|mount| match mount.source {
        MountSource::Volume(uid) => Some((uid, world.volumes.get(&(installation, uid))?.volume.size_bytes)),
        _ => None,
    });
    sizes.collect()
}

/// The guest keeps what it has, or gives what it shall no longer have.
pub(super) fn hold_on(world: &mut World, id: &MachineId, holds_on: bool) {
    let Some(fake) = world.machines.get(id) else { return };
    let (Some(mounts), owner) = (seen(world, fake).mounts, fake.machine.owner.clone()) else { return };
    let Some(fake) = world.machines.get_mut(id) else { return };
    fake.holds_on = holds_on;
    if holds_on {
        return;
    }
    if let Some(live) = &mut fake.live {
        live.retain(|mount| mounts.device(mount).is_none() || mounts.defined.contains(mount));
    }
    fake.count_volumes();
    world.tell(owner, Happening::Unplugged);
}

fn defined(fake: &FakeMachine, volume: Uuid) -> Option<Mount> {
    fake.spec.mounts.iter().find(|mount| is_of(mount, volume)).cloned()
}

fn is_of(mount: &Mount, volume: Uuid) -> bool {
    mount.source == MountSource::Volume(volume)
}
