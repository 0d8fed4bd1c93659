//! Words the rules as a script for `nft`, which carries it out in one transaction. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use controller_backend::{Allowed, AllowedPeer, Group, Member, Protocol, PublishedPort, Rules, Traffic, mac_of};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Where the clouds that hosts run in tell them their secrets. Only names may be asked for there: a host's resolver may be
/// the same address.
const LINK_LOCAL: &str = "169.254.0.0/16";

/// What is asked of the host.
pub(super) struct Script {
    /// The table's name, one an installation.
    pub(super) table: String,
    /// For `nft -f`.
    pub(super) text: String,
    /// A word in the table by which its content is known.
    pub(super) mark_of_content: String,
    /// What packets bear that Docker would drop between its networks and should let pass.
    pub(super) packet_mark: String,
    /// Whether there is a table of that name for bridges, too.
    pub(super) pins_ports: bool,
    /// Whether any packet bears it.
    pub(super) marks_packets: bool,
    /// The bridges that the host reaches from its loopback address.
    pub(super) from_loopback: BTreeSet<String>,
}

impl Script {
    pub(super) fn of(installation: Uuid, rules: &Rules) -> Script {
        let digits = installation.simple().to_string();
        let table = format!("thecloud_{}", &digits[..8]);
        let packet_mark = format!("0x7c{}", &digits[..6]);
        // Whatever was there goes, and the first line makes sure that there is something.
        let mut text = format!("add table inet {table}\ndelete table inet {table}\n");
        let ports = ports(rules);
        let pins_ports = !ports.is_empty();
        let mut mark_of_content = String::new();
        if !rules.networks.is_empty() {
            let content = content(rules, &packet_mark);
            let digest = Sha256::digest(format!("{content}{ports}"));
            mark_of_content = "content_".to_owned();
            for byte in digest.iter().take(12) {
                let _ = write!(mark_of_content, "{byte:02x}");
            }
            let _ = write!(text, "table inet {table} {{\nchain {mark_of_content} {{ }}\n{content}}}\n");
        }
        if pins_ports {
            text.push_str(&format!("add table bridge {table}\ndelete table bridge {table}\n"));
            let _ = write!(text, "table bridge {table} {{\nchain {mark_of_content} {{ }}\n{ports}}}\n");
        }
        // Between the networks of one installation something may pass as soon as there are two: what is published.
        let forwards = rules.networks.values().any(|network| network.members.values().any(is_forwarded));
        let marks_packets = rules.networks.len() > 1 || forwards;
        let from_loopback = from_loopback(rules);
        Script { table, text, mark_of_content, packet_mark, pins_ports, marks_packets, from_loopback }
    }
}

/// What machines may send that can send anything, judged where it enters the bridge: before anybody learns from it who is
/// where. Empty if there are none.
fn ports(rules: &Rules) -> String {
    let members = || rules.networks.values().flat_map(|network| &network.members);
    let ports: Vec<(&str, Ipv4Addr)> =
        members().filter_map(|(at, member)| Some((member.port.as_deref()?, *at))).collect();
    let mut text = String::new();
    if ports.is_empty() {
        return text;
    }
    let own = ports.iter().map(|(port, at)| format!("\"{port}\" . {} . {at}", mac_of(*at)));
    // Who asks whether an address is free has none yet.
    let unnamed = ports.iter().map(|(port, at)| format!("\"{port}\" . {} . 0.0.0.0", mac_of(*at)));
    set(&mut text, "ports", "ifname", ports.iter().map(|(port, _)| format!("\"{port}\"")));
    set(&mut text, "pins", "ifname . ether_addr . ipv4_addr", own.clone());
    set(&mut text, "claims", "ifname . ether_addr . ipv4_addr", own.chain(unnamed));
    text.push_str(
        "chain entering {
type filter hook prerouting priority -300; policy accept;
iifname @ports jump from_machine
}
chain from_machine {
ether type ip iifname . ether saddr . ip saddr @pins accept
ether type arp iifname . ether saddr . arp saddr ip @claims iifname . arp saddr ether . arp saddr ip @claims accept
drop
}
",
    );
    text
}

/// Whether anything is taken to the machine by the filter.
fn is_forwarded(member: &Member) -> bool {
    member.is_forwarded && !member.published.is_empty()
}

