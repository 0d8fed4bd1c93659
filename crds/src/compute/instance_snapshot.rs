//! The kind InstanceSnapshot: what the root disk of an Instance held at one moment.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::instance::BackendName;
use crate::quantity::Quantity;
use crate::storage::volume::DeletionPolicy;

/// What the root disk of an Instance held at one moment. Instances can be made from it, as from an image.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "InstanceSnapshot",
    namespaced,
    status = "InstanceSnapshotStatus",
    derive = "PartialEq",
    shortname = "isnap",
    category = "all",
    category = "cloud",
    doc = "What the root disk of an Instance held at one moment. Instances can be made from it, as from an image.",
    annotation("thecloud.dev/schema-version", "2"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(
        name = "Instance",
        type_ = "string",
        json_path = ".spec.instance",
        description = "The Instance it is of."
    ),
    printcolumn(
        name = "Ready",
        type_ = "boolean",
        json_path = ".status.readyToUse",
        description = "Whether an Instance can be made from it."
    ),
    printcolumn(
        name = "Size",
        type_ = "string",
        json_path = ".status.size",
        description = "What it takes on the host."
    ),
    printcolumn(
        name = "Backend",
        type_ = "string",
        json_path = ".status.backend",
        description = "What runs Instances made from it.",
        priority = 1
    ),
    printcolumn(
        name = "Consistency",
        type_ = "string",
        json_path = ".status.consistency",
        description = "What was done that it is whole.",
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
#[x_kube(validation = Rule::new("has(self.instance) != has(self.retained)")
    .message("an InstanceSnapshot is either of an instance or retained"))]
#[x_kube(validation = Rule::new("has(self.instance) == has(oldSelf.instance) && (!has(self.instance) || self.instance == oldSelf.instance)")
    .message("instance can't be changed: make a second InstanceSnapshot"))]
#[x_kube(validation = Rule::new("!has(self.retained) || !has(oldSelf.retained) || self.retained == oldSelf.retained")
    .message("retained can't be changed: make a second InstanceSnapshot"))]
pub struct InstanceSnapshotSpec {
    /// The name of the Instance, in the same namespace. It may run, and goes on: `status.consistency` tells what that
    /// means for the data. What it mounts (Volumes, Secrets, ConfigMaps, empty directories), its memory and its
    /// environment aren't in the snapshot. If there is no such Instance yet, or it has never run, the snapshot is taken as
    /// soon as it has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub instance: Option<String>,
    /// Instead of `instance`: the uid of the data that a deleted InstanceSnapshot of the same namespace has left behind
    /// (`deletionPolicy: Retain`). It is taken over, not copied: nobody else can adopt it then. Administrators bring data
    /// here from other namespaces: `cloudctl admin orphans adopt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"))]
    pub retained: Option<String>,
    /// What becomes of the data when the object is deleted. The deletion of the Instance changes nothing. Retained data is
    /// adopted with `retained`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// In which state the data was when the snapshot was taken.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consistency {
    /// The Instance didn't run.
    AtRest,
    /// The Instance was held back from writing for a moment, and all that it had written by then is in it.
    Frozen,
    /// The Instance went on writing: it is what a disk holds after a power cut.
    Crash,
}

/// What the snapshot is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct InstanceSnapshotStatus {
    /// One word for people: Pending, Taking, Ready, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether the snapshot is whole. `Stalled`: it needs the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Whether the snapshot is whole, so that an Instance can be made from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ready_to_use: Option<bool>,
    /// How much of the data is copied, in percent, while a copy is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub progress: Option<i32>,
    /// What ran the Instance, and runs those that are made from the snapshot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendName>,
    /// In which state the data was when the snapshot was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
    /// The id of its content.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// The least root disk of a virtual machine that is made from it. Containers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk_size: Option<Quantity>,
    /// What it takes on the host. A container's shares with its image what it hasn't changed, which counts for both.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
}
