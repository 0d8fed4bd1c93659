//! The script as `nft` is given it; whether packets keep to it is tested with real ones.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use controller_backend::{Allowed, AllowedPeer, Group, GuardedNetwork, Member, Rules, Traffic};
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
fn only_peers_are_linked_both_ways() {
    let mut declared = rules([network("tc-a", 0, &[]), network("tc-b", 1, &[]), network("tc-c", 2, &[])]);
    declared.peers = BTreeSet::from([(Uuid::from_u128(0), Uuid::from_u128(2))]);
    let script = Script::of(INSTALLATION, &declared);
    assert!(script.marks_packets);
    let peers = "set peers {\ntype ifname . ifname\nelements = { \"tc-a\" . \"tc-c\", \"tc-c\" . \"tc-a\" }";
    assert!(script.text.contains(peers), "{}", script.text);
}

#[test]
fn each_combination_of_groups_has_one_chain_that_ends_in_a_refusal() {
    let mut declared = rules([network("tc-a", 0, &[(2, &[1, 2]), (3, &[1, 2]), (4, &[1]), (5, &[])])]);
    let group = |ingress| Group { ingress, ..Group::default() };
    let allow = |traffic, peer| Allowed { traffic, peer };
    declared.groups = BTreeMap::from([
        (Uuid::from_u128(1), group(vec![allow(Traffic::Tcp(80, 80), AllowedPeer::Anyone)])),
        (Uuid::from_u128(2), group(vec![allow(Traffic::Icmp, AllowedPeer::Group(Uuid::from_u128(1)))])),
    ]);
    let text = Script::of(INSTALLATION, &declared).text;
    let group_1 = Uuid::from_u128(1).simple();
    assert!(text.contains("chain in_0 {\ntcp dport 80-80 return\ndrop\n}"), "{text}");
    let both = format!("tcp dport 80-80 return\nip saddr @group_{group_1} meta l4proto icmp return\ndrop");
    assert!(text.contains(&format!("chain in_1 {{\n{both}\n}}")), "{text}");
    let receivers = "10.0.0.4 : goto in_0, 10.0.0.2 : goto in_1, 10.0.0.3 : goto in_1";
    assert!(text.contains(receivers), "{text}");
    assert!(!text.contains("chain out_"), "what they may reach is not bounded");
}
