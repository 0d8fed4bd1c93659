//! The kind ClusterImage: a disk that the virtual machines of every namespace can be made from.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::image::{ImageFormat, ImageStatus};
use crate::quantity::Quantity;

/// A disk that the virtual machines of every namespace can be made from. It is imported once, and never changes.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "ClusterImage",
    status = "ImageStatus",
    derive = "PartialEq",
    shortname = "cimg",
    category = "all",
    category = "cloud",
    doc = "A disk that the virtual machines of every namespace can be made from. It is imported once, and never changes.",
    annotation("thecloud.dev/schema-version", "4"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(
        name = "Disk",
        type_ = "string",
        json_path = ".status.diskSize",
        description = "The size of the disk that it holds."
    ),
    printcolumn(
        name = "Size",
        type_ = "string",
        json_path = ".status.size",
        description = "What it takes on the host."
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
        description = "Why it is, or isn't, ready.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.source == oldSelf.source && self.format == oldSelf.format")
    .message("source and format can't be changed: make a second ClusterImage, so that nobody's machine changes under them"))]
pub struct ClusterImageSpec {
    /// Where it is imported from.
    pub source: ClusterImageSource,
    /// How the source is written; of no account for a snapshot.
    #[serde(default)]
    pub format: ImageFormat,
    /// The least root disk that a machine made from it has: one that is to have less waits, and one that says nothing of
    /// its size gets this. It counts when a machine is made. The size of the disk that it holds when not set, or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_disk: Option<Quantity>,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// Where a ClusterImage is imported from.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.path), has(self.url), has(self.snapshot)].exists_one(named, named)")
    .message("source is one of a path, of a file in the server's --image-dir, a url with its checksum, and the snapshot of a virtual machine"))]
#[x_kube(validation = Rule::new("has(self.url) == has(self.checksum)")
    .message("a url needs a checksum, sha256:<64 hex digits> or sha512:<128 hex digits>, as its publisher tells it; a path and a snapshot take none"))]
pub struct ClusterImageSource {
    /// A file in the directory that the server was started with as `--image-dir`, by its path in there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("!self.startsWith('/') && !self.split('/').exists(part, part == '..' || part == '')")
        .message("must be a path inside the server's --image-dir, such as debian-12.qcow2"))]
    #[schemars(length(min = 1, max = 1024))]
    pub path: Option<String>,
    /// Where the server downloads it from, once, by http or https. An address that isn't public, at once or after a
    /// redirect, is refused unless the server was started with `--image-allow-private`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#@[:space:]]+([/?#][^[:space:]]*)?$')")
        .message("must be an http or https URL without a user name or password, such as https://cloud.debian.org/images/debian-12.qcow2"))]
    #[schemars(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// What the download must hash to: `sha256:<hex>` or `sha512:<hex>`. Required with `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 135))]
    #[x_kube(validation = Rule::new("self.matches('^(sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128})$')")
        .message("must be sha256:<64 hex digits> or sha512:<128 hex digits>"))]
    pub checksum: Option<String>,
    /// An InstanceSnapshot of a virtual machine. Its disk is copied once: the snapshot can be deleted afterwards. If there is
    /// none yet, or it isn't ready, the image waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotReference>,
}

/// An InstanceSnapshot of some namespace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SnapshotReference {
    /// The namespace that it is in.
    #[schemars(length(min = 1, max = 63))]
    pub namespace: String,
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
}
