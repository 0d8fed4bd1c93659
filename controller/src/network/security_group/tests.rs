//! What a SecurityGroup waits for.

use controller_backend::Group;
use crds::network::security_group::{SecurityGroup, SecurityGroupSpec};

use super::observe::Observed;
use super::plan::plan;
use crate::runtime::{Goal, Plan};

fn group() -> SecurityGroup {
    SecurityGroup::new("web", SecurityGroupSpec { vpc: "main".to_owned(), ..SecurityGroupSpec::default() })
}

fn settled() -> Observed {
    Observed { has_vpc: true, missing: Vec::new(), bad_selector: None, in_force: Some(Group::default()) }
}

fn reason(observed: &Observed) -> (&'static str, bool) {
    let waiting = plan(Goal::Present, &group(), observed).waiting.expect("it waits");
    (waiting.reason, waiting.stalled)
}

#[test]
fn group_whose_rules_are_in_force_waits_for_nothing() {
    assert_eq!(plan(Goal::Present, &group(), &settled()), Plan::default());
}

#[test]
fn group_waits_for_its_vpc_and_for_groups_that_it_names() {
    assert_eq!(reason(&Observed { has_vpc: false, ..settled() }), ("DependencyMissing", false));
    let observed = Observed { missing: vec!["admins".to_owned()], ..settled() };
    assert_eq!(reason(&observed), ("DependencyMissing", false));
    let message = plan(Goal::Present, &group(), &observed).waiting.expect("it waits").message;
    assert!(message.contains("`admins`"), "{message}");
}

#[test]
fn selector_that_is_none_needs_the_user() {
    let observed = Observed { bad_selector: Some("no such operator".to_owned()), ..settled() };
    assert_eq!(reason(&observed), ("Invalid", true));
}

#[test]
fn group_that_is_deleted_waits_for_nothing() {
    let observed = Observed { in_force: None, has_vpc: false, ..settled() };
    assert_eq!(plan(Goal::Absent, &group(), &observed), Plan::default());
}
