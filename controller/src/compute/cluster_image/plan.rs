//! Decides what a ClusterImage needs. Input: the ClusterImage and what exists. Output: a plan. Never talks to a backend.

use controller_backend::{DiskFormat, DiskImageSpec, DiskSource};
use crds::compute::cluster_image::{ClusterImage, ClusterImageSource, ImageFormat};

use super::Step;
use super::observe::Observed;
use super::retry;
use crate::network::vpc::instances;
use crate::runtime::failure::sentence;
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan(goal: Goal, image: &ClusterImage, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent if !observed.users.is_empty() => {
            Plan::wait(Waiting::on("InUse", format!("In use by {}.", instances(&observed.users))))
        }
        Goal::Absent if observed.image.is_some() || observed.leftovers => Plan::of(vec![Step::Remove]),
        Goal::Present if observed.image.is_none() => import(image, observed),
        Goal::Absent | Goal::Present => Plan::default(),
    }
}

fn import(image: &ClusterImage, observed: &Observed) -> Plan<Step> {
    if let Some((due, waiting)) = retry::wait(image, observed.now) {
        return Plan { look_again: Some(due), ..Plan::wait(waiting) };
    }
    let source = match source(&image.spec.source) {
        Ok(source) => source,
        Err(why) => return Plan::wait(Waiting::on_user("Invalid", why)),
    };
    let format = match image.spec.format {
        ImageFormat::Qcow2 => DiskFormat::Qcow2,
        ImageFormat::Raw => DiskFormat::Raw,
    };
    let spec = DiskImageSpec { owner: observed.owner.clone(), source, format };
    // What the last attempt said stands until this one has ended.
    Plan { slow: !retry::has_failed(image), ..Plan::of(vec![Step::Import(spec)]) }
}

/// The schema says that it is one of the two.
fn source(source: &ClusterImageSource) -> Result<DiskSource, String> {
    match (&source.path, &source.url, &source.checksum) {
        (Some(path), ..) => Ok(DiskSource::File(path.clone())),
        (None, Some(url), Some(checksum)) => {
            let checksum = checksum.parse().map_err(|error| sentence(&format!("{error}")))?;
            Ok(DiskSource::Url { url: url.clone(), checksum })
        }
        _ => Err("The source is neither a path nor a url with a checksum.".to_owned()),
    }
}
