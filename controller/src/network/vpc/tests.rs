//! What is planned for a Vpc in one situation after the other.

use controller_backend::{Network, OccupiedRange, Owner};
use crds::network::vpc::{Vpc, VpcSpec, VpcStatus};
use crds::status::{READY, condition};
use jiff::Timestamp;
use kube::Resource;
use proptest::prelude::*;
use serde_json::json;
use uuid::Uuid;

use super::observe::{Neighbour, Observed, neighbour};
use super::plan::plan;
use super::report::report;
use super::{Step, VpcKind};
use crate::PRIVATE_RANGES;
use crate::runtime::{Account, Goal};

fn vpc(cidr: Option<&str>) -> Vpc {
    let mut vpc = Vpc::new("main", VpcSpec { cidr: cidr.map(str::to_owned), ..VpcSpec::default() });
    vpc.meta_mut().namespace = Some("shop".to_owned());
    vpc
}

fn observed() -> Observed {
    let owner = Owner {
        installation: Uuid::nil(),
        kind: "Vpc".to_owned(),
        namespace: "shop".to_owned(),
        name: "main".to_owned(),
        uid: Uuid::from_u128(1),
    };
    Observed {
        now: Timestamp::UNIX_EPOCH,
        owner,
        network: None,
        occupied: Vec::new(),
        allowed: PRIVATE_RANGES.into(),
        others: Vec::new(),
        promised: Vec::new(),
        members: Vec::new(),
    }
}

fn occupied(cidr: &str) -> OccupiedRange {
    OccupiedRange { cidr: cidr.parse().unwrap(), owner: None }
}

fn model(vpc: &mut Vpc, observed: &mut Observed, step: &Step) {
    match step {
        Step::Allocate { cidr, gateway } => {
            let status = vpc.status.get_or_insert_default();
            status.cidr = Some(cidr.to_string());
            status.gateway = Some(gateway.to_string());
        }
        Step::EnsureNetwork(spec) => {
            observed.network = Some(Network {
                id: "n".to_owned(),
                owner: spec.owner.clone(),
                cidr: spec.cidr,
                gateway: spec.gateway,
                internal: spec.internal,
                bridge: spec.bridge.clone(),
            });
        }
        Step::RemoveNetwork => observed.network = None,
    }
}

fn converge(vpc: &mut Vpc, observed: &mut Observed, goal: Goal) -> (Vec<Step>, VpcStatus) {
    let mut taken = Vec::new();
    for _ in 0..6 {
        let plan = plan(goal, vpc, observed);
        if plan.steps.is_empty() {
            let account: Account<'_, VpcKind> = Account {
                goal,
                object: vpc,
                observed: Some(observed),
                plan: Some(&plan),
                failure: None,
                now: observed.now,
            };
            return (taken, report(&account).status);
        }
        for step in &plan.steps {
            model(vpc, observed, step);
        }
        taken.extend(plan.steps);
    }
    panic!("planning does not come to an end: {taken:?}");
}

fn ready(status: &VpcStatus) -> (&str, &str) {
    let ready = condition(&status.conditions, READY).unwrap();
    (&ready.reason, &ready.message)
}

#[test]
fn the_range_is_written_down_before_the_network_is_made() {
    let (mut vpc, mut observed) = (vpc(Some("10.20.0.0/20")), observed());
    let (steps, status) = converge(&mut vpc, &mut observed, Goal::Present);
    assert!(matches!(steps[0], Step::Allocate { .. }));
    assert!(matches!(steps[1], Step::EnsureNetwork(_)));
    assert_eq!(status.phase.as_deref(), Some("Ready"));
    let network = observed.network.unwrap();
    assert_eq!((network.gateway.to_string(), network.bridge.as_str()), ("10.20.0.1".to_owned(), "tc-00000000"));
}

#[test]
fn without_a_range_the_first_free_one_of_the_pool_is_taken() {
    let (mut vpc, mut observed) = (vpc(None), observed());
    observed.occupied = vec![occupied("0.0.0.0/0"), occupied("10.128.0.0/24")];
    observed.others =
        vec![Neighbour { name: Some("old".to_owned()), cidr: "10.128.16.0/20".parse().unwrap(), first: false }];
    observed.promised = vec!["10.128.32.0/20".parse().unwrap()];
    converge(&mut vpc, &mut observed, Goal::Present);
    assert_eq!(vpc.status.unwrap().cidr.as_deref(), Some("10.128.48.0/20"));
}

