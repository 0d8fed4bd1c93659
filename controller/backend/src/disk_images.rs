//! The port for disk images: what virtual machines are made from. A backend whose images come from a registry has none.

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, Owner};

/// Imports, keeps and removes the disk images of one installation.
///
/// # Guarantees
/// - What was imported never changes: it is read-only, and each machine that is made from it writes elsewhere.
/// - `ensure` that was cut off anywhere is completed by the next; a half-imported image is not there yet.
/// - An image stands alone: a source that refers to another file of the host is refused.
#[async_trait]
pub trait DiskImages: Send + Sync {
    /// All images of the installation, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<DiskImage>, Error>;

    /// The image of one owner.
    async fn find(&self, owner: Uuid) -> Result<Option<DiskImage>, Error>;

    /// Imports the image unless it is there. May take minutes.
    ///
    /// # Errors
    /// `NotFound` if the source is not there. `Invalid` if it is not such an image, refers to another file, or is
    /// outside of what the backend was told to import from.
    async fn ensure(&self, spec: &DiskImageSpec) -> Result<DiskImage, Error>;

    /// Removes the image of one owner; `Ok` if there is none.
    ///
    /// # Errors
    /// `Conflict` (`InUse`) names the machines that were made from it.
    async fn remove(&self, owner: Uuid) -> Result<(), Error>;
}

/// What a disk image should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskImageSpec {
    /// The marks. A machine names the image by their uid.
    pub owner: Owner,
    /// Where it comes from.
    pub source: DiskSource,
    /// How the source is written.
    pub format: DiskFormat,
}

/// Where a disk image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum DiskSource {
    /// A file in the directory that the backend was told to import from, by its path in there.
    File(String),
}

/// How a disk is written into a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum DiskFormat {
    /// QEMU's own, which holds only what was written.
    Qcow2,
    /// Byte for byte.
    Raw,
}

/// A disk image as it exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskImage {
    /// The marks.
    pub owner: Owner,
    /// The id of its content.
    pub id: String,
    /// The size of the disk that it holds.
    pub disk_bytes: u64,
    /// What it takes on the host.
    pub stored_bytes: u64,
}
