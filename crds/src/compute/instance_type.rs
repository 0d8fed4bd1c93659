//! The kind InstanceType: a named size of machine.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// A named size of machine. Instances name one with `spec.instanceType`.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "InstanceType",
    derive = "PartialEq",
    shortname = "itype",
    category = "all",
    category = "cloud",
    doc = "A named size of machine. Instances name one with `spec.instanceType`.",
    annotation("thecloud.dev/schema-version", "1"),
    printcolumn(name = "CPU", type_ = "string", json_path = ".spec.cpu", description = "Processors."),
    printcolumn(name = "Memory", type_ = "string", json_path = ".spec.memory", description = "Memory."),
    printcolumn(
        name = "Disk",
        type_ = "string",
        json_path = ".spec.disk",
        description = "Root disk of a virtual machine.",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct InstanceTypeSpec {
    /// Processors: `500m` is half of one.
    pub cpu: Quantity,
    /// Memory, in bytes: `512Mi`.
    pub memory: Quantity,
    /// Size of a virtual machine's root disk, in bytes. Containers don't have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Quantity>,
}

/// The type of an Instance that names none, unless the server is told another.
pub const DEFAULT: &str = "small";

/// The types that a new installation starts with: name, cpu, memory.
pub const SHIPPED: [(&str, &str, &str); 6] = [
    ("nano", "250m", "128Mi"),
    ("micro", "500m", "256Mi"),
    ("small", "1", "512Mi"),
    ("medium", "2", "2Gi"),
    ("large", "4", "8Gi"),
    ("xlarge", "8", "16Gi"),
];
