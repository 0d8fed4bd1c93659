//! Does one step for a ClusterImage.

use crds::compute::cluster_image::ClusterImage;

use super::{ClusterImageKind, Step};
use crate::runtime::{Applied, Failure, uid_of};

pub(super) async fn apply(
    kind: &ClusterImageKind,
    image: &ClusterImage,
    step: &Step,
) -> Result<Applied<ClusterImage>, Failure> {
    let images = kind.world.disk_images()?;
    match step {
        Step::Import(spec) => {
            let made = images.ensure(spec).await.map_err(Failure::backend("import the image"))?;
            let megabytes = made.stored_bytes / 1_000_000;
            let path = &image.spec.source.path;
            Ok(Applied::telling("Imported", format!("Imported the image from `{path}` ({megabytes} MB).")))
        }
        Step::Remove => {
            images.remove(uid_of(image)).await.map_err(Failure::backend("remove the image"))?;
            Ok(Applied::telling("Removed", "Removed the image."))
        }
    }
}
