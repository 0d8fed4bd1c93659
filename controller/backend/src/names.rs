//! The port for names: who is found by which name in which network is the controller's decision; this answers.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use serde::Serialize;
use uuid::Uuid;

use crate::Error;

/// The domain under which every name of ours is.
pub const DOMAIN: &str = "cloud.internal";

/// Serves names, each network's at its gateway, to nobody but the machines of that network.
///
/// # Guarantees
/// - A name of another network isn't known, whatever is asked.
/// - The process that serves ends with them: nothing answers any more.
#[async_trait]
pub trait Names: Send + Sync {
    /// Serves these zones in place of all that were. Can be repeated: what stopped is taken up again.
    ///
    /// # Errors
    /// `Unavailable` names a gateway where nothing can be served yet; all others are served.
    async fn serve(&self, zones: &Zones) -> Result<(), Error>;
}

/// The names of each network, by owner's uid.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Zones {
    /// The networks.
    pub networks: BTreeMap<Uuid, Zone>,
}

/// The names of one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Zone {
    /// The host's own address in it, where it is asked.
    pub gateway: Ipv4Addr,
    /// Whoever asks from outside gets no answer.
    pub range: Ipv4Net,
    /// Whether names of the world are looked up for the machines.
    pub forwards: bool,
    /// The names of each machine, from [`dns_names`](crate::dns_names).
    pub hosts: BTreeMap<Ipv4Addr, Vec<String>>,
}
