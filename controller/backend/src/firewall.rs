//! The port for the packet filter. Which packets may pass is the controller's decision; this puts it in force.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use async_trait::async_trait;
use ipnet::Ipv4Net;
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, PublishedPort};

/// Filters what passes between the machines of one installation, the host and the world.
///
/// # Guarantees
/// - Rules take the place of the ones before in one step: no packet ever meets half of them.
/// - A connection that is no longer allowed is cut: it need not end first.
/// - They stay in force when the process ends, and when the engine is restarted.
/// - What no network of the rules has to do with is left alone.
///
/// What the rules mean is said at [`Rules`]; that machines keep to it is what `conformance` checks, by traffic.
#[async_trait]
pub trait Firewall: Send + Sync {
    /// Whether exactly these rules are in force.
    async fn holds(&self, rules: &Rules) -> Result<bool, Error>;

    /// Puts these rules in force in the place of all that were.
    ///
    /// # Errors
    /// `Invalid` if the host lacks what it takes; the message says what.
    async fn apply(&self, rules: &Rules) -> Result<(), Error>;
}

/// All that may pass.
///
/// - A machine sends from the hardware address and the address that it was given, or not at all.
/// - Inside a network everything passes, unless a group says otherwise.
/// - Between two networks nothing passes, unless they are peers. Out of one that isn't internal everything does, and
///   nothing that a machine of an internal one begins.
/// - From outside, only what a machine publishes is reached, where it is published. Other machines reach it there too,
///   unless that is the host's loopback address or their own network is internal. What a machine that is forwarded to
///   publishes, the host reaches there too.
/// - A machine reaches nothing on the host itself but its network's own name server, and may ping the gateway.
/// - A machine that is in groups is reached only as one of them allows. What it may reach is bounded too as soon as one
///   of them says anything about that.
/// - The answers to what was allowed always pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// The networks, by owner's uid.
    pub networks: BTreeMap<Uuid, GuardedNetwork>,
    /// Pairs of networks that are open to each other, the smaller uid first.
    pub peers: BTreeSet<(Uuid, Uuid)>,
    /// The groups that machines are in and that rules name, by owner's uid.
    pub groups: BTreeMap<Uuid, Group>,
}

/// A network and who is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GuardedNetwork {
    /// The bridge's name on the host.
    pub bridge: String,
    /// The host's own address in it.
    pub gateway: Ipv4Addr,
    /// Whether there is no way out.
    pub internal: bool,
    /// The machines that have an address.
    pub members: BTreeMap<Ipv4Addr, Member>,
}

/// A machine in a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Member {
    /// The groups that it is in.
    pub groups: BTreeSet<Uuid>,
    /// The port of the bridge that is its own, where its engine names it so: it sends from there, and as itself, whatever
    /// it has become inside. `None` for what can neither send packets of its own making nor change its addresses.
    pub port: Option<String>,
    /// What it publishes.
    pub published: BTreeSet<PublishedPort>,
    /// Whether what comes there from the world and from the host is taken to the machine by the filter, because its engine
    /// doesn't do it.
    pub is_forwarded: bool,
}

/// What may reach the machines of a group, and what these may reach.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The addresses of the machines in it.
    pub members: BTreeSet<Ipv4Addr>,
    /// What may reach them.
    pub ingress: Vec<Allowed>,
    /// What they may reach; everything when empty.
    pub egress: Vec<Allowed>,
}

/// Something that may pass.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Allowed {
    /// Which traffic.
    pub traffic: Traffic,
    /// From or to whom.
    pub peer: AllowedPeer,
}

/// Some of the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Traffic {
    /// All of it.
    Any,
    /// TCP to the ports from the first to the last.
    Tcp(u16, u16),
    /// UDP to the ports from the first to the last.
    Udp(u16, u16),
    /// ICMP.
    Icmp,
}

/// The other side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum AllowedPeer {
    /// Anybody.
    Anyone,
    /// Whoever has an address in the range.
    Range(Ipv4Net),
    /// The machines of a group.
    Group(Uuid),
}

impl Rules {
    /// Whether a machine with this address in this network may send anything.
    pub fn admits(&self, network: Uuid, address: Ipv4Addr) -> bool {
        self.networks.get(&network).is_some_and(|network| network.members.contains_key(&address))
    }
}

/// The name of the port by which the machine with this address joins its bridge, where its engine lets us name it.
pub fn port_name(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("tcv{a:02x}{b:02x}{c:02x}{d:02x}")
}

/// The hardware address of the machine with this address, where nobody chose another: each engine gives it this one.
pub fn mac_of(address: Ipv4Addr) -> String {
    let [a, b, c, d] = address.octets();
    format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}")
}
