//! What an Image and a ClusterImage differ in: who may use it, where it may come from, and what it may take.

use std::fmt::Debug;
use std::sync::Arc;

use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::{Image, ImageFormat, ImageStatus};
use crds::quantity::Quantity;
use kube::{Api, Client, Resource};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::runtime::{Queue, Store};
use crate::world::{Queues, Stores};

/// An Image or a ClusterImage.
pub(crate) trait AnyImage:
    Resource<DynamicType = ()> + Clone + Debug + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// The kind's name.
    const KIND: &'static str;

    /// The way to those of a namespace, or of the cluster.
    fn api(client: Client, namespace: &str) -> Api<Self>;

    /// All of them.
    fn store(stores: &Stores) -> &Arc<Store<Self>>;

    /// Those to look at.
    fn queue(queues: &Queues) -> &Queue;

    /// What it should be.
    fn wish(&self) -> Wish<'_>;

    /// What it is.
    fn status(&self) -> Option<&ImageStatus>;
}

/// What an image should be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) path: Option<&'a str>,
    pub(crate) url: Option<&'a str>,
    pub(crate) checksum: Option<&'a str>,
    /// The namespace and the name of an InstanceSnapshot.
    pub(crate) snapshot: Option<(&'a str, &'a str)>,
    pub(crate) format: ImageFormat,
    /// The most that it may take; `None`: what the server imports at all.
    pub(crate) max_size: Option<&'a Quantity>,
    /// The least root disk of a machine made from it.
    pub(crate) min_disk: Option<&'a Quantity>,
}

impl AnyImage for Image {
    const KIND: &'static str = "Image";

    fn api(client: Client, namespace: &str) -> Api<Self> {
        Api::namespaced(client, namespace)
    }

    fn store(stores: &Stores) -> &Arc<Store<Self>> {
        &stores.images
    }

    fn queue(queues: &Queues) -> &Queue {
        &queues.images
    }

    fn wish(&self) -> Wish<'_> {
        let (source, namespace) = (&self.spec.source, self.metadata.namespace.as_deref());
        Wish {
            path: None,
            url: source.url.as_deref(),
            checksum: source.checksum.as_deref(),
            snapshot: source.snapshot.as_deref().map(|name| (namespace.unwrap_or_default(), name)),
            format: self.spec.format,
            max_size: Some(&self.spec.max_size),
            min_disk: self.spec.min_disk.as_ref(),
        }
    }

    fn status(&self) -> Option<&ImageStatus> {
        self.status.as_ref()
    }
}

impl AnyImage for ClusterImage {
    const KIND: &'static str = "ClusterImage";

    fn api(client: Client, _namespace: &str) -> Api<Self> {
        Api::all(client)
    }

    fn store(stores: &Stores) -> &Arc<Store<Self>> {
        &stores.cluster_images
    }

    fn queue(queues: &Queues) -> &Queue {
        &queues.cluster_images
    }

    fn wish(&self) -> Wish<'_> {
        let source = &self.spec.source;
        Wish {
            path: source.path.as_deref(),
            url: source.url.as_deref(),
            checksum: source.checksum.as_deref(),
            snapshot: source.snapshot.as_ref().map(|named| (named.namespace.as_str(), named.name.as_str())),
            format: self.spec.format,
            max_size: None,
            min_disk: self.spec.min_disk.as_ref(),
        }
    }

    fn status(&self) -> Option<&ImageStatus> {
        self.status.as_ref()
    }
}
