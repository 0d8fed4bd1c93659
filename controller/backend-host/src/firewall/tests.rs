//! The script as `nft` is given it; whether packets keep to it is tested with real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use controller_backend::{
    Allowed, AllowedPeer, Group, GuardedNetwork, Member, Protocol, Publish, PublishedPort, Rules, Traffic, port_name,
};
use uuid::Uuid;

use super::script::Script;

const INSTALLATION: Uuid = Uuid::from_u128(0xabcd_ef01_2345_6789_abcd_ef01_2345_6789);

fn network(bridge: &str, third: u8, members: &[(u8, &[u128])]) -> GuardedNetwork {
    let address = |host| Ipv4Addr::new(10, 0, third, host);
    let member =
        |groups: &[u128]| Member { groups: groups.iter().copied().map(Uuid::from_u128).collect(), ..Member::default() };
    GuardedNetwork {
        bridge: bridge.to_owned(),
        gateway: address(1),
        internal: false,
        members: members.iter().map(|(host, groups)| (address(*host), member(groups))).collect(),
    }
}

fn rules(networks: impl IntoIterator<Item = GuardedNetwork>) -> Rules {
    let networks = networks.into_iter().enumerate().map(|(number, network)| (Uuid::from_u128(number as u128), network));
    Rules { networks: networks.collect(), ..Rules::default() }
}

#[test]
fn without_networks_nothing_of_ours_is_left() {
    let script = Script::of(INSTALLATION, &Rules::default());
    assert_eq!(script.text, "add table inet thecloud_abcdef01\ndelete table inet thecloud_abcdef01\n");
    assert!(!script.marks_packets);
}

#[test]
fn same_rules_make_the_same_mark_and_others_another() {
    let one = Script::of(INSTALLATION, &rules([network("tc-a", 0, &[(2, &[])])]));
    let same = Script::of(INSTALLATION, &rules([network("tc-a", 0, &[(2, &[])])]));
    let other = Script::of(INSTALLATION, &rules([network("tc-a", 0, &[(2, &[]), (3, &[])])]));
    assert_eq!(one.mark_of_content, same.mark_of_content);
    assert_ne!(one.mark_of_content, other.mark_of_content);
    assert!(one.text.contains(&one.mark_of_content));
}

#[test]
fn machine_is_pinned_to_its_network_and_both_of_its_addresses() {
    let script = Script::of(INSTALLATION, &rules([network("tc-a", 0, &[(2, &[])])]));
    assert!(script.text.contains("elements = { \"tc-a\" . 02:42:0a:00:00:02 . 10.0.0.2 }"), "{}", script.text);
}

#[test]
fn machine_that_can_send_anything_is_pinned_to_its_port_and_named_in_no_answer_but_its_own() {
    let mut network = network("tc-a", 0, &[(2, &[]), (3, &[])]);
    assert!(!Script::of(INSTALLATION, &rules([network.clone()])).pins_ports);
    let at = Ipv4Addr::new(10, 0, 0, 3);
    network.members.get_mut(&at).unwrap().port = Some(port_name(at));
    let script = Script::of(INSTALLATION, &rules([network]));
    assert!(script.pins_ports);
    let table = script.text.split_once("\ntable bridge thecloud_abcdef01 {").expect("a table for bridges").1;
    assert!(table.contains("set ports {\ntype ifname\nelements = { \"tcv0a000003\" }"), "{table}");
    assert!(table.contains("elements = { \"tcv0a000003\" . 02:42:0a:00:00:03 . 10.0.0.3 }"), "{table}");
    assert!(table.contains(&script.mark_of_content));
}

#[test]
fn only_peers_are_linked_both_ways() {
    let mut declared = rules([network("tc-a", 0, &[]), network("tc-b", 1, &[]), network("tc-c", 2, &[])]);
    declared.peers = BTreeSet::from([(Uuid::from_u128(0), Uuid::from_u128(2))]);
    let script = Script::of(INSTALLATION, &declared);
    assert!(script.marks_packets);
    let peers = "set peers {\ntype ifname . ifname\nelements = { \"tc-a\" . \"tc-c\", \"tc-c\" . \"tc-a\" }";
    assert!(script.text.contains(peers), "{}", script.text);
}

