//! Which libvirt this is and what its host can hold.

use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::{Capacity, Error, Host, Identity};

use crate::engine::Engine;

pub(crate) struct LibvirtHost {
    engine: Arc<Engine>,
}

impl LibvirtHost {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }
}

#[async_trait]
impl Host for LibvirtHost {
    async fn identity(&self) -> Result<Identity, Error> {
        // What libvirt itself calls the host's id is made anew at each start where the firmware has none.
        let id = tokio::fs::read_to_string("/etc/machine-id").await;
        let id = id.map_err(|error| Error::failed("read /etc/machine-id", error))?;
        let ask =
            |connection: &crate::engine::Connection| Ok((connection.get_hostname()?, connection.get_lib_version()?));
        let (name, version) = self.engine.call("libvirt", "ask libvirt about itself", ask).await?;
        let version = format!("{}.{}.{}", version / 1_000_000, version / 1000 % 1000, version % 1000);
        Ok(Identity { id: id.trim().to_owned(), name, version })
    }

    async fn reachable(&self) -> Result<(), Error> {
        self.engine.call("libvirt", "ask libvirt", |connection| Ok(connection.get_lib_version().map(drop)?)).await
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let ask = |connection: &crate::engine::Connection| Ok(connection.get_node_info()?);
        let info = self.engine.call("libvirt", "ask libvirt about its host", ask).await?;
        Ok(Capacity { cpus: info.cpus, memory_bytes: info.memory.saturating_mul(1024) })
    }
}
