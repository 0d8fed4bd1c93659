//! The card by which a machine is in its network: what it is plugged into, and how it is put back where somebody took it
//! out by hand.

use controller_backend::{Attachment, Conflict, Error, MachineId, NetworkAttachment};
use virt_sys as sys;

use super::LibvirtMachines;
use crate::domain_xml::{self, Wire};
use crate::engine::{CallError, Owned, all_owned};
use crate::remount::elements;
use crate::seed::Place;

impl LibvirtMachines {
    /// What the card of a machine is plugged into, and its place there.
    pub(super) async fn network(&self, attachment: &NetworkAttachment) -> Result<(Wire, Place), Error> {
        let found = self.host.networks.find(attachment.network).await?;
        let network = found.ok_or_else(|| Error::not_found(format!("network of `{}`", attachment.network)))?;
        let address = attachment.address;
        if !network.cidr.contains(&address) || network.gateway == address {
            return Err(Error::invalid(format!("address {address} is not one of {}", network.cidr)));
        }
        let mac = attachment.mac.clone().unwrap_or_else(|| controller_backend::mac_of(address));
        let place = Place { address, range: network.cidr, gateway: network.gateway };
        Ok((Wire { bridge: network.bridge, mac, port: controller_backend::port_name(address) }, place))
    }

    /// The running machines of this installation that have this address.
    pub(super) async fn has_address(&self, wanted: Attachment, besides: &MachineId) -> Result<bool, Error> {
        let (installation, besides) = (self.engine.installation(), besides.clone());
        self.engine
            .call("libvirt", "look who has the address", move |connection| {
                for owned in all_owned(connection, installation)? {
                    if owned.marks.attachment == Some(wanted)
                        && crate::marks::id(&owned.domain)? != besides
                        && owned.domain.is_active()?
                    {
                        return Ok(true);
                    }
                }
                Ok(false)
            })
            .await
    }

    /// Puts the card into the machine, for its next start and, if it runs, now.
    pub(super) async fn plug_in(&self, id: &MachineId, attachment: &NetworkAttachment) -> Result<(), Error> {
        let (wire, _) = self.network(attachment).await?;
        let place = Attachment { network: attachment.network, address: attachment.address };
        if self.has_address(place, id).await? {
            return Err(Error::conflict(Conflict::AddressTaken { address: place.address }));
        }
        let plug = move |owned: &Owned| {
            let (domain, card) = (&owned.domain, domain_xml::card(&wire));
            let known = |flags| -> Result<Option<String>, CallError> {
                Ok(find(&domain.get_xml_desc(flags)?, &wire.port).map(str::to_owned))
            };
            if known(sys::VIR_DOMAIN_XML_INACTIVE)?.is_none() {
                domain.attach_device_flags(&card, sys::VIR_DOMAIN_AFFECT_CONFIG)?;
            }
            if !domain.is_active()? || known(0)?.is_some() {
                return Ok(());
            }
            // Where the guest knows it, unless something else has been plugged in there since.
            let defined = known(sys::VIR_DOMAIN_XML_INACTIVE)?.unwrap_or_else(|| card.clone());
            let plugged = domain.attach_device_flags(&defined, sys::VIR_DOMAIN_AFFECT_LIVE);
            match plugged.or_else(|_| domain.attach_device_flags(&card, sys::VIR_DOMAIN_AFFECT_LIVE)) {
                // It ended at this very moment, and has it at its next start.
                Err(_) if !domain.is_active()? => Ok(()),
                outcome => Ok(outcome.map(drop)?),
            }
        };
        self.engine.on_machine(id, "put a card into", plug).await
    }
}

/// The card with this port in a definition.
pub(super) fn find<'a>(xml: &'a str, port: &str) -> Option<&'a str> {
    let target = format!("<target dev='{port}'");
    elements(xml, "interface").into_iter().map(|range| &xml[range]).find(|card| card.contains(&target))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_card_is_known_by_its_port() {
        let xml = "<devices><interface type='bridge'>\n  <target dev='tc1'/></interface><interface type='user'>\n  \
                   <target dev='tc12'/></interface></devices>";
        assert!(find(xml, "tc12").is_some_and(|card| card.contains("type='user'")));
        assert_eq!(find(xml, "tc2"), None);
    }
}
