//! Decides what an Instance is made from: an image, an Image or ClusterImage, or an InstanceSnapshot. Pure.

use controller_backend::Image;
use crds::compute::instance::Instance;

use super::needs::why_not;
use super::observe::{Observed, Target};
use crate::runtime::Waiting;

/// What the backend calls it. A disk is named by the uid of its object: names come and go.
pub(super) fn name(instance: &Instance, observed: &Observed, image: &Image) -> String {
    match (&observed.disk, &observed.snapshot) {
        (Some(disk), _) => disk.image.known().map(ToString::to_string).unwrap_or_default(),
        (None, Some(_)) => image.id.clone(),
        (None, None) => instance.spec.image.clone(),
    }
}

/// What it is made from, for people.
pub(super) fn words(instance: &Instance, observed: &Observed) -> String {
    match &instance.spec.image_snapshot {
        Some(snapshot) => format!("InstanceSnapshot `{snapshot}`"),
        None => {
            let kind = observed.disk.as_ref().map_or("image", |disk| disk.kind);
            format!("{kind} `{}`", instance.spec.image)
        }
    }
}

/// Whether it is an object that isn't there.
pub(super) fn is_missing(observed: &Observed) -> bool {
    observed.disk.as_ref().is_some_and(|disk| disk.image == Target::Missing)
        || observed.snapshot == Some(Target::Missing)
}

/// Why that can't be used now, if it is an object and can't.
pub(super) fn not_ready(observed: &Observed) -> Option<&str> {
    let disk = observed.disk.as_ref().and_then(|disk| why_not(&disk.image, |_| false));
    disk.or_else(|| why_not(observed.snapshot.as_ref()?, |_| false))
}

/// A root disk that is smaller than its image asks for.
pub(super) fn disk_too_small(instance: &Instance, observed: &Observed) -> Option<Waiting> {
    let disk = observed.disk.as_ref()?;
    let (wanted, least) = (disk.wanted.as_ref()?, disk.least.as_ref()?);
    if wanted.units().ok()? >= least.units().ok()? {
        return None;
    }
    let own = instance.spec.resources.as_ref().is_some_and(|resources| resources.disk.is_some());
    let (whose, way_out) = if own {
        ("resources.disk".to_owned(), "make resources.disk larger")
    } else {
        let type_ = &observed.instance_type;
        (format!("that of InstanceType `{type_}`"), "set resources.disk, or name another InstanceType")
    };
    let origin = words(instance, observed);
    let message =
        format!("{origin} needs a root disk of {least} or more, and it is to have {wanted}, {whose}: {way_out}.");
    Some(Waiting::on_user("DiskTooSmall", message))
}

/// A container's disk is no virtual machine's, nor the other way round.
pub(super) fn of_another_backend(instance: &Instance, observed: &Observed) -> Option<Waiting> {
    let name = instance.spec.image_snapshot.as_deref()?;
    let taken_of = observed.snapshot.as_ref()?.known()?.backend.filter(|taken_of| *taken_of != observed.backend)?;
    let (ours, theirs) = (observed.backend.as_str(), taken_of.as_str());
    let message = format!(
        "InstanceSnapshot `{name}` is of an Instance with `backend: {theirs}`, and this one has `backend: {ours}`, which \
         can't be changed: name another InstanceSnapshot or an image, or make an Instance with `backend: {theirs}`."
    );
    Some(Waiting::on_user("Invalid", message))
}
