//! Does one step for an image. Importing one may take long: how far it is goes into the status meanwhile, and it ends
//! when the object is deleted.

use controller_backend::Progress;

use super::kinds::Wish;
use super::{AnyImage, ImageKind, Step};
use crate::runtime::{Applied, Failure, uid_of};
use crate::slow::tell_progress;

pub(super) async fn apply<I: AnyImage>(kind: &ImageKind<I>, image: &I, step: &Step) -> Result<Applied<I>, Failure> {
    let images = kind.world.disk_images()?;
    match step {
        Step::Import(spec) => {
            let (world, progress) = (&kind.world, Progress::default());
            let importing = images.ensure(spec, &progress);
            let store = I::store(&world.stores);
            let (made, written) =
                tell_progress::<ImageKind<I>, _>(world, store, image, "Importing", &progress, importing).await?;
            let megabytes = made.map_err(Failure::Import)?.stored_bytes / 1_000_000;
            let from = from(image.wish());
            let done = Applied::telling("Imported", format!("Imported the image from {from} ({megabytes} MB)."));
            Ok(Applied { object: written, ..done })
        }
        Step::Remove => {
            let uid = uid_of(image);
            images.remove(uid).await.map_err(Failure::backend("remove the image"))?;
            kind.removals.remember(uid);
            Ok(Applied::telling("Removed", "Removed the image."))
        }
    }
}

/// The source, for people. What follows the path of a url may be a key to it.
fn from(wish: Wish<'_>) -> String {
    match (wish.path.or(wish.url), wish.snapshot) {
        (Some(place), _) => format!("`{}`", place.split(['?', '#']).next().unwrap_or(place)),
        (None, Some((namespace, name))) => format!("InstanceSnapshot `{namespace}/{name}`"),
        (None, None) => "elsewhere".to_owned(),
    }
}
