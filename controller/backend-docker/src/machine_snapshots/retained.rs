//! Snapshots that outlive their objects. Docker marks no image anew, so its tags say what becomes of it:
//!
//! - `thecloud.dev/instance-snapshot:UID`: it is whole, and of this owner.
//! - `thecloud.dev/retained-instance-snapshot/NAMESPACE:UID`: it is retained, and that namespace may adopt it.
//!
//! Adopted it is another image of the same layers, which bears the marks of its new owner and the uids of those before.
//! What is left of theirs from then on, as what a machine was made from, is told of no more and goes with it.

use std::collections::BTreeSet;

use bollard::models::ImageSummary;
use bollard::query_parameters::TagImageOptionsBuilder;
use controller_backend::{Conflict, Error, MachineSnapshot, Owner};
use uuid::Uuid;

use super::{find, images_of, inspect, load, recipe, reference, remove_image, snapshots_filter};
use crate::engine::Engine;
use crate::error::translate;
use crate::labels;

/// The name of images that are retained; the namespace and, as tag, the owner's uid follow.
const RETAINED: &str = "thecloud.dev/retained-instance-snapshot";

/// The namespace that may adopt the snapshot of this owner, if it is retained.
pub(super) fn namespace(tags: &[String], owner: Uuid) -> Option<String> {
    // Cut off between two tags, a handing over leaves both; whichever it is, the next one removes the other.
    tags.iter().filter_map(|tag| retained_for(tag, owner)).min().map(str::to_owned)
}

fn retained_for(tag: &str, owner: Uuid) -> Option<&str> {
    let (namespace, uid) = tag.strip_prefix(RETAINED)?.strip_prefix('/')?.split_once(':')?;
    (uid.parse() == Ok(owner)).then_some(namespace)
}

/// The owners whose snapshots have become others'.
pub(super) fn adopted(images: &[ImageSummary]) -> BTreeSet<Uuid> {
    let whole = |image: &&ImageSummary| {
        labels::owner(&image.labels).is_some_and(|owner| image.repo_tags.contains(&reference(owner.uid)))
    };
    images.iter().filter(whole).flat_map(|image| labels::former_owners(&image.labels)).collect()
}

/// The retained snapshot of an owner.
pub(super) async fn retained(engine: &Engine, owner: Uuid) -> Result<MachineSnapshot, Error> {
    let found = find(engine, owner).await?;
    let found = found.ok_or_else(|| Error::not_found(format!("retained snapshot of `{owner}`")))?;
    if found.retained {
        return Ok(found);
    }
    let (what, state) = (format!("the snapshot of `{owner}`"), "not retained".to_owned());
    Err(Error::conflict(Conflict::State { what, state }))
}

/// Marks a snapshot as retained, for this namespace.
pub(super) async fn mark(engine: &Engine, owner: Uuid, namespace: &str) -> Result<(), Error> {
    let what = format!("snapshot of `{owner}`");
    let repository = format!("{RETAINED}/{namespace}");
    let options = TagImageOptionsBuilder::default().repo(&repository).tag(&owner.to_string()).build();
    let marked = engine.client().await?.tag_image(&reference(owner), Some(options)).await;
    marked.map_err(|error| translate(&what, &format!("retain the {what}"), error))
}

/// Takes a snapshot the marks of being retained, but for those that are of this namespace.
pub(super) async fn unmark(engine: &Engine, owner: Uuid, but_for: Option<&str>) -> Result<(), Error> {
    let what = format!("snapshot of `{owner}`");
    let failed = |error| translate(&what, &format!("change the marks of the {what}"), error);
    let Some(image) = inspect(engine, owner).await? else { return Ok(()) };
    for tag in image.repo_tags.unwrap_or_default() {
        if retained_for(&tag, owner).is_some_and(|namespace| Some(namespace) != but_for) {
            remove_image(engine, &tag).await.map_err(failed)?;
        }
    }
    Ok(())
}

