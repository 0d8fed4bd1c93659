//! Where an Instance's bounds on its host differ from the common ones.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a container's bounds on its host differ from the common ones. Less is free; more takes an InstancePolicy for its
/// namespace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecurityContext {
    /// Linux capabilities that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Capabilities>,
    /// Devices of the host that it reads and writes, under the same path: `/dev/net/tun`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 256), regex(pattern = "^/dev/[^/.:][^/:]*(/[^/.:][^/:]*)*$")))]
    pub devices: Vec<String>,
    /// The most processes and threads that it may have at a time. 4096 when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 4194304))]
    pub process_limit: Option<i32>,
}

/// Linux capabilities that differ from the common ones, without `CAP_`. They count for a process of root's.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.add) || !self.add.exists(name, name == 'ALL')")
    .message("add each capability by its name: ALL can only be dropped"))]
pub struct Capabilities {
    /// Those that it has more: `NET_ADMIN`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = "^[A-Z][A-Z0-9_]*$")))]
    pub add: Vec<String>,
    /// Those that it has less, or `ALL`. What is in `add` comes on top.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(max = 64), regex(pattern = "^[A-Z][A-Z0-9_]*$")))]
    pub drop: Vec<String>,
}
