//! Disk images at the fake engine: files that somebody laid ready, and what was imported from them.

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::images::{FakeImage, Program};
use super::world::World;
use crate::{Conflict, DiskImage, DiskImageSpec, DiskImages, DiskSource, Error};

#[async_trait]
impl DiskImages for View {
    async fn list(&self) -> Result<Vec<DiskImage>, Error> {
        self.perform(Operation::ListDiskImages, |world, installation| {
            let ours = world.disk_images.range((installation, Uuid::nil())..=(installation, Uuid::max()));
            Ok(ours.map(|(_, image)| image.clone()).collect())
        })
    }

    async fn find(&self, owner: Uuid) -> Result<Option<DiskImage>, Error> {
        self.perform(Operation::FindDiskImage, |world, installation| {
            Ok(world.disk_images.get(&(installation, owner)).cloned())
        })
    }

    async fn ensure(&self, spec: &DiskImageSpec) -> Result<DiskImage, Error> {
        self.perform(Operation::EnsureDiskImage, |world, installation| ensure(world, installation, spec))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveDiskImage, |world, installation| {
            let Some(image) = world.disk_images.get(&(installation, owner)) else { return Ok(()) };
            let mut users: Vec<String> = world
                .machines
                .values()
                .filter(|fake| fake.machine.owner.installation == installation && fake.machine.image_id == image.id)
                .map(|fake| fake.machine.name.clone())
                .collect();
            if users.is_empty() {
                world.disk_images.remove(&(installation, owner));
                world.images.remove(&owner.to_string());
                return Ok(());
            }
            users.sort_unstable();
            Err(Error::conflict(Conflict::InUse { what: format!("image of `{owner}`"), users }))
        })
    }
}

fn ensure(world: &mut World, installation: Uuid, spec: &DiskImageSpec) -> Result<DiskImage, Error> {
    if let Some(known) = world.disk_images.get(&(installation, spec.owner.uid)) {
        return Ok(known.clone());
    }
    let DiskSource::File(path) = &spec.source;
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Error::invalid(format!("`{path}` is not inside the directory of images")));
    }
    let disk_bytes = *world.disk_files.get(path).ok_or_else(|| Error::not_found(format!("file `{path}`")))?;
    // A machine is made from it as from any other image, by the owner's uid.
    let mut image = FakeImage::new(&spec.owner.uid.to_string(), Program::Runs);
    image.image.id = format!("disk:{path}");
    let made = DiskImage { owner: spec.owner.clone(), id: image.image.id.clone(), disk_bytes, stored_bytes: 1 << 20 };
    world.images.insert(spec.owner.uid.to_string(), image);
    world.disk_images.insert((installation, spec.owner.uid), made.clone());
    Ok(made)
}
