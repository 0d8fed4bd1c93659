//! Which Docker this is and what it can hold.

use std::sync::Arc;

use async_trait::async_trait;
use bollard::models::SystemInfo;
use controller_backend::{Capacity, Error, Host, Identity};

use crate::engine::Engine;
use crate::error::translate;

pub(crate) struct DockerHost {
    engine: Arc<Engine>,
}

impl DockerHost {
    pub(crate) fn new(engine: Arc<Engine>) -> Self {
        Self { engine }
    }

    async fn info(&self) -> Result<SystemInfo, Error> {
        self.engine.client().await?.info().await.map_err(|error| translate("Docker", "ask Docker about itself", error))
    }
}

#[async_trait]
impl Host for DockerHost {
    async fn identity(&self) -> Result<Identity, Error> {
        let info = self.info().await?;
        let id = info.id.filter(|id| !id.is_empty());
        Ok(Identity {
            id: id.ok_or_else(|| Error::failed("identify Docker", "it tells no id"))?,
            name: info.name.unwrap_or_default(),
            version: info.server_version.unwrap_or_default(),
        })
    }

    async fn reachable(&self) -> Result<(), Error> {
        let answer = self.engine.client().await?.ping().await;
        answer.map(drop).map_err(|error| translate("Docker", "ping Docker", error))
    }

    async fn capacity(&self) -> Result<Capacity, Error> {
        let info = self.info().await?;
        Ok(Capacity {
            cpus: info.ncpu.and_then(|cpus| u32::try_from(cpus).ok()).unwrap_or_default(),
            memory_bytes: info.mem_total.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or_default(),
        })
    }
}
