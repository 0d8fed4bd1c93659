//! Names and places in networks at the fake engine, as they are taken away by hand and given back.

use super::world::World;
use crate::{Attachment, Conflict, Error, Happening, MachineId, MachineState, NetworkAttachment};

impl World {
    /// Gives a machine another name, which must be free.
    pub(super) fn rename(&mut self, id: &MachineId, name: &str) -> Result<(), Error> {
        if self.machine_names.contains_key(name) {
            return Err(Error::conflict(Conflict::NameTaken { name: name.to_owned() }));
        }
        let Some(fake) = self.machines.get_mut(id) else { return Ok(()) };
        let old = std::mem::replace(&mut fake.machine.name, name.to_owned());
        let owner = fake.machine.owner.clone();
        self.machine_names.remove(&old);
        self.machine_names.insert(name.to_owned(), id.clone());
        self.tell(owner, Happening::Renamed);
        Ok(())
    }

    /// Takes a machine out of its network.
    pub(super) fn leave(&mut self, id: &MachineId) {
        let Some(fake) = self.machines.get_mut(id) else { return };
        let Some(attachment) = fake.machine.attachment.take() else { return };
        let owner = fake.machine.owner.clone();
        let place = (attachment.network, attachment.address);
        if self.addresses.get(&place) == Some(id) {
            self.addresses.remove(&place);
        }
        self.tell(owner, Happening::Rewired);
    }

    /// Puts a machine into a network.
    pub(super) fn join(&mut self, id: &MachineId, network: &NetworkAttachment) -> Result<(), Error> {
        let attachment = Attachment { network: network.network, address: network.address };
        if !self.networks.contains_key(&attachment.network) {
            return Err(Error::not_found(format!("network of `{}`", attachment.network)));
        }
        let place = (attachment.network, attachment.address);
        let Some(fake) = self.machines.get_mut(id) else { return Ok(()) };
        if matches!(fake.machine.state, MachineState::Running | MachineState::Paused) {
            if self.addresses.contains_key(&place) {
                return Err(Error::conflict(Conflict::AddressTaken { address: attachment.address }));
            }
            self.addresses.insert(place, id.clone());
        }
        fake.machine.attachment = Some(attachment);
        let owner = fake.machine.owner.clone();
        self.tell(owner, Happening::Rewired);
        Ok(())
    }

    /// Takes a machine its name and its place in its network.
    pub(super) fn lead_astray(&mut self, id: &MachineId) {
        let name = self.machines.get(id).map(|fake| format!("{}-astray", fake.machine.name));
        // One that bears that name already goes by it.
        let _ = name.map(|name| self.rename(id, &name));
        self.leave(id);
    }
}
