//! The port for isolated networks. Which range is free is the controller's decision; this tells what is occupied.

use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, Owner};

/// Makes and removes networks of one installation.
///
/// # Guarantees
/// - Only what bears the installation's mark is seen or touched, except by `occupied_ranges`, which looks at all.
/// - One owner has at most one network, however often `ensure` is repeated or cut off.
#[async_trait]
pub trait Networks: Send + Sync {
    /// All networks of the installation, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<Network>, Error>;

    /// The network of one owner.
    async fn find(&self, owner: Uuid) -> Result<Option<Network>, Error>;

    /// Makes the network unless it exists.
    ///
    /// # Errors
    /// `Conflict`: `RangeTaken` on an overlap with another network, `Different` if it exists with another range,
    /// gateway, bridge or way out, `NameTaken` if somebody else's bridge has the name.
    async fn ensure(&self, spec: &NetworkSpec) -> Result<Network, Error>;

    /// Removes the network of one owner; `Ok` if there is none.
    ///
    /// # Errors
    /// `Conflict` (`InUse`) names the running machines in it.
    async fn remove(&self, owner: Uuid) -> Result<(), Error>;

    /// Every range that a route of the host or any network of the engine uses, ours included, and the addresses where the
    /// host asks for names; sorted by range.
    async fn occupied_ranges(&self) -> Result<Vec<OccupiedRange>, Error>;
}

/// What a network should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NetworkSpec {
    /// The marks.
    pub owner: Owner,
    /// The range of addresses.
    pub cidr: Ipv4Net,
    /// The host's own address in it.
    pub gateway: Ipv4Addr,
    /// Whether there is no way out.
    pub internal: bool,
    /// The bridge's name on the host, from [`bridge_name`](crate::bridge_name).
    pub bridge: String,
}

/// A network as it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Network {
    /// The engine's id.
    pub id: String,
    /// The marks.
    pub owner: Owner,
    /// The range of addresses.
    pub cidr: Ipv4Net,
    /// The host's own address in it.
    pub gateway: Ipv4Addr,
    /// Whether there is no way out.
    pub internal: bool,
    /// The bridge's name on the host.
    pub bridge: String,
}

impl Network {
    /// In which field it is not as `spec` wants it, if in any.
    pub fn difference(&self, spec: &NetworkSpec) -> Option<&'static str> {
        if self.cidr != spec.cidr {
            Some("range")
        } else if self.gateway != spec.gateway {
            Some("gateway")
        } else if self.internal != spec.internal {
            Some("way out")
        } else if self.bridge != spec.bridge {
            Some("bridge")
        } else {
            None
        }
    }
}

/// A range of addresses that something on the host uses.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct OccupiedRange {
    /// The range.
    pub cidr: Ipv4Net,
    /// The uid of the owner where it is a network of this installation.
    pub owner: Option<Uuid>,
}
