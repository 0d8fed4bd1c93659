//! The kind VolumeSnapshot: the data of a Volume as it was at one moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::volume::DeletionPolicy;
use crate::quantity::Quantity;

/// The data of a Volume as it was at one moment.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "VolumeSnapshot",
    namespaced,
    status = "VolumeSnapshotStatus",
    derive = "PartialEq",
    shortname = "vsnap",
    category = "all",
    category = "cloud",
    doc = "The data of a Volume as it was at one moment. It outlives the Volume.",
    annotation("thecloud.dev/schema-version", "2"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(name = "Volume", type_ = "string", json_path = ".spec.volume", description = "The Volume it is of."),
    printcolumn(
        name = "Ready",
        type_ = "boolean",
        json_path = ".status.readyToUse",
        description = "Whether a Volume can be made from it."
    ),
    printcolumn(
        name = "Size",
        type_ = "string",
        json_path = ".status.size",
        description = "The least size of a Volume made from it."
    ),
    printcolumn(
        name = "Used",
        type_ = "string",
        json_path = ".status.used",
        description = "Bytes in use on the host.",
        priority = 1
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
#[x_kube(validation = Rule::new("has(self.volume) != has(self.retained)")
    .message("a VolumeSnapshot is either of a volume or retained"))]
#[x_kube(validation = Rule::new("has(self.volume) == has(oldSelf.volume) && (!has(self.volume) || self.volume == oldSelf.volume)")
    .message("volume can't be changed: make a second VolumeSnapshot"))]
#[x_kube(validation = Rule::new("!has(self.retained) || !has(oldSelf.retained) || self.retained == oldSelf.retained")
    .message("retained can't be changed: make a second VolumeSnapshot"))]
pub struct VolumeSnapshotSpec {
    /// The name of the Volume, in the same namespace. It may be in use: writing is held back for the moment that the
    /// snapshot takes, and what it holds is what a disk holds after a power cut. If there is no such Volume yet, the
    /// snapshot is taken as soon as there is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub volume: Option<String>,
    /// Instead of `volume`: the uid of the data that a deleted VolumeSnapshot of the same namespace has left behind
    /// (`deletionPolicy: Retain`). It is taken over, not copied: nobody else can adopt it then. Administrators bring data
    /// here from other namespaces: `cloudctl admin orphans adopt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"))]
    pub retained: Option<String>,
    /// What becomes of the data when the object is deleted. The deletion of the Volume changes nothing. Retained data is
    /// adopted with `retained`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// What the snapshot is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeSnapshotStatus {
    /// One word for people: Pending, Taking, Ready, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether the snapshot is whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the snapshot is whole, so that a Volume can be made from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_to_use: Option<bool>,
    /// How much of the data is copied, in percent, while a copy is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<i32>,
    /// The size that the Volume had: the least that a Volume made from it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// Bytes that the snapshot takes on the host. Where it shares them with the Volume they count for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Quantity>,
}
