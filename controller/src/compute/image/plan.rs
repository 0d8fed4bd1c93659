//! Decides what an image needs. Input: the object and what exists. Output: a plan. Never talks to a backend.

use controller_backend::{DiskFormat, DiskImageSpec, DiskSource};
use crds::compute::image::ImageFormat;
use kube::ResourceExt;

use super::kinds::Wish;
use super::observe::{Observed, Snapshot};
use super::{AnyImage, Step, retry};
use crate::network::vpc::instances;
use crate::runtime::failure::sentence;
use crate::runtime::{Goal, Plan, Waiting};

pub(super) fn plan<I: AnyImage>(goal: Goal, image: &I, observed: &Observed) -> Plan<Step> {
    match goal {
        Goal::Absent if !observed.users.is_empty() => {
            let users = match (image.namespace(), observed.users.len()) {
                (Some(_), _) => instances(&observed.users),
                // Everybody reads this, and whose Instances they are is nobody's business.
                (None, 1) => "1 Instance".to_owned(),
                (None, count) => format!("{count} Instances"),
            };
            Plan::wait(Waiting::on("InUse", format!("In use by {users}.")))
        }
        Goal::Absent if observed.image.is_some() || observed.leftovers => Plan::of(vec![Step::Remove]),
        Goal::Present if observed.image.is_none() => import(image, observed),
        Goal::Absent | Goal::Present => Plan::default(),
    }
}

fn import<I: AnyImage>(image: &I, observed: &Observed) -> Plan<Step> {
    if let Some((due, waiting)) = retry::wait(image, observed.now) {
        return Plan { look_again: Some(due), ..Plan::wait(waiting) };
    }
    let wish = image.wish();
    let source = match source(wish, observed) {
        Ok(source) => source,
        Err(waiting) => return Plan::wait(waiting),
    };
    let format = match wish.format {
        ImageFormat::Qcow2 => DiskFormat::Qcow2,
        ImageFormat::Raw => DiskFormat::Raw,
    };
    // What is no amount is refused by the schema.
    let max_bytes = wish.max_size.and_then(|size| size.units().ok());
    let spec = DiskImageSpec { owner: observed.owner.clone(), source, format, max_bytes };
    // What the last attempt said stands until this one has ended.
    Plan { slow: !retry::has_failed(image), ..Plan::of(vec![Step::Import(spec)]) }
}

/// The schema says that it is one of them.
fn source(wish: Wish<'_>, observed: &Observed) -> Result<DiskSource, Waiting> {
    let invalid = |why: String| Waiting::on_user("Invalid", why);
    match (wish.path, wish.url, wish.checksum, &observed.snapshot) {
        (Some(path), ..) => Ok(DiskSource::File(path.to_owned())),
        (None, Some(url), Some(checksum), _) => {
            let checksum = checksum.parse().map_err(|error| invalid(sentence(&format!("{error}"))))?;
            Ok(DiskSource::Url { url: url.to_owned(), checksum })
        }
        (None, None, _, Some(Snapshot::There(uid))) => Ok(DiskSource::Snapshot(*uid)),
        (None, None, _, Some(Snapshot::Missing(why))) => Err(Waiting::on("DependencyMissing", why.clone())),
        (None, None, _, Some(Snapshot::Unfit(why))) => Err(invalid(why.clone())),
        _ => Err(invalid("The source is neither a path, nor a url with a checksum, nor a snapshot.".to_owned())),
    }
}
