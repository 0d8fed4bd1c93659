//! The kind VolumeSnapshot: the data of a Volume as it was at one moment. Finalizer: that data. Ports: `Snapshots`, and
//! `Volumes` to look for what it is of.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::SnapshotSpec;
use crds::storage::volume_snapshot::{VolumeSnapshot, VolumeSnapshotStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Removals, Report};
use crate::world::World;

use observe::Observed;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Take the snapshot.
    Take(SnapshotSpec),
    /// Remove the snapshot, also a half-taken one.
    Remove,
    /// Keep the data, marked as retained.
    Retain,
}

/// The kind.
pub(crate) struct VolumeSnapshotKind {
    world: Arc<World>,
    removals: Removals,
}

impl VolumeSnapshotKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, removals: Removals::default() }
    }
}

#[async_trait]
impl Kind for VolumeSnapshotKind {
    const NAME: &'static str = "VolumeSnapshot";
    type Object = VolumeSnapshot;
    type Status = VolumeSnapshotStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<VolumeSnapshot> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, goal: Goal, snapshot: &VolumeSnapshot) -> Result<Observed, Failure> {
        observe::observe(self, goal, snapshot).await
    }

    fn plan(&self, goal: Goal, snapshot: &VolumeSnapshot, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, snapshot, observed)
    }

    async fn apply(&self, snapshot: &VolumeSnapshot, step: &Step) -> Result<Applied<VolumeSnapshot>, Failure> {
        apply::apply(self, snapshot, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<VolumeSnapshotStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.removals.forget(uid);
    }
}
