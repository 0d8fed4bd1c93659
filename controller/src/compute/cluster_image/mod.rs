//! The kind ClusterImage: a disk that virtual machines are made from. Finalizer: the imported disk. Port: `DiskImages`.

mod apply;
mod observe;
mod plan;
mod report;
#[cfg(test)]
mod tests;

use std::sync::Arc;

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
    /// Remove it.
    Remove,
}

/// The kind.
pub(crate) struct ClusterImageKind {
    world: Arc<World>,
}

impl ClusterImageKind {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world }
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

    fn forget(&self, _uid: Uuid) {}
}
