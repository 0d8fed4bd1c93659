//! Projected files are the host's. To the owners that have any are added those whose machine somebody took from libvirt by
//! hand: its disks are still there, and go with the owner.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::{Error, FileSet, Files, Owner};
use uuid::Uuid;

use crate::machines::LibvirtMachines;

pub(crate) struct LibvirtFiles {
    host: Arc<dyn Files>,
    machines: Arc<LibvirtMachines>,
}

impl LibvirtFiles {
    pub(crate) fn new(host: Arc<dyn Files>, machines: Arc<LibvirtMachines>) -> Self {
        Self { host, machines }
    }
}

#[async_trait]
impl Files for LibvirtFiles {
    async fn list(&self) -> Result<Vec<Uuid>, Error> {
        let mut owners: BTreeSet<Uuid> = self.host.list().await?.into_iter().collect();
        owners.extend(self.machines.left_behind().await?);
        Ok(owners.into_iter().collect())
    }

    async fn ensure(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        self.host.ensure(owner, sets).await
    }

    async fn refresh(&self, owner: &Owner, sets: &[FileSet]) -> Result<(), Error> {
        self.host.refresh(owner, sets).await
    }

    async fn remove(&self, owner: Uuid) -> Result<(), Error> {
        self.host.remove(owner).await?;
        self.machines.clear(owner).await
    }

    fn directory(&self, owner: Uuid, name: &str) -> Option<PathBuf> {
        self.host.directory(owner, name)
    }
}
