//! Looks for what a machine mounts, on the host.

use std::collections::BTreeSet;
use std::path::PathBuf;

use controller_backend::{Error, MachineSpec, MountSource, VolumeMode};
use uuid::Uuid;

use super::LibvirtMachines;
use crate::shares::{self, Memory, Mounts, Share};

impl LibvirtMachines {
    /// What is mounted, which must be there.
    pub(super) async fn mounts(&self, spec: &MachineSpec) -> Result<Mounts, Error> {
        let mut mounts = Mounts::default();
        for (number, mount) in spec.mounts.iter().enumerate() {
            let (directory, read_only) = match &mount.source {
                MountSource::Volume(uid) => (self.volume(*uid).await?, mount.read_only),
                MountSource::Files(name) => {
                    let missing = || Error::not_found(format!("file set `{name}`"));
                    if !self.host.files.list().await?.contains(&spec.owner.uid) {
                        return Err(missing());
                    }
                    let directory = self.host.files.directory(spec.owner.uid, name);
                    // Projected content is ours to change, never the machine's.
                    (directory.ok_or_else(missing)?, true)
                }
                MountSource::Empty { size_bytes } => {
                    mounts.memory.push(Memory { path: mount.path.clone(), size_bytes: *size_bytes });
                    continue;
                }
            };
            mounts.shares.push(Share { tag: shares::tag(number), directory, path: mount.path.clone(), read_only });
        }
        Ok(mounts)
    }

    /// The directory of a volume that is ready.
    pub(super) async fn volume(&self, owner: Uuid) -> Result<PathBuf, Error> {
        let found = self.host.volumes.find(owner).await?;
        if let Some(volume) = found.as_ref().filter(|volume| volume.mode == VolumeMode::Block) {
            let name = &volume.owner.name;
            return Err(Error::invalid(format!(
                "Volume `{name}` is a raw device (`volumeMode: Block`), which only containers get: give the virtual machine \
                 one with `volumeMode: Filesystem`"
            )));
        }
        let directory = found.filter(|volume| volume.ready).and_then(|volume| volume.directory);
        directory.ok_or_else(|| Error::not_found(format!("volume of `{owner}`")))
    }
}

/// The volumes that it mounts.
pub(super) fn volumes(spec: &MachineSpec) -> Vec<Uuid> {
    let uids = spec.mounts.iter().filter_map(|mount| match mount.source {
        MountSource::Volume(uid) => Some(uid),
        _ => None,
    });
    uids.collect::<BTreeSet<_>>().into_iter().collect()
}
