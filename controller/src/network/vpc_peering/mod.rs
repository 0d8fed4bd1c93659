//! The kind VpcPeering: opens two networks to each other. Nothing stands behind one alone: it is a part of the packet
//! filter, which `network::firewall` keeps. This says how it stands. Ports: none.

mod apply;
mod observe;
mod plan;
mod report;
mod sides;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use crds::network::vpc_peering::{VpcPeering, VpcPeeringStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Report};
use crate::world::World;

use observe::Observed;
pub(crate) use sides::{Sides, sides};

/// There is nothing to do but to look.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {}

/// The kind.
pub(crate) struct VpcPeeringKind {
    world: Arc<World>,
}

impl VpcPeeringKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

#[async_trait]
impl Kind for VpcPeeringKind {
    const NAME: &'static str = "VpcPeering";
    type Object = VpcPeering;
    type Status = VpcPeeringStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<VpcPeering> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, _goal: Goal, peering: &VpcPeering) -> Result<Observed, Failure> {
        observe::observe(&self.world, peering)
    }

    fn plan(&self, goal: Goal, peering: &VpcPeering, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, peering, observed)
    }

    async fn apply(&self, _peering: &VpcPeering, step: &Step) -> Result<Applied<VpcPeering>, Failure> {
        apply::apply(step)
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<VpcPeeringStatus> {
        report::report(account)
    }

    fn forget(&self, _uid: Uuid) {}
}
