//! Decides an Instance's address and published ports. Each Instance has a favourite, made from its name, and takes
//! the next free one after that: two that are made at the same moment rarely meet, and one that is made again gets
//! what it had. What it has, it keeps. Pure.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::ops::RangeInclusive;

use controller_backend::Protocol as HostProtocol;
use crds::compute::instance::{Instance, Port, PortStatus, Protocol};
use ipnet::Ipv4Net;
use kube::ResourceExt;
use sha2::{Digest, Sha256};

use super::HostPorts;
use crate::claims::HostPort;
use crate::runtime::Waiting;

/// Where the host answers for names, at its address in every Vpc.
const NAME_SERVER: u16 = 53;

/// What may be chosen from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Supply {
    /// Addresses that others have.
    pub(crate) addresses: BTreeSet<Ipv4Addr>,
    /// Ports that other Instances have, and who has them, where this user may know.
    pub(crate) ports: Vec<(HostPort, Option<String>)>,
    /// Ports that the host refused lately.
    pub(crate) refused: HostPorts,
    /// The ports that the server picks from.
    pub(crate) range: RangeInclusive<u16>,
    /// Where ports are published that don't say.
    pub(crate) publish_address: IpAddr,
    /// The ranges of all Vpcs, where this Instance says on which address it publishes.
    pub(crate) networks: Vec<Ipv4Net>,
}

/// Whether its status has all that it is to have in this network. As nobody else has any of that, there is nothing to
/// choose, and `supply` needn't tell of others.
pub(super) fn has_all(instance: &Instance, network: (Ipv4Net, Ipv4Addr), supply: &Supply) -> bool {
    let Some(status) = &instance.status else { return false };
    let (cidr, gateway) = network;
    let has_address = || address(instance, cidr, gateway, supply).ok().map(|ip| ip.to_string()) == status.ip;
    let has_ports = || ports(instance, supply).is_ok_and(|(ports, _)| ports == status.ports);
    has_address() && has_ports()
}

/// The address in this network: the one it has, or a free one.
pub(super) fn address(
    instance: &Instance,
    cidr: Ipv4Net,
    gateway: Ipv4Addr,
    supply: &Supply,
) -> Result<Ipv4Addr, Waiting> {
    let kept = instance.status.as_ref().and_then(|status| status.ip.as_deref()?.parse().ok());
    if let Some(kept) = kept
        && cidr.contains(&kept)
        && kept != gateway
    {
        return Ok(kept);
    }
    // Neither the network's own address nor the broadcast one.
    let count = (1_u32 << (32 - u32::from(cidr.prefix_len()))).saturating_sub(2);
    let first = u32::from(cidr.network()) + 1;
    let favourite = favourite(instance, "address");
    (0..count)
        .map(|turn| Ipv4Addr::from(first + (favourite % count + turn) % count))
        .find(|address| *address != gateway && !supply.addresses.contains(address))
        .ok_or_else(|| Waiting::on_user("AddressesExhausted", format!("No address is free in {cidr}.")))
}

/// The ports as the status tells them, and what is published.
pub(super) fn ports(instance: &Instance, supply: &Supply) -> Result<(Vec<PortStatus>, Vec<HostPort>), Waiting> {
    let mut statuses = Vec::new();
    let mut published = Vec::new();
    for port in &instance.spec.ports {
        let chosen = match &port.publish {
            Some(_) => Some(host_port(instance, port, &published, supply)?),
            None => None,
        };
        published.extend(chosen);
        statuses.push(PortStatus {
            name: port.name.clone(),
            port: port.port,
            protocol: port.protocol,
            address: chosen.map(|chosen| chosen.address.to_string()),
            published_port: chosen.map(|chosen| i32::from(chosen.port)),
        });
    }
    Ok((statuses, published))
}

/// Where one port is published.
fn host_port(instance: &Instance, port: &Port, own: &[HostPort], supply: &Supply) -> Result<HostPort, Waiting> {
    let publish = port.publish.clone().unwrap_or_default();
    let address = match &publish.address {
        Some(text) => {
            text.parse().map_err(|_| Waiting::on_user("Invalid", format!("`{text}` is not an address of the host.")))?
        }
        None => supply.publish_address,
    };
    // The host has an address there too, at which the machines of a Vpc ask for names.
    if let IpAddr::V4(in_network) = address
        && supply.networks.iter().any(|range| range.contains(&in_network))
    {
        let message = format!("{address} is in the range of a Vpc: publish on another address of the host.");
        return Err(Waiting::on_user("Invalid", message));
    }
    let protocol = protocol(port.protocol);
    let holder = |wanted: &HostPort| supply.ports.iter().find(|(taken, _)| taken.collides(wanted));
    if let Some(number) = publish.port {
        let number = u16::try_from(number)
            .map_err(|_| Waiting::on_user("Invalid", format!("{number} is not a port of the host.")))?;
        let wanted = HostPort { port: number, protocol, address };
        if number == NAME_SERVER && address.is_unspecified() {
            let message = format!(
                "{protocol} port {wanted} is taken by the name servers of Vpcs: publish it on one address of the host."
            );
            return Err(Waiting::on_user("PortTaken", message));
        }
        return match holder(&wanted) {
            Some((_, who)) => {
                let by = who.as_ref().map_or("another Instance".to_owned(), |name| format!("Instance `{name}`"));
                Err(Waiting::on_user("PortTaken", format!("{protocol} port {wanted} is taken by {by}.")))
            }
            None => Ok(wanted),
        };
    }
    let free = |wanted: &HostPort| {
        holder(wanted).is_none()
            && !own.iter().any(|other| other.collides(wanted))
            && !supply.refused.iter().any(|refused| refused.collides(wanted))
    };
    if let Some(kept) = kept(instance, port, address)
        && free(&kept)
    {
        return Ok(kept);
    }
    let (first, last) = (*supply.range.start(), *supply.range.end());
    let count = u32::from(last.saturating_sub(first)) + 1;
    let favourite = favourite(instance, &format!("{}/{protocol}", port.port));
    (0..count)
        .filter_map(|turn| u16::try_from(u32::from(first) + (favourite % count + turn) % count).ok())
        .map(|port| HostPort { port, protocol, address })
        .find(free)
        .ok_or_else(|| {
            Waiting::on_user("PortsExhausted", format!("No port from {first} to {last} is free on {address}."))
        })
}

/// What the status says that this port has.
fn kept(instance: &Instance, port: &Port, address: IpAddr) -> Option<HostPort> {
    let known = instance.status.as_ref()?.ports.iter();
    let known = known.filter(|known| known.port == port.port && known.protocol == port.protocol);
    known.filter_map(host_port_of).find(|known| known.address == address)
}

/// Where a port is published, as a status tells it.
pub(crate) fn host_port_of(status: &PortStatus) -> Option<HostPort> {
    Some(HostPort {
        port: u16::try_from(status.published_port?).ok()?,
        protocol: protocol(status.protocol),
        address: status.address.as_deref()?.parse().ok()?,
    })
}

pub(super) fn protocol(protocol: Protocol) -> HostProtocol {
    match protocol {
        Protocol::Tcp => HostProtocol::Tcp,
        Protocol::Udp => HostProtocol::Udp,
    }
}

/// A number that an Instance's name always leads to.
fn favourite(instance: &Instance, of: &str) -> u32 {
    let namespace = instance.namespace().unwrap_or_default();
    let digest = Sha256::digest(format!("{namespace}/{}/{of}", instance.name_any()));
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}
