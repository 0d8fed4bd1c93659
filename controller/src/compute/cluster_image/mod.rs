//! The kind ClusterImage: a disk that virtual machines are made from. Finalizer: the imported disk. Port: `DiskImages`.

mod apply;
mod observe;
mod plan;
mod report;
mod retry;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use controller_backend::DiskImageSpec;
use crds::compute::cluster_image::{ClusterImage, ClusterImageStatus};
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Report};
use crate::world::World;

use observe::Observed;

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Import the image.
    Import(DiskImageSpec),
    /// Remove it, also what a half-done import left.
    Remove,
}

/// The kind.
pub(crate) struct ClusterImageKind {
    world: Arc<World>,
    /// Whose removal was carried out by this process. What a half-done import left can't be observed: removing is
    /// repeated once in the life of a process instead.
    removed: Mutex<BTreeSet<Uuid>>,
}

impl ClusterImageKind {
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
impl Kind for ClusterImageKind {
    const NAME: &'static str = "ClusterImage";
    type Object = ClusterImage;
    type Status = ClusterImageStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, _namespace: &str) -> Api<ClusterImage> {
        Api::all(client)
    }

    async fn observe(&self, goal: Goal, image: &ClusterImage) -> Result<Observed, Failure> {
        observe::observe(self, goal, image).await
    }

    fn plan(&self, goal: Goal, image: &ClusterImage, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, image, observed)
    }

    async fn apply(&self, image: &ClusterImage, step: &Step) -> Result<Applied<ClusterImage>, Failure> {
        apply::apply(self, image, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<ClusterImageStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.removed.lock().unwrap_or_else(PoisonError::into_inner).remove(&uid);
    }
}
