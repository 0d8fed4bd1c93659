//! The kind InstanceSnapshot: what the root disk of an Instance held at one moment. Finalizer: that data. Ports:
//! `MachineSnapshots`, and `Machines` to look for what it is of.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::MachineSnapshotSpec;
use crds::compute::instance_snapshot::{InstanceSnapshot, InstanceSnapshotStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Removals, Report};
use crate::world::World;

use observe::Observed;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Take the snapshot.
    Take(MachineSnapshotSpec),
    /// Remove the snapshot, also a half-taken one.
    Remove,
    /// Keep the data, marked as retained.
    Retain,
}

/// The kind.
pub(crate) struct InstanceSnapshotKind {
    world: Arc<World>,
    removals: Removals,
}

impl InstanceSnapshotKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, removals: Removals::default() }
    }
}

#[async_trait]
impl Kind for InstanceSnapshotKind {
    const NAME: &'static str = "InstanceSnapshot";
    type Object = InstanceSnapshot;
    type Status = InstanceSnapshotStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<InstanceSnapshot> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, goal: Goal, snapshot: &InstanceSnapshot) -> Result<Observed, Failure> {
        observe::observe(self, goal, snapshot).await
    }

    fn plan(&self, goal: Goal, snapshot: &InstanceSnapshot, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, snapshot, observed)
    }

    async fn apply(&self, snapshot: &InstanceSnapshot, step: &Step) -> Result<Applied<InstanceSnapshot>, Failure> {
        apply::apply(self, snapshot, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<InstanceSnapshotStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.removals.forget(uid);
    }
}
