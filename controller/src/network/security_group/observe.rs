//! Looks at what concerns a SecurityGroup: its Vpc, the groups that it names, and what is in force of it.

use std::collections::BTreeSet;

use controller_backend::Group;
use crds::network::security_group::SecurityGroup;
use kube::core::Selector;
use kube::{Resource, ResourceExt};

use crate::network::firewall::policy;
use crate::runtime::{Failure, uid_of};
use crate::world::World;

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// Whether its Vpc is there.
    pub(crate) has_vpc: bool,
    /// The names of groups that its rules name and that aren't there, sorted.
    pub(crate) missing: Vec<String>,
    /// Why the selector can't be used, if it can't.
    pub(crate) bad_selector: Option<String>,
    /// What is in force of this very spec.
    pub(crate) in_force: Option<Group>,
}

pub(super) fn observe(world: &World, group: &SecurityGroup) -> Result<Observed, Failure> {
    world.gate.check()?;
    let namespace = group.namespace().unwrap_or_default();
    let peers = group.spec.ingress.iter().map(|rule| &rule.from).chain(group.spec.egress.iter().map(|rule| &rule.to));
    let named: BTreeSet<&str> = peers.flatten().filter_map(|peer| peer.security_group.as_deref()).collect();
    let is_missing = |name: &&str| world.stores.security_groups.get(&namespace, name).is_none();
    let (uid, in_force) = (uid_of(group), world.firewall.in_force());
    let is_current = in_force.generations.get(&uid) == Some(&group.meta().generation);
    // What a rule means changes with the groups that it names, too.
    let wanted = policy(group, &world.stores.security_groups.in_namespace(&namespace));
    let is_wanted = |found: &Group| found.ingress == wanted.ingress && found.egress == wanted.egress;
    Ok(Observed {
        has_vpc: world.stores.vpcs.get(&namespace, &group.spec.vpc).is_some(),
        missing: named.into_iter().filter(is_missing).map(str::to_owned).collect(),
        bad_selector: Selector::try_from(group.spec.selector.clone()).err().map(|error| error.to_string()),
        in_force: in_force.rules.groups.get(&uid).filter(|found| is_current && is_wanted(found)).cloned(),
    })
}
