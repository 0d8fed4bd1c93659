//! What is mounted into an Instance.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

/// A directory mounted into an Instance, from exactly one source.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.volume), has(self.secret), has(self.configMap), has(self.emptyDir)].filter(x, x).size() == 1")
    .message("set exactly one of volume, secret, configMap and emptyDir"))]
pub struct VolumeMount {
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// Where it shows inside: an absolute path. Of a Block Volume, that of the device, such as `/dev/data`; a virtual machine
    /// has it as the disk with that serial, `/dev/disk/by-id/virtio-data`.
    #[x_kube(validation = Rule::new("self.startsWith('/') && self != '/' && !self.contains(':') && !self.split('/').exists(part, part == '..')")
        .message("must be an absolute path other than / and without '..' or ':'"))]
    #[schemars(length(max = 1024))]
    pub mount_path: String,
    /// Whether the machine may only read it.
    #[serde(default)]
    pub read_only: bool,
    /// The name of a Volume. One machine writes to it, unless every mount of it is read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub volume: Option<String>,
    /// The name of a Secret, whose keys become files. Always read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub secret: Option<String>,
    /// The name of a ConfigMap, whose keys become files. Always read-only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub config_map: Option<String>,
    /// A directory in memory, empty whenever the machine starts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_dir: Option<EmptyDir>,
}

/// A directory in memory, empty whenever the machine starts.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct EmptyDir {
    /// The most that it holds, in bytes; what is in it counts as the machine's memory. 64Mi when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_limit: Option<Quantity>,
}
