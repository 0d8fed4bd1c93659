//! The ports of `controller-backend` that belong to the host and to no engine, so that containers and virtual machines
//! share them: the packet filter, on nftables. Decides nothing about what should pass.

mod firewall;
mod tools;

use std::sync::Arc;

use controller_backend::Firewall;
use uuid::Uuid;

/// The packet filter of this host, for the networks of an installation.
#[must_use]
pub fn firewall(installation: Uuid) -> Arc<dyn Firewall> {
    Arc::new(firewall::Nftables::new(installation))
}
