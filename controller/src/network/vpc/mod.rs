//! The kind Vpc: an isolated network. Finalizer: the network. Ports: `Networks`.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::net::Ipv4Addr;
use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::NetworkSpec;
use crds::network::vpc::{Vpc, VpcStatus};
use ipnet::Ipv4Net;
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Report};
use crate::world::World;

use observe::Observed;
pub(crate) use plan::instances;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Write the range into the status, before anything is made with it.
    Allocate {
        /// The range.
        cidr: Ipv4Net,
        /// The host's own address in it.
        gateway: Ipv4Addr,
    },
    /// Make the network.
    EnsureNetwork(NetworkSpec),
    /// Remove the network.
    RemoveNetwork,
}

/// The kind.
pub(crate) struct VpcKind {
    world: Arc<World>,
}

impl VpcKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
    }
}

#[async_trait]
impl Kind for VpcKind {
    const NAME: &'static str = "Vpc";
    type Object = Vpc;
    type Status = VpcStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<Vpc> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, goal: Goal, vpc: &Vpc) -> Result<Observed, Failure> {
        observe::observe(&self.world, goal, vpc).await
    }

    fn plan(&self, goal: Goal, vpc: &Vpc, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, vpc, observed)
    }

    async fn apply(&self, vpc: &Vpc, step: &Step) -> Result<Applied<Vpc>, Failure> {
        apply::apply(&self.world, vpc, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<VpcStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.world.claims.release(uid);
    }
}
