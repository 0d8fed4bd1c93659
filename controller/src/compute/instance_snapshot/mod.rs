//! The kind InstanceSnapshot: what the root disk of an Instance held at one moment. Finalizer: that data. Ports:
//! `MachineSnapshots`, and `Machines` to look for what it is of.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use controller_backend::MachineSnapshotSpec;
use crds::compute::instance_snapshot::{InstanceSnapshot, InstanceSnapshotStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Report};
use crate::world::World;

use observe::Observed;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Take the snapshot.
    Take(MachineSnapshotSpec),
    /// Remove the snapshot, also a half-taken one.
    Remove,
}

/// The kind.
pub(crate) struct InstanceSnapshotKind {
    world: Arc<World>,
    /// Whose removal was carried out by this process. Half-taken snapshots can't be observed: removing is repeated
    /// once in the life of a process instead.
    removed: Mutex<BTreeSet<Uuid>>,
}

impl InstanceSnapshotKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, removed: Mutex::default() }
    }

    fn was_removed(&self, uid: Uuid) -> bool {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).contains(&uid)
    }

    fn remember_removed(&self, uid: Uuid) {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).insert(uid);
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
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
}