fn from_loopback(rules: &Rules) -> BTreeSet<String> {
    let reached = |member: &Member| {
        is_forwarded(member)
            && member.published.iter().any(|port| {
                let address = port.publish.address;
                address.is_ipv4() && (address.is_loopback() || address.is_unspecified())
            })
    };
    let networks = rules.networks.values().filter(|network| network.members.values().any(reached));
    networks.map(|network| network.bridge.clone()).collect()
}

fn content(rules: &Rules, packet_mark: &str) -> String {
    let mut text = String::new();
    let networks = rules.networks.values();
    let bridge = |uid: &Uuid| rules.networks.get(uid).map(|network| network.bridge.as_str());
    let each_member = || networks.clone().flat_map(|network| network.members.keys().map(move |at| (network, *at)));
    let of_links = |pair: (&str, &str)| format!("\"{}\" . \"{}\"", pair.0, pair.1);

    set(&mut text, "bridges", "ifname", networks.clone().map(|network| format!("\"{}\"", network.bridge)));
    let internal = networks.clone().filter(|network| network.internal);
    set(&mut text, "internal", "ifname", internal.map(|network| format!("\"{}\"", network.bridge)));
    let gateways = networks.clone().map(|network| format!("\"{}\" . {}", network.bridge, network.gateway));
    set(&mut text, "gateways", "ifname . ipv4_addr", gateways);
    let pins = each_member().map(|(network, at)| format!("\"{}\" . {} . {at}", network.bridge, mac_of(at)));
    set(&mut text, "pins", "ifname . ether_addr . ipv4_addr", pins);
    let places = each_member().map(|(network, at)| format!("\"{}\" . {at}", network.bridge));
    set(&mut text, "places", "ifname . ipv4_addr", places);
    let forwarded = networks.clone().flat_map(|network| {
        let members = network.members.iter().filter(|(_, member)| is_forwarded(member));
        members.map(|(at, _)| format!("\"{}\" . {at}", network.bridge))
    });
    set(&mut text, "forwarded", "ifname . ipv4_addr", forwarded);
    let peers: Vec<(&str, &str)> = rules
        .peers
        .iter()
        .filter_map(|(one, other)| Some((bridge(one)?, bridge(other)?)))
        .flat_map(|(one, other)| [(one, other), (other, one)])
        .collect();
    set(&mut text, "peers", "ifname . ifname", peers.iter().copied().map(of_links));
    let inside = networks.clone().map(|network| (network.bridge.as_str(), network.bridge.as_str()));
    set(&mut text, "links", "ifname . ifname", inside.chain(peers.iter().copied()).map(of_links));
    for (uid, group) in &rules.groups {
        set(&mut text, &group_name(*uid), "ipv4_addr", group.members.iter().map(Ipv4Addr::to_string));
    }
    policies(&mut text, rules);
    publications(&mut text, rules);

    // The order of the hooks is: who sends, who receives, so that what one lets pass is still judged by the other, then Docker's
    // own, which drops between its networks what bears no mark. Only what is
    // sent to an address of the host is taken to who publishes there: whatever else a machine says that it publishes, nobody
    // else's packets go to it. Nor do questions for names.
    let _ = write!(
        text,
        "chain input {{
type filter hook input priority -10; policy accept;
iifname @bridges jump to_host
}}
chain to_host {{
meta nfproto ipv6 drop
iifname . ether saddr . ip saddr != @pins drop
ct direction reply accept
ct state related accept
iifname . ip daddr @gateways meta l4proto {{ tcp, udp }} th dport 53 accept
iifname . ip daddr @gateways icmp type echo-request accept
drop
}}
chain sending {{
type filter hook forward priority -11; policy accept;
iifname @bridges jump leaving
}}
chain receiving {{
type filter hook forward priority -10; policy accept;
oifname @bridges jump arriving
}}
chain leaving {{
meta nfproto ipv6 drop
iifname . ether saddr . ip saddr != @pins drop
iifname . oifname @peers meta mark set {packet_mark}
iifname . oifname @links goto sent
iifname @internal jump answering
oifname @bridges ct status dnat meta mark set {packet_mark} goto sent
oifname @bridges drop
ip daddr {LINK_LOCAL} meta l4proto {{ tcp, udp }} th dport 53 goto sent
ip daddr {LINK_LOCAL} drop
goto sent
}}
chain answering {{
ct direction reply return
ct state related return
drop
}}
chain sent {{
ct direction reply return
ct state related return
ip saddr vmap @senders
}}
chain arriving {{
meta nfproto ipv6 drop
oifname . ip daddr != @places drop
iifname @bridges goto received
ct direction reply return
ct state related return
oifname . ip daddr @forwarded ct status dnat meta mark set {packet_mark}
ct status dnat goto received
drop
}}
chain received {{
ct direction reply return
ct state related return
ip daddr vmap @receivers
}}
chain published {{
type nat hook prerouting priority -101; policy accept;
fib daddr type != local return
iifname . ip daddr @gateways meta l4proto {{ tcp, udp }} th dport 53 return
iifname @bridges dnat ip addr . port to ip daddr . tcp dport map @tcp_at
iifname @bridges dnat ip addr . port to tcp dport map @tcp_anywhere
iifname @bridges dnat ip addr . port to ip daddr . udp dport map @udp_at
iifname @bridges dnat ip addr . port to udp dport map @udp_anywhere
iifname != @bridges ip daddr != 127.0.0.0/8 jump forwarded_to
}}
chain published_to_host {{
type nat hook output priority -101; policy accept;
fib daddr type != local return
jump forwarded_to
}}
chain forwarded_to {{
dnat ip addr . port to ip daddr . tcp dport map @forwarded_tcp_at
dnat ip addr . port to tcp dport map @forwarded_tcp_anywhere
dnat ip addr . port to ip daddr . udp dport map @forwarded_udp_at
dnat ip addr . port to udp dport map @forwarded_udp_anywhere
}}
chain keep_addresses {{
type nat hook postrouting priority 99; policy accept;
iifname . oifname @peers snat ip to ip saddr
oifname . ip daddr @forwarded ct status dnat fib saddr type local masquerade
}}
"
    );
    text
}

