//! The kind InstancePolicy: what the Instances of some namespaces may do on their host beyond the common bounds.

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In `namespaces`: every namespace.
pub const EVERYWHERE: &str = "*";

/// What the Instances of some namespaces may do on their host beyond the common bounds, if their `securityContext` asks for
/// it. Without one none may do more; several add up. Whoever may write one can take the host over.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "InstancePolicy",
    plural = "instancepolicies",
    derive = "PartialEq",
    shortname = "ipol",
    category = "all",
    category = "cloud",
    doc = "What the Instances of some namespaces may do on their host beyond the common bounds, if their `securityContext` asks for it. Without one none may do more; several add up. Whoever may write one can take the host over.",
    annotation("thecloud.dev/schema-version", "1"),
    printcolumn(
        name = "Namespaces",
        type_ = "string",
        json_path = ".spec.namespaces",
        description = "Whose Instances may do it."
    ),
    printcolumn(
        name = "Capabilities",
        type_ = "string",
        json_path = ".spec.allow.capabilities",
        description = "Capabilities that they may add."
    ),
    printcolumn(
        name = "Devices",
        type_ = "string",
        json_path = ".spec.allow.devices",
        description = "Devices of the host that they may use."
    ),
    printcolumn(
        name = "Processes",
        type_ = "integer",
        json_path = ".spec.allow.processes",
        description = "The highest limit of processes that they may set."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct InstancePolicySpec {
    /// The namespaces that it is for, by name; `*` is every one. A name counts for whatever namespace has it, also for one
    /// that is made later.
    #[schemars(length(min = 1, max = 1024), inner(length(min = 1, max = 63)))]
    pub namespaces: Vec<String>,
    /// What their Instances may ask for. When it no longer is, the machines that have it are stopped.
    pub allow: Allowance,
}

/// What Instances may ask for beyond the common bounds.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Allowance {
    /// Linux capabilities, without `CAP_`: `NET_ADMIN`. `SYS_ADMIN`, `SYS_MODULE`, `SYS_PTRACE`, `DAC_READ_SEARCH` and
    /// `SYS_RAWIO` are as good as root on the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = "^[A-Z][A-Z0-9_]*$")))]
    pub capabilities: Vec<String>,
    /// Devices of the host: `/dev/net/tun`. Whoever reads and writes a disk of the host has the host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256), regex(pattern = "^/dev/[^/.:][^/:]*(/[^/.:][^/:]*)*$")))]
    pub devices: Vec<String>,
    /// The most processes and threads at a time that one of them may set as its limit; 4096 are free to all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4194304))]
    pub processes: Option<i32>,
}

impl InstancePolicy {
    /// Whether it is for this namespace.
    #[must_use]
    pub fn is_for(&self, namespace: &str) -> bool {
        self.spec.namespaces.iter().any(|name| name == EVERYWHERE || name == namespace)
    }
}
