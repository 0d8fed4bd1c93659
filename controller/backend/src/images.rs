//! The port for images: finding what a machine is made from, and fetching it.

use async_trait::async_trait;
use serde::Serialize;

use crate::Error;

/// Finds and fetches images. Images are shared on a host: they bear no marks and are never removed here.
#[async_trait]
pub trait Images: Send + Sync {
    /// The image that a reference or id names on this host, if it is here. Never asks a registry.
    async fn resolve(&self, reference: &str) -> Result<Option<Image>, Error>;

    /// Fetches the image from the registry that the reference names. May take minutes; can be cut off and repeated.
    async fn pull(&self, reference: &str) -> Result<Image, PullError>;
}

/// An image on this host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Image {
    /// The id of its content: what a reference means may change, this does not.
    pub id: String,
    /// Its size on the host.
    pub size_bytes: u64,
    /// The ports that it says it serves, such as `80/tcp`, sorted.
    pub exposed_ports: Vec<String>,
    /// Its entrypoint; empty when it has none.
    pub entrypoint: Vec<String>,
    /// Its default arguments, or its command when it has no entrypoint.
    pub command: Vec<String>,
    /// The user that it runs as; empty for root.
    pub user: String,
}

/// Why an image could not be fetched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry answered that there is no such image.
    #[error("no such image `{reference}`")]
    NoSuchImage {
        /// The reference.
        reference: String,
    },
    /// The registry refuses it without credentials; many also answer so when there is no such image.
    #[error("image `{reference}` does not exist or needs credentials")]
    Denied {
        /// The reference.
        reference: String,
    },
    /// No registry answered.
    #[error("no registry can be reached for image `{reference}`")]
    Unreachable {
        /// The reference.
        reference: String,
        /// The engine's own words.
        source: crate::Source,
    },
    /// The engine failed.
    #[error("pull image `{reference}`")]
    Backend {
        /// The reference.
        reference: String,
        /// How it failed.
        source: Error,
    },
}
