//! What a VpcPeering waits for.

use crds::network::vpc_peering::{Peer, VpcPeering, VpcPeeringSpec};
use uuid::Uuid;

use super::observe::Observed;
use super::plan::plan;
use super::sides::Sides;
use crate::runtime::{Goal, Plan};

fn peering() -> VpcPeering {
    let peer = Peer { namespace: Some("tools".to_owned()), vpc: "shared".to_owned() };
    let spec = VpcPeeringSpec { vpc: "main".to_owned(), peer, deletion_protection: false };
    VpcPeering::new("tools", spec)
}

fn planned(sides: Sides, in_force: bool) -> Plan<super::Step> {
    plan(Goal::Present, &peering(), &Observed { sides, in_force })
}

#[test]
fn open_networks_are_active_once_the_rules_say_so() {
    let open = || Sides::Open(Uuid::from_u128(1), Uuid::from_u128(2));
    assert_eq!(planned(open(), true), Plan::default());
    assert_eq!(planned(open(), false).waiting.expect("it waits").reason, "Provisioning");
}

#[test]
fn what_stands_in_the_way_is_named_with_the_way_out() {
    let told = |sides| {
        let waiting = planned(sides, false).waiting.expect("it waits");
        (waiting.reason, waiting.stalled, waiting.message)
    };
    let (reason, stalled, message) = told(Sides::Undeclared);
    assert_eq!((reason, stalled), ("PeerUndeclared", false), "the other side may still come");
    assert!(message.contains("`tools`") && message.contains("`shared`"), "{message}");
    assert_eq!(told(Sides::Missing("main".to_owned())).0, "DependencyMissing");
    let range = |text: &str| text.parse().expect("a range");
    let (reason, stalled, message) = told(Sides::Overlap(range("10.0.0.0/16"), range("10.0.1.0/24")));
    assert_eq!((reason, stalled), ("CidrOverlap", true));
    assert!(message.contains("10.0.0.0/16") && message.contains("10.0.1.0/24"), "{message}");
    assert!(told(Sides::Internal("main".to_owned())).1 && told(Sides::Same).1);
}
