//! The ports of `controller-backend` that belong to the host and to no engine, so that containers and virtual machines
//! share them: the packet filter, on nftables, the name server, and the ports where machines are published. Decides nothing about what should pass, or be found.

mod firewall;
mod host_ports;
mod names;
mod tools;

use std::net::SocketAddr;
use std::sync::Arc;

use controller_backend::{Firewall, HostPorts, Names};
use uuid::Uuid;

/// The packet filter of this host, for the networks of an installation.
#[must_use]
pub fn firewall(installation: Uuid) -> Arc<dyn Firewall> {
    Arc::new(firewall::Nftables::new(installation))
}

/// The ports of this host. What they keep is free when they are dropped.
#[must_use]
pub fn host_ports() -> Arc<dyn HostPorts> {
    Arc::new(host_ports::BoundPorts::default())
}

/// The name server of this host. What it serves ends when it is dropped.
#[must_use]
pub fn names() -> Arc<dyn Names> {
    Arc::new(names::NameServer::default())
}

/// The same, which asks these for names of the world in place of the host's own resolvers.
#[must_use]
pub fn names_with_resolvers(resolvers: Vec<SocketAddr>) -> Arc<dyn Names> {
    Arc::new(names::NameServer::with_resolvers(resolvers))
}
