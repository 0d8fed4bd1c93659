//! The kind Volume: a disk that outlives the machines it is attached to.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// A disk that outlives the machines it is attached to.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "Volume",
    namespaced,
    status = "VolumeStatus",
    derive = "PartialEq",
    shortname = "vol",
    category = "all",
    category = "cloud",
    doc = "A disk that outlives the machines it is attached to.",
    annotation("thecloud.dev/schema-version", "6"),
    annotation(
        "thecloud.dev/charges",
        r#"[{"names": ["storage", "requests.storage"], "amount": [{"field": "spec.size"}]}]"#
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(name = "Size", type_ = "string", json_path = ".status.size", description = "Enforced size."),
    printcolumn(
        name = "Attached",
        type_ = "string",
        json_path = ".status.attachedTo[*]",
        description = "Instances that use it."
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
#[x_kube(validation = Rule::new("self.volumeMode == oldSelf.volumeMode").message("volumeMode can't be changed: make a second Volume"))]
#[x_kube(validation = Rule::new("quantity(string(self.size)).compareTo(quantity(string(oldSelf.size))) >= 0")
    .message("size can't shrink: make a smaller Volume and copy the data"))]
#[x_kube(validation = Rule::new("has(self.source) == has(oldSelf.source) && (!has(self.source) || self.source == oldSelf.source)")
    .message("source can't be changed: make a second Volume"))]
pub struct VolumeSpec {
    /// The size in bytes, such as `1Gi`: what can be written to it, less a file system's own needs. It is enforced,
    /// grows in place and never shrinks.
    pub size: Quantity,
    /// `Filesystem`: mounted into machines as a directory. `Block`: a raw device, which the host never looks into.
    #[serde(default)]
    pub volume_mode: VolumeMode,
    /// What the Volume holds when it is made; nothing if this is absent. It is made as soon as the source is there, and
    /// independent of it from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<VolumeSource>,
    /// What becomes of the data when the object is deleted. Retained data is adopted with `source.retained`.
    #[serde(default)]
    pub deletion_policy: DeletionPolicy,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// What a Volume holds when it is made: exactly one of these.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.snapshot), has(self.volume), has(self.retained)].filter(given, given).size() == 1")
    .message("source is one of snapshot, volume and retained"))]
pub struct VolumeSource {
    /// The name of a VolumeSnapshot in the same namespace. The Volume is at least as large as it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub snapshot: Option<String>,
    /// The name of another Volume in the same namespace, which is copied as it is at the moment; it may be in use. The
    /// Volume is at least as large as it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub volume: Option<String>,
    /// The uid of data that a deleted Volume of the same namespace has left behind (`deletionPolicy: Retain`). It is taken
    /// over, not copied: nobody else can adopt it then. The Volume is at least as large as it. Administrators bring data
    /// here from other namespaces: `cloudctl admin orphans adopt`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = r"^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$"))]
    pub retained: Option<String>,
}

/// How a Volume shows inside a machine.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VolumeMode {
    /// As a directory.
    #[default]
    Filesystem,
    /// As a device, at the path of the mount.
    Block,
}

/// What becomes of data when its object is deleted.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DeletionPolicy {
    /// It is deleted too.
    #[default]
    Delete,
    /// It stays on the host, marked as retained, until it is adopted or an administrator purges it.
    Retain,
}

/// What the disk is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VolumeStatus {
    /// One word for people: Pending, Available, InUse, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether the disk exists as declared, `SizeEnforced` whether it holds no more than its size: where the
    /// host can't mount a file it is a plain directory, and says why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The names of the Instances that use it, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attached_to: Vec<String>,
    /// The size in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Quantity>,
    /// Bytes that the data takes on the host, as last seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Quantity>,
}
