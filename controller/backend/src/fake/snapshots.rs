//! The rules of snapshots at the fake engine: each is taken at once.

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::volumes::not_retained;
use super::world::{FakeSnapshot, World};
use crate::{Error, Progress, Snapshot, SnapshotSource, SnapshotSpec, Snapshots};

#[async_trait]
impl Snapshots for View {
    async fn list(&self) -> Result<Vec<Snapshot>, Error> {
        self.perform(Operation::ListSnapshots, |world, installation| {
            let ours = world.snapshots.range((installation, Uuid::nil())..=(installation, Uuid::max()));
            Ok(ours.map(|(_, fake)| fake.snapshot.clone()).collect())
        })
    }

    async fn find(&self, owner: Uuid) -> Result<Option<Snapshot>, Error> {
        self.perform(Operation::FindSnapshot, |world, installation| {
            Ok(world.snapshots.get(&(installation, owner)).map(|fake| fake.snapshot.clone()))
        })
    }

    async fn ensure(&self, spec: &SnapshotSpec, progress: &Progress) -> Result<Snapshot, Error> {
        self.perform(Operation::EnsureSnapshot, |world, installation| {
            let key = (installation, spec.owner.uid);
            if let SnapshotSource::Retained(from) = spec.source
                && !world.snapshots.contains_key(&key)
            {
                retained(world, installation, from)?;
                if let Some(fake) = world.snapshots.remove(&(installation, from)) {
                    world.snapshots.insert(key, fake);
                }
            }
            if let Some(fake) = world.snapshots.get_mut(&key) {
                fake.snapshot.owner = spec.owner.clone();
                fake.snapshot.retained = false;
                return Ok(fake.snapshot.clone());
            }
            let (SnapshotSource::Volume(volume) | SnapshotSource::Retained(volume)) = spec.source;
            let volume = world
                .volumes
                .get(&(installation, volume))
                .ok_or_else(|| Error::not_found(format!("volume of `{volume}`")))?;
            let snapshot = Snapshot {
                owner: spec.owner.clone(),
                size_bytes: volume.volume.size_bytes,
                used_bytes: volume.volume.used_bytes.unwrap_or_default(),
                retained: false,
                mode: volume.volume.mode,
            };
            progress.complete();
            let fake = FakeSnapshot { snapshot: snapshot.clone(), incarnation: volume.incarnation };
            world.snapshots.insert(key, fake);
            Ok(snapshot)
        })
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveSnapshot, |world, installation| {
            world.snapshots.remove(&(installation, owner));
            Ok(())
        })
    }

    async fn retain(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RetainSnapshot, |world, installation| {
            let fake = world
                .snapshots
                .get_mut(&(installation, owner))
                .ok_or_else(|| Error::not_found(format!("snapshot of `{owner}`")))?;
            fake.snapshot.retained = true;
            Ok(())
        })
    }

    async fn hand_over(&self, owner: Uuid, namespace: &str) -> Result<(), Error> {
        self.perform(Operation::HandOverSnapshot, |world, installation| {
            namespace.clone_into(&mut retained(world, installation, owner)?.snapshot.owner.namespace);
            Ok(())
        })
    }

    async fn purge(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::PurgeSnapshot, |world, installation| {
            retained(world, installation, owner)?;
            world.snapshots.remove(&(installation, owner));
            Ok(())
        })
    }
}

fn retained(world: &mut World, installation: Uuid, owner: Uuid) -> Result<&mut FakeSnapshot, Error> {
    let fake = world.snapshots.get_mut(&(installation, owner));
    let fake = fake.ok_or_else(|| Error::not_found(format!("retained snapshot of `{owner}`")))?;
    if fake.snapshot.retained { Ok(fake) } else { Err(not_retained("snapshot", owner)) }
}
