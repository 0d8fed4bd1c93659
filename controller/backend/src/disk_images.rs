//! The port for disk images: what virtual machines are made from. A backend whose images come from a registry has none.

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::Serialize;
use uuid::Uuid;

use crate::{Error, Owner, Progress};

/// Imports, keeps and removes the disk images of one installation.
///
/// # Guarantees
/// - What was imported never changes: it is read-only, and each machine that is made from it writes elsewhere.
/// - `ensure` that was cut off anywhere is completed by the next; a half-imported image is not there yet.
/// - An image stands alone: a source that refers to another file of the host is refused, and what becomes of a snapshot
///   changes no image that was made from it.
/// - What is downloaded is what the checksum says, or it is not there; and never is the host's disk filled by it.
#[async_trait]
pub trait DiskImages: Send + Sync {
    /// All images of the installation, sorted by owner's uid.
    async fn list(&self) -> Result<Vec<DiskImage>, Error>;

    /// The image of one owner.
    async fn find(&self, owner: Uuid) -> Result<Option<DiskImage>, Error>;

    /// Imports the image unless it is there, and tells on the way how much of a download has come. May take hours;
    /// dropping the call ends it.
    ///
    /// # Errors
    /// Those of [`ImportError`]. Of a file, as [`ImportError::Backend`]: `NotFound` if it is not there, `Invalid` if it is
    /// not such an image, refers to another file, or is outside of what the backend was told to import from. Of a snapshot
    /// the same `NotFound` if it is not there.
    async fn ensure(&self, spec: &DiskImageSpec, progress: &Progress) -> Result<DiskImage, ImportError>;

    /// Removes the image of one owner, also what a half-done import left; `Ok` if there is none.
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
    /// The most bytes that it may take, as a download and once it is imported, where the backend's own limit isn't less.
    pub max_bytes: Option<u64>,
}

/// Where a disk image comes from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub enum DiskSource {
    /// A file in the directory that the backend was told to import from, by its path in there.
    File(String),
    /// Whatever is served there by http or https, if it is what the checksum says.
    Url {
        /// Where.
        url: String,
        /// What it must be.
        checksum: Checksum,
    },
    /// What the snapshot of a machine with a disk of its own holds, by its owner's uid. How it is written is of no account.
    Snapshot(Uuid),
}

/// What a file's content hashes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(into = "String")]
pub struct Checksum {
    algorithm: Algorithm,
    /// In lower-case hex digits.
    digest: String,
}

/// How it is hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// The text is not a checksum.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a checksum such as sha256:<64 hex digits> or sha512:<128 hex digits>")]
pub struct ParseChecksumError(String);

impl Checksum {
    /// What was hashed this way gave these bytes.
    pub fn new(algorithm: Algorithm, digest: &[u8]) -> Self {
        Self { algorithm, digest: digest.iter().map(|byte| format!("{byte:02x}")).collect() }
    }

    /// How it is hashed.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl FromStr for Checksum {
    type Err = ParseChecksumError;

    fn from_str(text: &str) -> Result<Self, ParseChecksumError> {
        let wrong = || ParseChecksumError(text.to_owned());
        let (name, digest) = text.split_once(':').ok_or_else(wrong)?;
        let (algorithm, length) = match name {
            "sha256" => (Algorithm::Sha256, 64),
            "sha512" => (Algorithm::Sha512, 128),
            _ => return Err(wrong()),
        };
        if digest.len() != length || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(wrong());
        }
        Ok(Self { algorithm, digest: digest.to_ascii_lowercase() })
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.algorithm {
            Algorithm::Sha256 => "sha256",
            Algorithm::Sha512 => "sha512",
        };
        write!(formatter, "{name}:{}", self.digest)
    }
}

impl From<Checksum> for String {
    fn from(checksum: Checksum) -> Self {
        checksum.to_string()
    }
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

/// Why an image could not be imported. The texts are whole sentences without their full stop, for the user.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The server answered that there is nothing, or nothing for us.
    #[error("{message}")]
    NoSuchSource {
        /// Who answered what.
        message: String,
    },
    /// The backend does not go there: the address is not public, the scheme not http, or the redirects do not end.
    #[error("{message}")]
    Refused {
        /// What is refused, why, and what to do.
        message: String,
    },
    /// What came is not what the checksum says.
    #[error(
        "the download hashes to {actual}, not to {expected}: it is broken, was changed, or the checksum is another file's"
    )]
    ChecksumMismatch {
        /// What it should be.
        expected: Checksum,
        /// What it is.
        actual: Checksum,
    },
    /// It is larger than an image may be.
    #[error("{message}")]
    TooLarge {
        /// What is too large, and what the limit is.
        message: String,
    },
    /// The host has no room for it now.
    #[error("{message}")]
    NoRoom {
        /// How much is missing.
        message: String,
    },
    /// It did not come, or not whole; later it may.
    #[error("{message}")]
    Unreachable {
        /// Who did not answer, or how it broke off.
        message: String,
    },
    /// The owner's namespace downloads as many as it may at a time.
    #[error("{message}")]
    Busy {
        /// How many.
        message: String,
    },
    /// The backend refused or failed.
    #[error("import the image")]
    Backend {
        /// How.
        source: Error,
    },
}

impl ImportError {
    /// A failure of the backend.
    pub fn backend(source: Error) -> Self {
        Self::Backend { source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_read_in_any_case_and_written_in_lower_case() {
        for (name, length) in [("sha256", 64), ("sha512", 128)] {
            let text = format!("{name}:{}", "Ab".repeat(length / 2));
            assert_eq!(text.parse::<Checksum>().unwrap().to_string(), text.to_ascii_lowercase());
        }
        let short = format!("sha256:{}", "a".repeat(63));
        let other = format!("sha256:{}g", "a".repeat(63));
        for wrong in ["", "sha256", "sha256:", "md5:0", &short, &other, &format!("sha512:{}", "a".repeat(64))] {
            assert!(wrong.parse::<Checksum>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_digest_is_told_as_it_is_read() {
        let checksum = Checksum::new(Algorithm::Sha256, &[0xab; 32]);
        assert_eq!(checksum.to_string().parse(), Ok(checksum));
    }
}
