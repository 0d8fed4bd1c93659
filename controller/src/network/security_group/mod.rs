//! The kind SecurityGroup: what may reach some of a network's machines. Nothing stands behind one alone: its rules are a
//! part of the packet filter, which `network::firewall` keeps. This says how it stands. Ports: none.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use crds::network::security_group::{SecurityGroup, SecurityGroupStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Report};
use crate::world::World;

use observe::Observed;

/// There is nothing to do but to look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {}

/// The kind.
pub(crate) struct SecurityGroupKind {
    world: Arc<World>,
}

impl SecurityGroupKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

#[async_trait]
impl Kind for SecurityGroupKind {
    const NAME: &'static str = "SecurityGroup";
    type Object = SecurityGroup;
    type Status = SecurityGroupStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<SecurityGroup> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, _goal: Goal, group: &SecurityGroup) -> Result<Observed, Failure> {
        observe::observe(&self.world, group)
    }

    fn plan(&self, goal: Goal, group: &SecurityGroup, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, group, observed)
    }

    async fn apply(&self, _group: &SecurityGroup, step: &Step) -> Result<Applied<SecurityGroup>, Failure> {
        apply::apply(step)
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<SecurityGroupStatus> {
        report::report(account)
    }

    fn forget(&self, _uid: Uuid) {}
}
