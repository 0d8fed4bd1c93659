//! The kind Volume: a disk that outlives the machines it is attached to. Finalizer: the data and its mount. Ports:
//! `Volumes`.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::VolumeSpec;
use crds::storage::volume::{Volume, VolumeStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Removals, Report};
use crate::world::World;

use observe::Observed;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Make the volume, or grow it, or make it ready again.
    Ensure(VolumeSpec),
    /// Remove the volume and its data, also a half-made one.
    Remove,
    /// Keep the data, take down the rest.
    Retain,
}

/// The kind.
pub(crate) struct VolumeKind {
    world: Arc<World>,
    removals: Removals,
}

impl VolumeKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, removals: Removals::default() }
    }
}

#[async_trait]
impl Kind for VolumeKind {
    const NAME: &'static str = "Volume";
    type Object = Volume;
    type Status = VolumeStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<Volume> {
        Api::namespaced(client, namespace)
    }

    async fn observe(&self, goal: Goal, volume: &Volume) -> Result<Observed, Failure> {
        observe::observe(self, goal, volume).await
    }

    fn plan(&self, goal: Goal, volume: &Volume, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, volume, observed)
    }

    async fn apply(&self, volume: &Volume, step: &Step) -> Result<Applied<Volume>, Failure> {
        apply::apply(self, volume, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<VolumeStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.removals.forget(uid);
    }
}