/// A chain for each group, one for each combination of groups that some machine is in, which asks each of them, and who
/// goes through which. A group's rules are there once, however many combinations it is in.
fn policies(text: &mut String, rules: &Rules) {
    let members = rules.networks.values().flat_map(|network| &network.members);
    let members = members.filter(|(_, member)| !member.groups.is_empty());
    let mut combinations: BTreeMap<&BTreeSet<Uuid>, Vec<Ipv4Addr>> = BTreeMap::new();
    for (address, member) in members {
        combinations.entry(&member.groups).or_default().push(*address);
    }
    let used: BTreeSet<Uuid> = combinations.keys().copied().flatten().copied().collect();
    for way in [IN, OUT] {
        for (uid, group) in rules.groups.iter().filter(|(uid, _)| used.contains(uid)) {
            group_chain(text, &group_chain_name(&way, *uid), way.side, (way.of)(group));
        }
    }
    let (mut receivers, mut senders) = (Vec::new(), Vec::new());
    for (number, (uids, addresses)) in combinations.iter().enumerate() {
        let groups: Vec<(Uuid, &Group)> = uids.iter().filter_map(|uid| Some((*uid, rules.groups.get(uid)?))).collect();
        for (way, who) in [(IN, &mut receivers), (OUT, &mut senders)] {
            let speaking = groups.iter().filter(|(_, group)| !(way.of)(group).is_empty());
            let speaking: Vec<Uuid> = speaking.map(|(uid, _)| *uid).collect();
            if way.is_closed || !speaking.is_empty() {
                let name = format!("{}_{number}", way.word);
                combined_chain(text, &name, &way, &speaking);
                who.extend(addresses.iter().map(|at| format!("{at} : goto {name}")));
            }
        }
    }
    for (name, elements) in [("receivers", receivers), ("senders", senders)] {
        collection(text, &format!("map {name}"), "ipv4_addr : verdict", elements.into_iter());
    }
}

/// One of the two ways through a machine's groups.
struct Way {
    /// Its word in the names of chains.
    word: &'static str,
    /// The side on which the others are.
    side: &'static str,
    /// What a group says of it.
    of: fn(&Group) -> &[Allowed],
    /// Whether nothing passes where no group says anything.
    is_closed: bool,
}

const IN: Way = Way { word: "in", side: "saddr", of: |group| &group.ingress, is_closed: true };
const OUT: Way = Way { word: "out", side: "daddr", of: |group| &group.egress, is_closed: false };

