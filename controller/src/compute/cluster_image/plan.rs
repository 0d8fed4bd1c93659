//! Decides what a ClusterImage needs. Input: the ClusterImage and what exists. Output: a plan. Never talks to a backend.

use controller_backend::{DiskFormat, DiskImageSpec, DiskSource};
use crds::compute::cluster_image::{ClusterImage, ImageFormat};

use super::Step;
use super::observe::Observed;
use crate::network::vpc::instances;
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, image: &ClusterImage, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent if !observed.users.is_empty() => {
            Plan::wait(Waiting::on("InUse", format!("In use by {}.", instances(&observed.users))))
        }
        Goal::Absent if observed.image.is_some() => Plan::of(vec![Step::Remove]),
        Goal::Present if observed.image.is_none() => {
            let format = match image.spec.format {
                ImageFormat::Qcow2 => DiskFormat::Qcow2,
                ImageFormat::Raw => DiskFormat::Raw,
            };
            let source = DiskSource::File(image.spec.source.path.clone());
            let spec = DiskImageSpec { owner: observed.owner.clone(), source, format };
            Plan { slow: true, ..Plan::of(vec![Step::Import(spec)]) }
        }
        Goal::Absent | Goal::Present => Plan::default(),
    }
}
