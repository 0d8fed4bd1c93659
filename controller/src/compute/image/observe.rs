//! Looks at what concerns an image: the imported disk, and the Instances that are made from it.

use controller_backend::{DiskImage, Owner};
use jiff::Timestamp;

use super::named::users;
use super::{AnyImage, ImageKind};
use crate::runtime::{Failure, Goal};

/// What is known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Observed {
    /// The marks of what is made.
    pub(crate) owner: Owner,
    /// The imported disk, if it is there.
    pub(crate) image: Option<DiskImage>,
    /// The Instances that have a machine made from it, with their namespaces, sorted; looked for only when it goes.
    pub(crate) users: Vec<String>,
    /// Whether a half-done import may have left something, which can't be seen.
    pub(crate) leftovers: bool,
    /// The time.
    pub(crate) now: Timestamp,
}

pub(super) async fn observe<I: AnyImage>(kind: &ImageKind<I>, goal: Goal, image: &I) -> Result<Observed, Failure> {
    let world = &kind.world;
    let owner = world.owner(image);
    let users = if goal == Goal::Absent { users(world, image) } else { Vec::new() };
    let was_imported = image.status().is_some_and(|status| status.image_id.is_some());
    let (real, leftovers) = match world.disk_images() {
        Ok(images) => {
            let real = images.find(owner.uid).await.map_err(Failure::backend("look for the image"))?;
            (real, goal == Goal::Absent && !kind.removals.contains(owner.uid))
        }
        // What was never imported is not there, whatever can't be asked.
        Err(_) if goal == Goal::Absent && !was_imported => (None, false),
        Err(failure) => return Err(failure),
    };
    Ok(Observed { owner, image: real, users, leftovers, now: world.now() })
}
