//! Decides what may pass, from the Vpcs, Instances, SecurityGroups and VpcPeerings as they are declared. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::sync::Arc;

use controller_backend::{
    Allowed, AllowedPeer, Group, GuardedNetwork, Member, Publish, PublishedPort, Rules, Traffic, port_name,
};
use crds::compute::instance::{BackendName, Instance, InstancePhase};
use crds::network::security_group::{EgressRule, IngressRule, RulePeer, RuleProtocol, SecurityGroup};
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use kube::ResourceExt;
use kube::core::{Selector, SelectorExt};
use uuid::Uuid;

use crate::claims::HostPort;
use crate::compute::instance::host_port_of;
use crate::network::vpc_peering::{Sides, sides};
use crate::runtime::uid_of;

/// What is declared.
pub(crate) struct Declared {
    pub(crate) vpcs: Vec<Arc<Vpc>>,
    pub(crate) instances: Vec<Arc<Instance>>,
    pub(crate) groups: Vec<Arc<SecurityGroup>>,
    pub(crate) peerings: Vec<Arc<VpcPeering>>,
    /// What runs an Instance that doesn't say.
    pub(crate) backend: BackendName,
}

/// The rules; `bridge` names the bridge of a Vpc.
pub(crate) fn rules(declared: &Declared, bridge: impl Fn(&Vpc) -> String) -> Rules {
    let mut rules = Rules::default();
    let mut places: BTreeMap<(String, String), Uuid> = BTreeMap::new();
    for vpc in &declared.vpcs {
        let gateway = vpc.status.as_ref().and_then(|status| status.gateway.as_deref()?.parse().ok());
        let Some(gateway) = gateway else { continue };
        let uid = uid_of(vpc.as_ref());
        places.insert((vpc.namespace().unwrap_or_default(), vpc.name_any()), uid);
        let network =
            GuardedNetwork { bridge: bridge(vpc), gateway, internal: vpc.spec.internal, members: BTreeMap::new() };
        rules.networks.insert(uid, network);
    }
    // By namespace, so that the groups of others need not be looked at.
    let mut groups: BTreeMap<String, Vec<(&SecurityGroup, Option<Selector>)>> = BTreeMap::new();
    for group in &declared.groups {
        let selector = Selector::try_from(group.spec.selector.clone()).ok();
        groups.entry(group.namespace().unwrap_or_default()).or_default().push((group.as_ref(), selector));
        rules.groups.insert(uid_of(group.as_ref()), policy(group, &declared.groups));
    }
    for instance in &declared.instances {
        let namespace = instance.namespace().unwrap_or_default();
        let Some(address) = address(instance) else { continue };
        let place = (namespace, instance.vpc().to_owned());
        let network = places.get(&place).and_then(|uid| rules.networks.get_mut(uid));
        let Some(network) = network else { continue };
        let (namespace, vpc) = place;
        let of_instance: BTreeSet<Uuid> = groups
            .get(&namespace)
            .into_iter()
            .flatten()
            .filter(|(group, _)| group.spec.vpc == vpc)
            .filter(|(_, selector)| selector.as_ref().is_some_and(|selector| selector.matches(instance.labels())))
            .map(|(group, _)| uid_of(*group))
            .collect();
        for uid in &of_instance {
            if let Some(group) = rules.groups.get_mut(uid) {
                group.members.insert(address);
            }
        }
        let is_virtual = instance.backend(declared.backend) == BackendName::Libvirt;
        let member = Member {
            groups: of_instance,
            port: is_virtual.then(|| port_name(address)),
            published: published(instance),
            is_forwarded: is_virtual && runs(instance),
        };
        network.members.insert(address, member);
    }
    for peering in &declared.peerings {
        if let Sides::Open(one, other) = sides(peering, &declared.vpcs, &declared.peerings) {
            rules.peers.insert((one.min(other), one.max(other)));
        }
    }
    rules
}

/// The address that an Instance was given.
pub(crate) fn address(instance: &Instance) -> Option<Ipv4Addr> {
    instance.status.as_ref()?.ip.as_deref()?.parse().ok()
}

/// Whether it ran when it was last looked at: where nothing runs, nothing is published.
fn runs(instance: &Instance) -> bool {
    let phase = instance.status.as_ref().and_then(|status| status.phase);
    matches!(phase, Some(InstancePhase::Running | InstancePhase::Paused))
}

/// What an Instance publishes, as its status tells it.
fn published(instance: &Instance) -> BTreeSet<PublishedPort> {
    let ports = instance.status.iter().flat_map(|status| &status.ports);
    let ports = ports.filter_map(|port| {
        let HostPort { address, port: at, protocol } = host_port_of(port)?;
        Some(PublishedPort { port: u16::try_from(port.port).ok()?, protocol, publish: Publish { address, port: at } })
    });
    ports.collect()
}

/// A group's rules, without its members yet.
pub(crate) fn policy(group: &SecurityGroup, groups: &[Arc<SecurityGroup>]) -> Group {
    let named = |name: &str| {
        let namespace = group.namespace();
        groups.iter().find(|other| other.namespace() == namespace && other.name_any() == name)
    };
    // A rule whose other side isn't there lets nothing pass.
    let peer = |peer: &Option<RulePeer>| match peer {
        None => Some(AllowedPeer::Anyone),
        Some(RulePeer { cidr: Some(cidr), .. }) => cidr.parse().ok().map(AllowedPeer::Range),
        Some(RulePeer { security_group: Some(name), .. }) => {
            named(name).map(|group| AllowedPeer::Group(uid_of(group.as_ref())))
        }
        Some(_) => None,
    };
    let ingress = group.spec.ingress.iter().filter_map(|rule| {
        let IngressRule { protocol, port, end_port, from } = rule;
        Some(Allowed { traffic: traffic(*protocol, *port, *end_port)?, peer: peer(from)? })
    });
    let egress = group.spec.egress.iter().map(|rule| {
        let EgressRule { protocol, port, end_port, to } = rule;
        Some(Allowed { traffic: traffic(*protocol, *port, *end_port)?, peer: peer(to)? })
    });
    let mut egress: Vec<Option<Allowed>> = egress.collect();
    // As long as the group lists anything, what it doesn't list is refused, also when the other side isn't there.
    if !egress.is_empty() && egress.iter().all(Option::is_none) {
        egress.push(Some(NOTHING));
    }
    Group { members: BTreeSet::new(), ingress: ingress.collect(), egress: egress.into_iter().flatten().collect() }
}

/// No packet is like that: it stands for a list of rules of which none can hold.
const NOTHING: Allowed = Allowed { traffic: Traffic::Tcp(0, 0), peer: AllowedPeer::Anyone };

/// `None` if it can't be.
fn traffic(protocol: Option<RuleProtocol>, port: Option<i32>, end_port: Option<i32>) -> Option<Traffic> {
    let (first, last) = match (port, end_port) {
        (None, None) => (1, u16::MAX),
        (Some(port), end) => (u16::try_from(port).ok()?, u16::try_from(end.unwrap_or(port)).ok()?),
        (None, Some(_)) => return None,
    };
    Some(match protocol {
        Some(RuleProtocol::Tcp) => Traffic::Tcp(first, last),
        Some(RuleProtocol::Udp) => Traffic::Udp(first, last),
        Some(RuleProtocol::Icmp) => Traffic::Icmp,
        None if port.is_some() => return None,
        None => Traffic::Any,
    })
}
