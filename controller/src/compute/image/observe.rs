//! Looks at what concerns an image: the imported disk, what it is made from, and the Instances that are made from it.

use controller_backend::{DiskImage, Owner};
use crds::compute::instance::BackendName;
use crds::status::{READY, is_true};
use jiff::Timestamp;
use kube::Resource;
use uuid::Uuid;

use super::named::users;
use super::{AnyImage, ImageKind};
use crate::runtime::{Failure, Goal, uid_of};
use crate::world::Stores;

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
    /// The InstanceSnapshot that it is made from, if it names one and is not there yet.
    pub(crate) snapshot: Option<Snapshot>,
    /// The time.
    pub(crate) now: Timestamp,
}

/// An InstanceSnapshot that an image is to be made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Snapshot {
    /// It is whole.
    There(Uuid),
    /// It isn't there, or not whole: a sentence.
    Missing(String),
    /// No image can be made from it: a sentence.
    Unfit(String),
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
    let wanted = image.wish().snapshot.filter(|_| goal == Goal::Present && real.is_none());
    let snapshot = wanted.map(|(namespace, name)| look_for(&world.stores, namespace, name));
    Ok(Observed { owner, image: real, users, leftovers, snapshot, now: world.now() })
}

fn look_for(stores: &Stores, namespace: &str, name: &str) -> Snapshot {
    let Some(found) = stores.instance_snapshots.get(namespace, name) else {
        return Snapshot::Missing(format!("InstanceSnapshot `{name}` does not exist in namespace `{namespace}`."));
    };
    let status = found.status.clone().unwrap_or_default();
    if status.backend == Some(BackendName::Docker) {
        return Snapshot::Unfit(format!(
            "InstanceSnapshot `{name}` is of a container: an image is made from the snapshot of a virtual machine. An \
             Instance is made from it by `imageSnapshot`."
        ));
    }
    if found.meta().deletion_timestamp.is_some() {
        return Snapshot::Missing(format!("InstanceSnapshot `{name}` is being deleted."));
    }
    if !is_true(&status.conditions, READY) {
        return Snapshot::Missing(format!("InstanceSnapshot `{name}` is not ready yet."));
    }
    Snapshot::There(uid_of(found.as_ref()))
}
