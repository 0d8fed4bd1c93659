//! Which image a virtual machine is made from: the Image of that name in its own namespace, whether it is ready or not, or
//! else the ClusterImage. An Image of another namespace is never seen.

use crds::compute::image::ImageStatus;
use crds::compute::instance::{BackendName, Instance};
use crds::quantity::Quantity;
use kube::ResourceExt;
use uuid::Uuid;

use super::kinds::AnyImage;
use crate::runtime::uid_of;
use crate::world::{Stores, World};

/// An image by its name.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// Which kind it is.
    pub(crate) kind: &'static str,
    /// Its uid.
    pub(crate) uid: Uuid,
    /// Whether it is being deleted.
    pub(crate) is_going: bool,
    /// What it is.
    pub(crate) status: ImageStatus,
    /// What it says of the least root disk.
    pub(crate) min_disk: Option<Quantity>,
}

impl Named {
    /// The least root disk that a machine made from it has: what it says, and never less than what it holds.
    pub(crate) fn least_disk(&self) -> Option<Quantity> {
        let (said, held) = (self.min_disk.as_ref(), self.status.disk_size.as_ref());
        [said, held].into_iter().flatten().max_by_key(|size| size.units().unwrap_or_default()).cloned()
    }
}

/// The image of this name, as a namespace sees it.
pub(crate) fn named(stores: &Stores, namespace: &str, name: &str) -> Option<Named> {
    let own = stores.images.get(namespace, name);
    own.map(|image| known(image.as_ref()))
        .or_else(|| stores.cluster_images.get("", name).map(|image| known(image.as_ref())))
}

fn known<I: AnyImage>(image: &I) -> Named {
    Named {
        kind: I::KIND,
        uid: uid_of(image),
        is_going: image.meta().deletion_timestamp.is_some(),
        status: image.status().cloned().unwrap_or_default(),
        min_disk: image.wish().min_disk.cloned(),
    }
}

/// The Instances that have a machine made from this image, with their namespaces, sorted. Machines keep what they were made
/// from, whatever has its name by now.
pub(super) fn users<I: AnyImage>(world: &World, image: &I) -> Vec<String> {
    let content = image.status().and_then(|status| status.image_id.as_deref());
    let mut users: Vec<String> = world
        .stores
        .instances
        .all()
        .iter()
        .filter(|instance| may_use(world, instance, image) && is_from(world, instance, image, content))
        .map(|instance| format!("{}/{}", instance.namespace().unwrap_or_default(), instance.name_any()))
        .collect();
    users.sort_unstable();
    users
}

/// Whether an Instance names this image, or could.
pub(crate) fn may_use<I: AnyImage>(world: &World, instance: &Instance, image: &I) -> bool {
    world.backend_name(instance) == BackendName::Libvirt
        && instance.spec.image == image.name_any()
        && image.namespace().is_none_or(|namespace| instance.namespace() == Some(namespace))
}

/// Whether its machine was made from this image, as far as its content tells.
fn is_from<I: AnyImage>(world: &World, instance: &Instance, image: &I, content: Option<&str>) -> bool {
    let Some(status) = instance.status.as_ref().filter(|status| status.machine_id.is_some()) else { return false };
    let is_it = |id: Option<&str>| status.image_id.is_none() || id == status.image_id.as_deref();
    if !is_it(content) {
        return false;
    }
    // Of two of the same name and content, it is the one that is named.
    let namespace = instance.namespace().unwrap_or_default();
    let named = named(&world.stores, &namespace, &instance.spec.image);
    named.is_none_or(|named| named.uid == uid_of(image) || !is_it(named.status.image_id.as_deref()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_root_disk_is_what_the_image_says_and_not_less_than_it_holds() {
        let least = |said: Option<&str>, held: Option<&str>| {
            let status = ImageStatus { disk_size: held.map(Quantity::from), ..ImageStatus::default() };
            let min_disk = said.map(Quantity::from);
            let named = Named { kind: "Image", uid: Uuid::nil(), is_going: false, status, min_disk };
            named.least_disk().map(|size| size.0)
        };
        assert_eq!(least(None, None), None);
        assert_eq!(least(None, Some("97Mi")).as_deref(), Some("97Mi"));
        assert_eq!(least(Some("1Gi"), Some("97Mi")).as_deref(), Some("1Gi"));
        assert_eq!(least(Some("1Mi"), Some("97Mi")).as_deref(), Some("97Mi"));
    }
}