fn group_chain_name(way: &Way, uid: Uuid) -> String {
    format!("{}_{}", way.word, group_name(uid))
}

/// Where machines find what others publish. Docker would take them there through a process of its own, by the gateway's
/// address, which no group could tell from the host. And where the world and the host find what no engine takes to its
/// machine, the host's loopback addresses included.
fn publications(text: &mut String, rules: &Rules) {
    let members = || rules.networks.values().flat_map(|network| &network.members);
    let ports = |(at, member): (&Ipv4Addr, &Member)| -> Vec<(Ipv4Addr, PublishedPort)> {
        member.published.iter().map(|port| (*at, *port)).collect()
    };
    let for_machines: Vec<_> =
        members().flat_map(ports).filter(|(_, port)| !port.publish.address.is_loopback()).collect();
    let forwarded: Vec<_> = members().filter(|(_, member)| is_forwarded(member)).flat_map(ports).collect();
    ways(text, "", &for_machines);
    ways(text, "forwarded_", &forwarded);
}

/// Where each of these ports leads, by protocol.
fn ways(text: &mut String, prefix: &str, ports: &[(Ipv4Addr, PublishedPort)]) {
    for (protocol_name, protocol) in [("tcp", Protocol::Tcp), ("udp", Protocol::Udp)] {
        let name = format!("{prefix}{protocol_name}");
        let (mut at, mut anywhere) = (Vec::new(), Vec::new());
        for (member, PublishedPort { port, publish, .. }) in ports.iter().filter(|(_, port)| port.protocol == protocol)
        {
            match publish.address {
                IpAddr::V4(address) if address.is_unspecified() => {
                    anywhere.push(format!("{} : {member} . {port}", publish.port));
                }
                IpAddr::V4(address) => at.push(format!("{address} . {} : {member} . {port}", publish.port)),
                IpAddr::V6(_) => {}
            }
        }
        let value = "ipv4_addr . inet_service";
        collection(text, &format!("map {name}_at"), &format!("ipv4_addr . inet_service : {value}"), at.into_iter());
        collection(text, &format!("map {name}_anywhere"), &format!("inet_service : {value}"), anywhere.into_iter());
    }
}

/// What a group lets pass ends here for the hook; the rest returns to be asked elsewhere.
fn group_chain(text: &mut String, name: &str, side: &str, allowed: &[Allowed]) {
    let _ = writeln!(text, "chain {name} {{");
    for allowed in allowed {
        let traffic = match allowed.traffic {
            Traffic::Any => String::new(),
            Traffic::Tcp(first, last) => format!("tcp dport {first}-{last} "),
            Traffic::Udp(first, last) => format!("udp dport {first}-{last} "),
            Traffic::Icmp => "meta l4proto icmp ".to_owned(),
        };
        let peer = match allowed.peer {
            AllowedPeer::Anyone => String::new(),
            AllowedPeer::Range(range) if range.prefix_len() == 0 => String::new(),
            AllowedPeer::Range(range) => format!("ip {side} {range} "),
            AllowedPeer::Group(uid) => format!("ip {side} @{} ", group_name(uid)),
        };
        let _ = writeln!(text, "{peer}{traffic}accept");
    }
    text.push_str("}\n");
}

/// What none of these groups lets pass ends here.
fn combined_chain(text: &mut String, name: &str, way: &Way, groups: &[Uuid]) {
    let _ = writeln!(text, "chain {name} {{");
    for uid in groups {
        let _ = writeln!(text, "jump {}", group_chain_name(way, *uid));
    }
    text.push_str("drop\n}\n");
}

fn group_name(uid: Uuid) -> String {
    format!("group_{}", uid.simple())
}

fn set(text: &mut String, name: &str, type_: &str, elements: impl Iterator<Item = String>) {
    collection(text, &format!("set {name}"), type_, elements);
}

fn collection(text: &mut String, name: &str, type_: &str, elements: impl Iterator<Item = String>) {
    let elements: Vec<String> = elements.collect();
    let _ = writeln!(text, "{name} {{\ntype {type_}");
    // An empty list is no valid one.
    if !elements.is_empty() {
        let _ = writeln!(text, "elements = {{ {} }}", elements.join(", "));
    }
    text.push_str("}\n");
}
