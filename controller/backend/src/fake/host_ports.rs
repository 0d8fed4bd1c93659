//! Ports of the fake engine's host. What is kept is the process's own, as on a real host: it is gone with it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use uuid::Uuid;

use super::View;
use super::faults::Operation;
use crate::{Conflict, Error, HostPorts, Protocol, Publish};

type Held = BTreeMap<Uuid, BTreeSet<(Protocol, Publish)>>;

pub(super) struct FakePorts {
    view: View,
    held: Mutex<Held>,
}

impl FakePorts {
    pub(super) fn new(view: View) -> Self {
        Self { view, held: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HostPorts for FakePorts {
    fn hold(&self, owner: Uuid, ports: &BTreeSet<(Protocol, Publish)>) -> Result<(), Error> {
        self.view.perform(Operation::HoldPorts, |world, _| {
            let mut held = self.lock();
            let is_kept = |port: &(Protocol, Publish)| held.get(&owner).is_some_and(|kept| kept.contains(port));
            let of_others =
                |port: &(Protocol, Publish)| held.iter().any(|(other, kept)| *other != owner && kept.contains(port));
            for port in ports.iter().filter(|port| !is_kept(port)) {
                let (protocol, publish) = *port;
                if of_others(port) || world.is_port_taken(protocol, publish) {
                    let Publish { address, port } = publish;
                    return Err(Error::conflict(Conflict::PortTaken { address, port, protocol }));
                }
            }
            held.insert(owner, ports.clone());
            Ok(())
        })
    }

    fn held(&self, owner: Uuid) -> BTreeSet<(Protocol, Publish)> {
        self.lock().get(&owner).cloned().unwrap_or_default()
    }
}
