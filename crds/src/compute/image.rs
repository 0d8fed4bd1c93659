//! The kind Image: a disk that the virtual machines of its namespace can be made from.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// A disk that the virtual machines of its namespace can be made from. It is imported once, and never changes.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "Image",
    namespaced,
    status = "ImageStatus",
    derive = "PartialEq",
    shortname = "img",
    category = "all",
    category = "cloud",
    doc = "A disk that the virtual machines of its namespace can be made from. It is imported once, and never changes.",
    annotation("thecloud.dev/schema-version", "3"),
    annotation(
        "thecloud.dev/charges",
        r#"[{"names": ["storage", "requests.storage"], "amount": [{"field": "spec.maxSize"}]}]"#
    ),
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
    .message("source and format can't be changed: make a second Image, so that nobody's machine changes under them"))]
#[x_kube(validation = Rule::new("quantity(string(self.maxSize)).compareTo(quantity(string(oldSelf.maxSize))) >= 0")
    .message("maxSize can't shrink: make a second Image"))]
pub struct ImageSpec {
    /// Where it is imported from.
    pub source: ImageSource,
    /// How the source is written; of no account for a snapshot.
    #[serde(default)]
    pub format: ImageFormat,
    /// The most that it may take on the host, as a download and once it is imported, wherever from; a quota on `storage` counts it.
    #[serde(default = "default_max_size")]
    pub max_size: Quantity,
    /// The least root disk that a machine made from it has: one that is to have less waits, and one that says nothing of
    /// its size gets this. It counts when a machine is made. The size of the disk that it holds when not set, or less.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_disk: Option<Quantity>,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

fn default_max_size() -> Quantity {
    Quantity::from("10Gi")
}

/// Where an Image is imported from.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.url) != has(self.snapshot)")
    .message("source is either a url with its checksum, or the snapshot of a virtual machine"))]
#[x_kube(validation = Rule::new("has(self.url) == has(self.checksum)")
    .message("a url needs a checksum, sha256:<64 hex digits> or sha512:<128 hex digits>, as its publisher tells it; a snapshot takes none"))]
pub struct ImageSource {
    /// Where the server downloads it from, once, by http or https. An address that isn't public, at once or after a
    /// redirect, is refused unless the server was started with `--image-allow-private`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("self.matches('^https?://[^/?#@[:space:]]+([/?#][^[:space:]]*)?$')")
        .message("must be an http or https URL without a user name or password, such as https://cloud.debian.org/images/debian-12.qcow2"))]
    #[schemars(length(min = 1, max = 2048))]
    pub url: Option<String>,
    /// What the download must hash to, as its publisher tells it: `sha256:<hex>` or `sha512:<hex>`. Required with `url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 135))]
    #[x_kube(validation = Rule::new("self.matches('^(sha256:[0-9a-fA-F]{64}|sha512:[0-9a-fA-F]{128})$')")
        .message("must be sha256:<64 hex digits> or sha512:<128 hex digits>"))]
    pub checksum: Option<String>,
    /// The name of an InstanceSnapshot of a virtual machine, in the same namespace. Its disk is copied once: the snapshot can
    /// be deleted afterwards. If there is none yet, or it isn't ready, the image waits for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub snapshot: Option<String>,
}

/// How a disk is written into a file.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum ImageFormat {
    /// QEMU's own, which holds only what was written. One that refers to another file is refused.
    #[default]
    Qcow2,
    /// Byte for byte.
    Raw,
}

/// What the image is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ImageStatus {
    /// One word for people: Pending, Importing, Ready, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether machines can be made from it. `Stalled`: it needs the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How much of the download has come, in percent, while it is imported from a url that tells its size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<i32>,
    /// Attempts in a row to import it that failed; they double the pause before the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub import_failures: Option<i32>,
    /// When it is tried again, while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_import: Option<Time>,
    /// The id of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The size of the disk that it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<Quantity>,
    /// What it takes on the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
}
