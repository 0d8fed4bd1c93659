//! What every adapter promises about networks.

use super::Fixture;
use crate::{Conflict, NetworkSpec, bridge_name};

/// A network is made once however often it is asked for, is found, and goes.
pub async fn network_is_made_once_and_removed(fixture: &Fixture) {
    let networks = &fixture.backend.networks;
    let spec = fixture.network();
    assert_eq!(networks.find(spec.owner.uid).await.expect("find"), None);
    let made = networks.ensure(&spec).await.expect("ensure");
    assert_eq!(made.difference(&spec), None);
    assert_eq!(made.owner, spec.owner);
    assert_eq!(networks.ensure(&spec).await.expect("ensure again"), made);
    assert_eq!(networks.find(spec.owner.uid).await.expect("find"), Some(made.clone()));
    assert_eq!(networks.list().await.expect("list"), [made]);
    networks.remove(spec.owner.uid).await.expect("remove");
    networks.remove(spec.owner.uid).await.expect("removing again changes nothing");
    assert_eq!(networks.list().await.expect("list"), []);
}

/// Many at once still make one.
pub async fn network_asked_for_at_once_is_made_once(fixture: &Fixture) {
    let spec = fixture.network();
    let networks = &fixture.backend.networks;
    let (first, second, third) = tokio::join!(networks.ensure(&spec), networks.ensure(&spec), networks.ensure(&spec));
    let first = first.expect("ensure");
    assert_eq!(second.expect("ensure"), first);
    assert_eq!(third.expect("ensure"), first);
    assert_eq!(networks.list().await.expect("list").len(), 1);
}

/// What cannot be changed in place is a conflict that says what differs.
pub async fn different_network_is_a_conflict(fixture: &Fixture) {
    let networks = &fixture.backend.networks;
    let spec = fixture.network();
    networks.ensure(&spec).await.expect("ensure");
    let changed = NetworkSpec { internal: true, ..spec.clone() };
    let error = networks.ensure(&changed).await.expect_err("the network differs");
    assert!(matches!(error.as_conflict(), Some(Conflict::Different { field, .. }) if field == "way out"), "{error:?}");
    let found = networks.find(spec.owner.uid).await.expect("find").expect("it is still there");
    assert_eq!(found.difference(&spec), None);
}

/// Ranges do not overlap, whoever made the other one.
pub async fn overlapping_network_is_refused(fixture: &Fixture) {
    fixture.backend.networks.ensure(&fixture.network()).await.expect("ensure");
    let mut owner = fixture.owner("Vpc", "other", 7);
    owner.installation = fixture.stranger_installation;
    let spec = NetworkSpec { bridge: bridge_name(&owner), owner, ..fixture.network() };
    let error = fixture.stranger.networks.ensure(&spec).await.expect_err("the range is taken");
    assert_eq!(error.as_conflict(), Some(&Conflict::RangeTaken { cidr: spec.cidr }), "{error:?}");
    assert_eq!(fixture.stranger.networks.list().await.expect("list"), []);
}

/// What is occupied tells of our network whose it is, and of everybody else's that it is there.
pub async fn occupied_ranges_tell_of_networks(fixture: &Fixture) {
    let spec = fixture.network();
    let before = fixture.backend.networks.occupied_ranges().await.expect("ranges");
    assert!(before.iter().all(|range| range.cidr != spec.cidr), "{before:?}");
    fixture.backend.networks.ensure(&spec).await.expect("ensure");
    let of = |ranges: Vec<crate::OccupiedRange>| {
        let ours: Vec<_> =
            ranges.into_iter().filter(|range| range.cidr == spec.cidr).map(|range| range.owner).collect();
        ours
    };
    let seen_by_us = fixture.backend.networks.occupied_ranges().await.expect("ranges");
    assert_eq!(of(seen_by_us), [Some(spec.owner.uid)]);
    let seen_by_others = fixture.stranger.networks.occupied_ranges().await.expect("ranges");
    assert_eq!(of(seen_by_others), [None]);
}

/// A network is not torn from under a running machine, and the machine is named.
pub async fn network_in_use_is_not_removed(fixture: &Fixture) {
    let spec = fixture.networked("guest", 2, 10).await;
    let id = fixture.start(&spec).await;
    let uid = fixture.network().owner.uid;
    let error = fixture.backend.networks.remove(uid).await.expect_err("it is in use");
    assert!(
        matches!(error.as_conflict(), Some(Conflict::InUse { users, .. }) if *users == [spec.name.clone()]),
        "{error:?}"
    );
    fixture.backend.machines.remove(&id).await.expect("remove");
    fixture.backend.networks.remove(uid).await.expect("nothing uses it");
}
