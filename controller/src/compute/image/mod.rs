//! The kinds Image and ClusterImage: disks that virtual machines are made from. Finalizer: the imported disk. Port:
//! `DiskImages`.

mod apply;
mod kinds;
mod named;
mod observe;
mod plan;
mod report;
mod retry;
#[cfg(test)]
mod tests;

use std::marker::PhantomData;
use std::sync::Arc;

use async_trait::async_trait;
use controller_backend::DiskImageSpec;
use crds::compute::image::ImageStatus;
use kube::{Api, Client};
use uuid::Uuid;

use crate::runtime::{Account, Applied, Failure, Goal, Kind, Plan, Removals, Report};
use crate::world::World;

use observe::Observed;

pub(crate) use kinds::AnyImage;
pub(crate) use named::{may_use, named};

/// One thing to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Step {
    /// Import the image.
    Import(DiskImageSpec),
    /// Remove it, also what a half-done import left.
    Remove,
}

/// The kind.
pub(crate) struct ImageKind<I> {
    world: Arc<World>,
    removals: Removals,
    of: PhantomData<fn() -> I>,
}

impl<I: AnyImage> ImageKind<I> {
    pub(crate) fn new(world: Arc<World>) -> Self {
        Self { world, removals: Removals::default(), of: PhantomData }
    }
}

#[async_trait]
impl<I: AnyImage> Kind for ImageKind<I> {
    const NAME: &'static str = I::KIND;
    type Object = I;
    type Status = ImageStatus;
    type Observed = Observed;
    type Step = Step;

    fn api(client: Client, namespace: &str) -> Api<I> {
        I::api(client, namespace)
    }

    async fn observe(&self, goal: Goal, image: &I) -> Result<Observed, Failure> {
        observe::observe(self, goal, image).await
    }

    fn plan(&self, goal: Goal, image: &I, observed: &Observed) -> Plan<Step> {
        plan::plan(goal, image, observed)
    }

    async fn apply(&self, image: &I, step: &Step) -> Result<Applied<I>, Failure> {
        apply::apply(self, image, step).await
    }

    fn report(&self, account: &Account<'_, Self>) -> Report<ImageStatus> {
        report::report(account)
    }

    fn forget(&self, uid: Uuid) {
        self.removals.forget(uid);
    }
}