/// Gives the retained snapshot of one owner to another, at one stroke: with the image that bears the new one's marks.
pub(super) async fn adopt(engine: &Engine, owner: &Owner, from: Uuid) -> Result<(), Error> {
    let kept = retained(engine, from).await?;
    let missing = || Error::not_found(format!("retained snapshot of `{from}`"));
    let image = inspect(engine, from).await?.ok_or_else(missing)?;
    let marks = image.config.as_ref().and_then(|config| config.labels.as_ref());
    let mut former = marks.map(labels::former_owners).unwrap_or_default();
    former.insert(from);
    let marks = labels::of_snapshot(owner, kept.consistency, &former);
    let action = "adopt the snapshot";
    let archive = recipe::archive(&image, &image, marks, &reference(owner.uid));
    load(engine, archive.map_err(|error| Error::failed(action, error))?, action).await?;
    if let Err(error) = leave(engine, from).await {
        // It goes with what it has become.
        tracing::debug!(%from, error = %error, "what a snapshot was adopted from is still there");
    }
    Ok(())
}

/// The images of those who had the snapshot of an owner before, as far as they are still there.
pub(super) async fn former(engine: &Engine, owner: Uuid) -> Result<Vec<(Uuid, ImageSummary)>, Error> {
    let Some(image) = inspect(engine, owner).await? else { return Ok(Vec::new()) };
    let marks = image.config.and_then(|config| config.labels).unwrap_or_default();
    let mut images = Vec::new();
    for uid in labels::former_owners(&marks) {
        let found = images_of(engine, &snapshots_filter(engine, uid)).await?;
        images.extend(found.into_iter().map(|image| (uid, image)));
    }
    Ok(images)
}

/// Removes what an owner has left of a snapshot that is another's by now.
pub(super) async fn leave(engine: &Engine, owner: Uuid) -> Result<(), Error> {
    let what = format!("snapshot that was of `{owner}`");
    let failed = |error| translate(&what, &format!("remove the {what}"), error);
    for image in images_of(engine, &snapshots_filter(engine, owner)).await? {
        // While it is retained it is known to be another's: that goes last.
        let (retained, whole): (Vec<_>, Vec<_>) =
            image.repo_tags.into_iter().partition(|tag| retained_for(tag, owner).is_some());
        let ours = whole.into_iter().filter(|tag| *tag == reference(owner));
        for tag in ours.chain(retained) {
            remove_image(engine, &tag).await.map_err(failed)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_says_which_namespace_may_adopt_it() {
        let owner = Uuid::from_u128(7);
        let tag = |name: &str, uid: Uuid| format!("{name}:{uid}");
        let whole = reference(owner);
        assert_eq!(namespace(std::slice::from_ref(&whole), owner), None);
        let tags =
            [whole, tag(&format!("{RETAINED}/shop"), owner), tag(&format!("{RETAINED}/alpha"), Uuid::from_u128(8))];
        assert_eq!(namespace(&tags, owner).as_deref(), Some("shop"));
        assert_eq!(namespace(&[tag(RETAINED, owner), format!("{RETAINED}-more/shop:{owner}")], owner), None);
    }

    #[test]
    fn only_whole_ones_make_another_ones_theirs() {
        let owner = |uid| Owner {
            installation: Uuid::from_u128(1),
            kind: labels::INSTANCE_SNAPSHOT.to_owned(),
            namespace: "shop".to_owned(),
            name: "before".to_owned(),
            uid: Uuid::from_u128(uid),
        };
        let former = BTreeSet::from([Uuid::from_u128(2), Uuid::from_u128(3)]);
        let marks = labels::of_snapshot(&owner(4), controller_backend::Consistency::AtRest, &former);
        let image =
            |tag: String| ImageSummary { labels: marks.clone(), repo_tags: vec![tag], ..ImageSummary::default() };
        assert_eq!(adopted(&[image(reference(Uuid::from_u128(4)))]), former);
        assert_eq!(adopted(&[image("somebody/made-it:1".to_owned())]), BTreeSet::new());
    }
}
