//! Gives a machine more memory while it runs, or less of what its guest hasn't taken.

use controller_backend::{Error, MachineId, Resources};
use tokio::fs;
use uuid::Uuid;
use virt::domain::Domain;
use virt_sys as sys;

use super::LibvirtMachines;
use crate::engine::{CallError, Connection};
use crate::places::replace_private;
use crate::{memory, seed};

/// The guest takes it when it likes.
pub(super) fn change(domain: &Domain, resources: Resources) -> Result<(), CallError> {
    if let Some(device) = memory::offering(&domain.get_xml_desc(0)?, resources) {
        domain.update_device_flags(&device, sys::VIR_DOMAIN_AFFECT_LIVE)?;
    }
    Ok(())
}

impl LibvirtMachines {
    /// These amounts, as far as this host can give them: an older one lets no memory grow.
    pub(super) async fn within_reach(&self, resources: Resources) -> Result<Resources, Error> {
        if resources.max_memory_bytes.is_none() {
            return Ok(resources);
        }
        let versions = |connection: &Connection| Ok((connection.get_lib_version()?, connection.get_hyp_version()?));
        let (libvirt, qemu) = self.engine.call("libvirt", "learn the version of libvirt", versions).await?;
        if libvirt >= memory::LIBVIRT_VERSION && qemu >= memory::QEMU_VERSION {
            return Ok(resources);
        }
        tracing::warn!(libvirt, qemu, "a machine's memory can't grow while it runs: libvirt or QEMU is too old");
        Ok(Resources { max_memory_bytes: None, ..resources })
    }

    /// Has the guest's next boot use memory that it takes, if the machine was made without room for more.
    pub(super) async fn tell_of_growth(&self, id: &MachineId, owner: Uuid) -> Result<(), Error> {
        let failed = |error| Error::failed("tell the machine of memory that comes", error);
        let seed = self.places.seed(owner, id);
        let told = fs::read(&seed).await.map_err(failed)?;
        match seed::with_growth(&told) {
            Some(next) if next != told => replace_private(&seed, &next).await.map_err(failed),
            Some(_) => Ok(()),
            None => Err(Error::failed("tell the machine of memory that comes", "its seed is another")),
        }
    }
}
