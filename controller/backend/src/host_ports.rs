//! The port for ports of the host. Which machine publishes where is the controller's decision; this keeps others away.

use std::collections::BTreeSet;

use uuid::Uuid;

use crate::{Error, Protocol, Publish};

/// Keeps ports of the host for machines whose engine keeps none: what comes there is taken to the machine by the packet
/// filter ([`Member::is_forwarded`](crate::Member::is_forwarded)), and nobody listens who could be in another's way.
///
/// # Guarantees
/// - What one owner has, no other gets, nor any process of the host that asks in earnest.
/// - All of it is free when the process ends.
pub trait HostPorts: Send + Sync {
    /// Keeps exactly these for an owner, in place of what it had.
    ///
    /// # Errors
    /// `Conflict` (`PortTaken`) names one that somebody else has; the owner keeps what it had. `Invalid` if the address is
    /// not one of the host, or one that nothing can be forwarded from.
    fn hold(&self, owner: Uuid, ports: &BTreeSet<(Protocol, Publish)>) -> Result<(), Error>;

    /// What is kept for an owner.
    fn held(&self, owner: Uuid) -> BTreeSet<(Protocol, Publish)>;
}
