//! Disk images at the fake engine: files that somebody laid ready or serves, and what was imported from them.

use async_trait::async_trait;
use uuid::Uuid;

use super::View;
use super::faults::Operation;
use super::images::{FakeImage, Program};
use super::world::World;
use crate::{Checksum, Conflict, DiskImage, DiskImageSpec, DiskImages, DiskSource, Error, ImportError, Progress};

/// What is served at a url.
#[derive(Debug, Clone)]
pub(super) struct FakeDownload {
    pub(super) checksum: Checksum,
    pub(super) disk_bytes: u64,
}

/// What each image takes.
const STORED_BYTES: u64 = 1 << 20;

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

    async fn ensure(&self, spec: &DiskImageSpec, progress: &Progress) -> Result<DiskImage, ImportError> {
        let takes = self.engine.lock().world.imports_take;
        if !takes.is_zero() {
            progress.begin(2);
            progress.add(1);
            tokio::time::sleep(takes).await;
        }
        // Twofold, since an import fails in its own ways: the outer failure is the engine's.
        let imported = self.perform(Operation::EnsureDiskImage, |world, installation| {
            Ok(ensure(world, installation, spec).inspect(|_| progress.complete()))
        });
        imported.unwrap_or_else(|source| Err(ImportError::backend(source)))
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.perform(Operation::RemoveDiskImage, |world, installation| {
            if !world.disk_images.contains_key(&(installation, owner)) {
                return Ok(());
            }
            let mut users: Vec<String> = world
                .machines
                .values()
                .filter(|fake| fake.machine.owner.installation == installation && fake.spec.image == owner.to_string())
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

fn ensure(world: &mut World, installation: Uuid, spec: &DiskImageSpec) -> Result<DiskImage, ImportError> {
    if let Some(known) = world.disk_images.get(&(installation, spec.owner.uid)) {
        return Ok(known.clone());
    }
    let (id, disk_bytes, disk) = match &spec.source {
        DiskSource::File(path) => (format!("disk:{path}"), file(world, path).map_err(ImportError::backend)?, None),
        DiskSource::Url { url, checksum } => (format!("disk:{url}"), download(world, url, checksum)?, None),
        DiskSource::Snapshot(uid) => {
            let taken = world.machine_snapshots.get(&(installation, *uid));
            let missing = || ImportError::backend(Error::not_found(format!("snapshot of `{uid}`")));
            let taken = taken.ok_or_else(missing)?;
            // The copy is another file.
            let id = format!("disk:{} of {}", taken.snapshot.image.id, spec.owner);
            (id, taken.snapshot.disk_bytes.ok_or_else(missing)?, Some(taken.disk))
        }
    };
    if spec.max_bytes.is_some_and(|most| most < STORED_BYTES) {
        return Err(ImportError::TooLarge { message: format!("it takes {STORED_BYTES} bytes") });
    }
    // A machine is made from it as from any other image, by the owner's uid.
    let mut image = FakeImage::new(&spec.owner.uid.to_string(), Program::Runs);
    image.image.id = id;
    image.disk = disk;
    let made =
        DiskImage { owner: spec.owner.clone(), id: image.image.id.clone(), disk_bytes, stored_bytes: STORED_BYTES };
    world.images.insert(spec.owner.uid.to_string(), image);
    world.disk_images.insert((installation, spec.owner.uid), made.clone());
    Ok(made)
}

fn file(world: &World, path: &str) -> Result<u64, Error> {
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err(Error::invalid(format!("`{path}` is not inside the directory of images")));
    }
    world.disk_files.get(path).copied().ok_or_else(|| Error::not_found(format!("file `{path}`")))
}

fn download(world: &World, url: &str, expected: &Checksum) -> Result<u64, ImportError> {
    let there = world.disk_urls.get(url);
    let there = there.ok_or_else(|| ImportError::NoSuchSource { message: format!("nothing is served at `{url}`") })?;
    if there.checksum == *expected {
        return Ok(there.disk_bytes);
    }
    Err(ImportError::ChecksumMismatch { expected: expected.clone(), actual: there.checksum.clone() })
}