#[test]
fn what_no_engine_publishes_is_taken_to_its_machine_from_the_host_and_the_world() {
    let port = |address: &str, at| PublishedPort {
        port: 80,
        protocol: Protocol::Tcp,
        publish: Publish { address: address.parse().unwrap(), port: at },
    };
    let mut network = network("tc-a", 0, &[(2, &[]), (3, &[])]);
    for (host, is_forwarded) in [(2, true), (3, false)] {
        let member = network.members.get_mut(&Ipv4Addr::new(10, 0, 0, host)).unwrap();
        let first = 8000 + u16::from(host) * 10;
        member.published =
            BTreeSet::from([port("127.0.0.1", first), port("0.0.0.0", first + 1), port("192.0.2.7", first + 2)]);
        member.is_forwarded = is_forwarded;
    }
    let script = Script::of(INSTALLATION, &rules([network]));
    let text = &script.text;
    let elements = |name: &str, wanted: &str| {
        let map = text.split_once(&format!("map {name} {{")).expect("the map is there").1;
        let elements = map.split_once("elements = ").expect("it has elements").1.split('\n').next().expect("a line");
        assert_eq!(elements, format!("{{ {wanted} }}"), "{name}");
    };
    elements("forwarded_tcp_at", "127.0.0.1 . 8020 : 10.0.0.2 . 80, 192.0.2.7 . 8022 : 10.0.0.2 . 80");
    elements("forwarded_tcp_anywhere", "8021 : 10.0.0.2 . 80");
    // Machines find what everybody publishes, but for the host's loopback addresses.
    elements("tcp_at", "192.0.2.7 . 8022 : 10.0.0.2 . 80, 192.0.2.7 . 8032 : 10.0.0.3 . 80");
    // One network alone needs Docker to let pass what it doesn't know.
    assert!(script.marks_packets);
    assert_eq!(script.from_loopback, BTreeSet::from(["tc-a".to_owned()]));
}

#[test]
fn each_combination_of_groups_asks_each_of_them_and_ends_in_a_refusal() {
    let mut declared = rules([network("tc-a", 0, &[(2, &[1, 2]), (3, &[1, 2]), (4, &[1]), (5, &[])])]);
    let group = |ingress| Group { ingress, ..Group::default() };
    let allow = |traffic, peer| Allowed { traffic, peer };
    declared.groups = BTreeMap::from([
        (Uuid::from_u128(1), group(vec![allow(Traffic::Tcp(80, 80), AllowedPeer::Anyone)])),
        (Uuid::from_u128(2), group(vec![allow(Traffic::Icmp, AllowedPeer::Group(Uuid::from_u128(1)))])),
    ]);
    let text = Script::of(INSTALLATION, &declared).text;
    let [one, two] = [1, 2].map(|uid| format!("group_{}", Uuid::from_u128(uid).simple()));
    assert!(text.contains(&format!("chain in_{one} {{\ntcp dport 80-80 accept\n}}")), "{text}");
    assert!(text.contains(&format!("chain in_{two} {{\nip saddr @{one} meta l4proto icmp accept\n}}")), "{text}");
    assert!(text.contains(&format!("chain in_0 {{\njump in_{one}\ndrop\n}}")), "{text}");
    assert!(text.contains(&format!("chain in_1 {{\njump in_{one}\njump in_{two}\ndrop\n}}")), "{text}");
    let receivers = "10.0.0.4 : goto in_0, 10.0.0.2 : goto in_1, 10.0.0.3 : goto in_1";
    assert!(text.contains(receivers), "{text}");
    assert!(!text.contains("goto out_"), "what they may reach is not bounded");
}

#[test]
fn rules_of_a_group_are_there_once_however_its_machines_are_grouped() {
    let groups: Vec<u128> = (1..=40).collect();
    let members: Vec<(u8, &[u128])> = (2..=41).map(|host: u8| (host, &groups[..usize::from(host) - 1])).collect();
    let mut declared = rules([network("tc-a", 0, &members)]);
    let allow = |port| Allowed { traffic: Traffic::Tcp(port, port), peer: AllowedPeer::Anyone };
    let group = Group { ingress: (1..=256).map(allow).collect(), egress: vec![allow(1)], ..Group::default() };
    declared.groups = groups.iter().map(|uid| (Uuid::from_u128(*uid), group.clone())).collect();
    let text = Script::of(INSTALLATION, &declared).text;
    assert_eq!(text.matches("tcp dport 256-256 accept").count(), groups.len());
    assert!(text.contains("10.0.0.2 : goto out_0"), "what they may reach is bounded");
    assert!(text.lines().count() < 40 * 257 + 3_000, "{} lines", text.lines().count());
}

#[test]
fn what_clouds_tell_their_hosts_is_reached_by_no_machine() {
    let text = Script::of(INSTALLATION, &rules([network("tc-a", 0, &[(2, &[])])])).text;
    let leaving =
        text.split_once("chain leaving {").expect("the chain is there").1.split_once("\n}").expect("it ends").0;
    let last = leaving.trim_end().lines().rev().take(2).collect::<Vec<_>>();
    assert_eq!(last, ["goto sent", "ip daddr 169.254.0.0/16 drop"], "{leaving}");
}