#[test]
fn who_lost_a_range_to_another_cloud_looks_for_one_somewhere_else() {
    let (mut vpc, mut observed) = (vpc(None), observed());
    observed.owner.uid = Uuid::from_u128(5 + 2048);
    let lost = json!({"type": "Ready", "status": "False", "reason": "CidrOverlap", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    vpc.status = Some(VpcStatus { conditions: vec![serde_json::from_value(lost).unwrap()], ..VpcStatus::default() });
    let (_, status) = converge(&mut vpc, &mut observed, Goal::Present);
    assert_eq!(status.cidr.as_deref(), Some("10.128.80.0/20"), "the sixth of the pool");
}

#[test]
fn an_overlap_is_a_condition_that_names_the_other() {
    let (mut vpc, mut observed) = (vpc(Some("10.20.0.0/20")), observed());
    observed.others =
        vec![Neighbour { name: Some("old".to_owned()), cidr: "10.20.4.0/24".parse().unwrap(), first: true }];
    let (steps, status) = converge(&mut vpc, &mut observed, Goal::Present);
    assert_eq!(steps, []);
    assert_eq!(ready(&status), ("CidrOverlap", "Range 10.20.0.0/20 overlaps 10.20.4.0/24 of Vpc `old`."));
    observed.others[0].first = false;
    observed.occupied = vec![occupied("10.20.0.0/16")];
    let (steps, status) = converge(&mut vpc, &mut observed, Goal::Present);
    assert_eq!((steps, ready(&status).0), (Vec::new(), "CidrOverlap"));
    observed.occupied.clear();
    assert_eq!(converge(&mut vpc, &mut observed, Goal::Present).0.len(), 2);
}

#[test]
fn the_older_of_two_that_overlap_comes_first() {
    let time = |second| k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(Timestamp::from_second(second).unwrap());
    let (mut young, mut old) = (vpc(Some("10.20.0.0/20")), vpc(Some("10.20.0.0/20")));
    young.metadata.creation_timestamp = Some(time(2));
    old.metadata.creation_timestamp = Some(time(1));
    old.metadata.namespace = Some("other".to_owned());
    let seen = neighbour(&young, &old).unwrap();
    assert_eq!((seen.first, seen.name), (true, None));
    assert!(!neighbour(&old, &young).unwrap().first);
}

#[test]
fn an_overlap_with_another_namespace_or_the_host_says_nothing_of_it() {
    let (mut vpc, mut observed) = (vpc(Some("10.20.0.0/20")), observed());
    let sentence = "Range 10.20.0.0/20 overlaps one that is in use on the host: set another, or leave spec.cidr away.";
    observed.others = vec![Neighbour { name: None, cidr: "10.20.4.0/24".parse().unwrap(), first: true }];
    let (_, status) = converge(&mut vpc, &mut observed, Goal::Present);
    assert_eq!(ready(&status), ("CidrOverlap", sentence));
    observed.others.clear();
    for owner in [Some(Uuid::from_u128(99)), None] {
        observed.occupied = vec![OccupiedRange { owner, ..occupied("10.20.4.0/24") }];
        let (_, status) = converge(&mut vpc, &mut observed, Goal::Present);
        assert_eq!(ready(&status), ("CidrOverlap", sentence));
    }
}

#[test]
fn addresses_of_the_world_are_nobodys_network() {
    for cidr in ["8.8.8.0/24", "169.254.0.0/16", "100.0.0.0/8", "192.168.0.0/8", "127.0.0.0/24", "224.0.0.0/8"] {
        let (mut vpc, mut observed) = (vpc(Some(cidr)), observed());
        let (steps, status) = converge(&mut vpc, &mut observed, Goal::Present);
        assert_eq!((steps, ready(&status).0), (Vec::new(), "Invalid"), "{cidr}");
    }
    let (mut vpc, mut observed) = (vpc(Some("8.8.8.0/24")), observed());
    let (_, status) = converge(&mut vpc, &mut observed, Goal::Present);
    let sentence = "Range 8.8.8.0/24 is not inside one of those that this server has for Vpcs (--vpc-range): 10.0.0.0/8, \
                    100.64.0.0/10, 172.16.0.0/12, 192.168.0.0/16. Set another, or leave spec.cidr away.";
    assert_eq!(ready(&status).1, sentence);
}

#[test]
fn a_server_may_have_other_ranges_for_vpcs_and_picks_from_those() {
    let (mut picked, mut observed) = (vpc(None), observed());
    observed.allowed = vec!["192.0.2.0/24".parse().unwrap(), "203.0.112.0/20".parse().unwrap()];
    converge(&mut picked, &mut observed, Goal::Present);
    assert_eq!(picked.status.unwrap().cidr.as_deref(), Some("203.0.112.0/20"));
    observed.network = None;
    let mut asked = vpc(Some("10.20.0.0/20"));
    assert_eq!(ready(&converge(&mut asked, &mut observed, Goal::Present).1).0, "Invalid");
    observed.allowed.pop();
    assert_eq!(ready(&converge(&mut vpc(None), &mut observed, Goal::Present).1).0, "RangesExhausted");
}

#[test]
fn a_range_that_can_not_be_is_refused_in_words() {
    for bad in ["10.20.0.1/20", "10.20.0.0/29", "fd00::/64", "nonsense"] {
        let (mut vpc, mut observed) = (vpc(Some(bad)), observed());
        let (steps, status) = converge(&mut vpc, &mut observed, Goal::Present);
        assert_eq!(steps, [], "{bad}");
        assert_eq!(ready(&status).0, "Invalid");
    }
}

#[test]
fn a_vpc_in_use_is_not_torn_out_and_goes_when_the_last_is_gone() {
    let (mut vpc, mut observed) = (vpc(Some("10.20.0.0/20")), observed());
    converge(&mut vpc, &mut observed, Goal::Present);
    observed.members = vec!["api".to_owned(), "web".to_owned()];
    let (steps, status) = converge(&mut vpc, &mut observed, Goal::Absent);
    assert_eq!(steps, []);
    assert_eq!(ready(&status), ("InUse", "In use by Instances api, web."));
    assert_eq!(status.phase.as_deref(), Some("Terminating"));
    observed.members.clear();
    assert_eq!(converge(&mut vpc, &mut observed, Goal::Absent).0, [Step::RemoveNetwork]);
}

#[test]
fn a_way_out_changes_only_while_nobody_is_in_it() {
    let (mut vpc, mut observed) = (vpc(Some("10.20.0.0/20")), observed());
    converge(&mut vpc, &mut observed, Goal::Present);
    vpc.spec.internal = true;
    observed.members = vec!["web".to_owned()];
    let (steps, status) = converge(&mut vpc, &mut observed, Goal::Present);
    assert_eq!((steps, ready(&status).0), (Vec::new(), "InUse"));
    observed.members.clear();
    assert_eq!(converge(&mut vpc, &mut observed, Goal::Present).0.len(), 2);
    assert!(observed.network.unwrap().internal);
}

#[test]
fn a_network_that_somebody_removed_is_made_again_with_the_same_range() {
    let (mut vpc, mut observed) = (vpc(None), observed());
    converge(&mut vpc, &mut observed, Goal::Present);
    let before = vpc.status.clone().unwrap().cidr;
    observed.network = None;
    let (steps, _) = converge(&mut vpc, &mut observed, Goal::Present);
    assert!(matches!(steps.as_slice(), [Step::EnsureNetwork(_)]));
    assert_eq!(vpc.status.unwrap().cidr, before);
}

proptest! {
    #[test]
    fn planning_again_after_applying_plans_nothing(
        cidr in proptest::option::of(prop_oneof![Just("10.20.0.0/20"), Just("10.128.0.0/20"), Just("bad")]),
        taken in proptest::collection::vec(0_u8..40, 0..20),
        internal in any::<bool>(),
        made_before in any::<bool>(),
        members in proptest::collection::vec("[a-z]{3}", 0..2),
        absent in any::<bool>(),
    ) {
        let (mut vpc, mut observed) = (vpc(cidr), observed());
        if made_before {
            converge(&mut vpc, &mut observed, Goal::Present);
        }
        vpc.spec.internal = internal;
        observed.members = members;
        observed.occupied = taken.iter().map(|third| occupied(&format!("10.128.{third}.0/24"))).collect();
        let goal = if absent { Goal::Absent } else { Goal::Present };
        converge(&mut vpc, &mut observed, goal);
        let again = plan(goal, &vpc, &observed);
        prop_assert_eq!(again.steps, Vec::new());
        if goal == Goal::Present && !made_before && let Some(network) = &observed.network {
            for range in &observed.occupied {
                prop_assert!(!network.cidr.contains(&range.cidr));
            }
        }
    }
}
