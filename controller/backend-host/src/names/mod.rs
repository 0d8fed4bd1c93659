//! The name server: for each network a UDP and a TCP socket at its gateway. What is answered is decided in `answer`, the
//! names of the world are looked up by `forward`.

mod answer;
mod forward;
mod listen;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::{Error, Names, Zone, Zones};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use uuid::Uuid;

use forward::Forwarder;
use listen::Sockets;
use table::Table;

/// Where names are asked for.
const PORT: u16 = 53;

#[derive(Default)]
pub(crate) struct NameServer {
    resolvers: Option<Vec<SocketAddr>>,
    serving: Mutex<BTreeMap<Uuid, Served>>,
}

/// A network whose names are served. Dropping it closes its sockets.
struct Served {
    zone: Zone,
    table: watch::Sender<Arc<Table>>,
    tasks: JoinSet<()>,
}

impl NameServer {
    pub(crate) fn with_resolvers(resolvers: Vec<SocketAddr>) -> Self {
        Self { resolvers: Some(resolvers), serving: Mutex::default() }
    }

    async fn open(&self, zone: &Zone) -> Result<Served, Error> {
        let gateway = IpAddr::V4(zone.gateway);
        let sockets = Sockets::bind(SocketAddr::new(gateway, PORT)).await.map_err(|error| Error::Unavailable {
            what: format!("the name server at {gateway}:{PORT}"),
            source: Some(error.into()),
        })?;
        let (table, latest) = watch::channel(Arc::new(Table::of(zone)));
        let mut tasks = JoinSet::new();
        sockets.serve(&mut tasks, &latest, &Forwarder::new(self.resolvers.clone()));
        Ok(Served { zone: zone.clone(), table, tasks })
    }
}

impl Served {
    /// Whether it can go on, with other names at most.
    fn suits(&mut self, gateway: Ipv4Addr) -> bool {
        let ended = self.tasks.try_join_next().is_some();
        !ended && self.zone.gateway == gateway
    }

    fn renew(&mut self, zone: &Zone) {
        if self.zone != *zone {
            self.zone = zone.clone();
            self.table.send_replace(Arc::new(Table::of(zone)));
        }
    }
}

#[async_trait]
impl Names for NameServer {
    async fn serve(&self, zones: &Zones) -> Result<(), Error> {
        let mut serving = self.serving.lock().await;
        let mut ended = Vec::new();
        for (uid, mut served) in std::mem::take(&mut *serving) {
            match zones.networks.get(&uid) {
                Some(zone) if served.suits(zone.gateway) => {
                    served.renew(zone);
                    serving.insert(uid, served);
                }
                _ => ended.push(served),
            }
        }
        // Their addresses may be another's now.
        for mut served in ended {
            served.tasks.shutdown().await;
        }
        let mut outcome = Ok(());
        for (uid, zone) in &zones.networks {
            if serving.contains_key(uid) {
                continue;
            }
            match self.open(zone).await {
                Ok(served) => drop(serving.insert(*uid, served)),
                Err(error) => outcome = outcome.and(Err(error)),
            }
        }
        outcome
    }
}
