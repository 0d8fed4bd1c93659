//! Looks for what a machine mounts, on the host, and changes what it does.

use std::collections::BTreeSet;
use std::path::PathBuf;

use async_trait::async_trait;
use controller_backend::{Detached, Error, MachineId, Mount, MountSource, Mounting, VolumeMode};
use uuid::Uuid;
use virt::domain::Domain;
use virt_sys as sys;

use super::LibvirtMachines;
use crate::devices::{self, Device};
use crate::engine::{CallError, Connection, Owned};
use crate::marks::Marks;
use crate::places::replace_private;
use crate::shares::{self, Memory, Mounts, Share};
use crate::{remount, seed};

/// What a volume is to a machine.
pub(super) enum Offer {
    Directory(PathBuf),
    Device(PathBuf),
}

impl LibvirtMachines {
    /// What is mounted, which must be there.
    pub(super) async fn mounts(&self, owner: Uuid, wanted: &[Mount]) -> Result<Mounts, Error> {
        let mut mounts = Mounts::default();
        for (number, mount) in wanted.iter().enumerate() {
            let (directory, read_only) = match &mount.source {
                MountSource::Volume(uid) => match self.volume(*uid).await? {
                    Offer::Directory(directory) => (directory, mount.read_only),
                    Offer::Device(path) => {
                        if mounts.devices.iter().any(|device| device.volume == *uid) {
                            let message =
                                "a virtual machine has a Volume with `volumeMode: Block` as one disk: mount it once";
                            return Err(Error::invalid(message));
                        }
                        let (serial, read_only) = (devices::serial(&mount.path), mount.read_only);
                        mounts.devices.push(Device { volume: *uid, path, serial, read_only });
                        continue;
                    }
                },
                MountSource::Files(name) => {
                    let missing = || Error::not_found(format!("file set `{name}`"));
                    if !self.host.files.list().await?.contains(&owner) {
                        return Err(missing());
                    }
                    let directory = self.host.files.directory(owner, name);
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

    /// Looks for all that a machine mounts once more before it starts: devices have other numbers after a restart of the host.
    pub(super) async fn renew_mounts(&self, id: &MachineId) -> Result<(), Error> {
        let marks = self.engine.on_machine(id, "look at", |owned| Ok(owned.marks.clone())).await?;
        match &marks.mounts {
            Some(mounts) if !marks.devices.is_empty() => self.redefine(id, mounts).await,
            _ => {
                for volume in marks.volumes {
                    self.volume(volume).await?;
                }
                Ok(())
            }
        }
    }

    /// Defines what a machine mounts from its next start on, at one stroke with the marks that tell of it.
    async fn redefine(&self, id: &MachineId, wanted: &[Mount]) -> Result<(), Error> {
        let known = self.engine.on_machine(id, "look at", |owned| Ok(owned.marks.clone())).await?;
        let mounts = self.mounts(known.owner.uid, wanted).await?;
        let (program, wanted) = (self.places.read_only_server(), wanted.to_vec());
        let define = move |connection: &Connection, owned: &Owned| {
            let domain = &owned.domain;
            let mut devices: BTreeSet<Uuid> = mounts.devices.iter().map(|device| device.volume).collect();
            if domain.is_active()? {
                devices.extend(&owned.marks.devices);
            }
            let marks = Marks {
                volumes: volumes(&wanted),
                mounts: Some(wanted),
                devices: devices.into_iter().collect(),
                ..owned.marks.clone()
            };
            // With what is secret, or it would be lost.
            let xml = domain.get_xml_desc(sys::VIR_DOMAIN_XML_SECURE | sys::VIR_DOMAIN_XML_INACTIVE)?;
            let changed = remount::with_mounts(&xml, &mounts, &program, &marks);
            let changed =
                changed.ok_or_else(|| CallError::Told(Error::failed("mount", "the definition is another")))?;
            Ok(Domain::define_xml(connection, &changed).map(drop)?)
        };
        self.engine.on_definition(id, "define the mounts of", define).await
    }

    /// What a volume that is ready is to a machine.
    pub(super) async fn volume(&self, owner: Uuid) -> Result<Offer, Error> {
        let found = self.host.volumes.find(owner).await?.filter(|volume| volume.ready);
        let offer = found.and_then(|volume| match volume.mode {
            VolumeMode::Filesystem => volume.directory.map(Offer::Directory),
            VolumeMode::Block => volume.device.map(Offer::Device),
        });
        offer.ok_or_else(|| Error::not_found(format!("volume of `{owner}`")))
    }
}

#[async_trait]
impl Mounting for LibvirtMachines {
    async fn define(&self, id: &MachineId, mounts: &[Mount]) -> Result<(), Error> {
        let owner = self.owned(id).await?.owner.uid;
        let wanted = self.mounts(owner, mounts).await?;
        let failed = |error| Error::failed("tell the machine what it mounts", error);
        if wanted.shares.iter().any(|share| share.read_only) {
            shares::make_read_only(&self.places.read_only_server()).map_err(failed)?;
        }
        // What it is told comes first: once the definition says so, nobody looks at this again. A machine that runs keeps
        // the disk that it has open.
        let seed = self.places.seed(owner, id);
        let told = tokio::fs::read(&seed).await.map_err(failed)?;
        let next = seed::with_mounts(&told, &wanted)
            .ok_or_else(|| Error::failed("tell the machine what it mounts", "its seed is another"))?;
        if next != told {
            replace_private(&seed, &next).await.map_err(failed)?;
        }
        self.redefine(id, mounts).await
    }

    async fn attach(&self, id: &MachineId, volume: Uuid) -> Result<(), Error> {
        let marks = self.engine.on_machine(id, "look at", |owned| Ok(owned.marks.clone())).await?;
        let source = MountSource::Volume(volume);
        let mount = marks.mounts.into_iter().flatten().find(|mount| mount.source == source);
        let mount = mount.ok_or_else(|| Error::not_found(format!("mount of volume `{volume}`")))?;
        let mounts = self.mounts(marks.owner.uid, &[mount]).await?;
        let Some(device) = mounts.devices.into_iter().next() else {
            return Err(Error::invalid("a directory is mounted when the machine starts, and not while it runs"));
        };
        let plug = move |owned: &Owned| {
            let domain = &owned.domain;
            if !domain.is_active()? {
                return Ok(());
            }
            let xml = domain.get_xml_desc(0)?;
            let Some(disk) = devices::find(&xml, volume) else {
                let disk = devices::element(&device, &devices::free_target(&xml));
                return match domain.attach_device_flags(&disk, sys::VIR_DOMAIN_AFFECT_LIVE) {
                    // It ended at this very moment, and has it at its next start.
                    Err(_) if !domain.is_active()? => Ok(()),
                    other => Ok(other.map(drop)?),
                };
            };
            if let (Some(target), Some(size)) = (devices::target(disk), devices::size_bytes(&device.path)) {
                domain.block_resize(&target, size, sys::VIR_DOMAIN_BLOCK_RESIZE_BYTES)?;
            }
            Ok(())
        };
        self.engine.on_machine(id, "plug a volume into", plug).await
    }

    async fn detach(&self, id: &MachineId, volume: Uuid) -> Result<Detached, Error> {
        let unplug = move |owned: &Owned| {
            let domain = &owned.domain;
            let has = || -> Result<Option<String>, CallError> {
                if !domain.is_active()? {
                    return Ok(None);
                }
                Ok(devices::find(&domain.get_xml_desc(0)?, volume).map(str::to_owned))
            };
            let Some(disk) = has()? else { return Ok(Detached::Gone) };
            // libvirt waits some seconds for the guest, and calls it done if that says nothing.
            let asked = domain.detach_device_flags(&disk, sys::VIR_DOMAIN_AFFECT_LIVE);
            match (has()?, asked) {
                (None, _) => Ok(Detached::Gone),
                (Some(_), Ok(_)) => Ok(Detached::Held),
                // It was asked before, and hasn't answered.
                (Some(_), Err(error)) if error.message().contains("unplug") => Ok(Detached::Held),
                (Some(_), Err(error)) => Err(error.into()),
            }
        };
        self.engine.on_machine(id, "unplug a volume from", unplug).await
    }
}

/// The volumes among these.
pub(super) fn volumes(mounts: &[Mount]) -> Vec<Uuid> {
    let uids = mounts.iter().filter_map(|mount| match mount.source {
        MountSource::Volume(uid) => Some(uid),
        _ => None,
    });
    uids.collect::<BTreeSet<_>>().into_iter().collect()
}
