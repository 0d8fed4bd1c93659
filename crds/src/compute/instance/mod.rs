//! The kind Instance: one machine, a container or a virtual machine.

mod environment;
mod health;
mod mounts;
mod ports;
mod security;
mod status;

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

pub use self::environment::{EnvFrom, EnvSource, EnvVar, FieldRef, KeyRef, ObjectRef, SecretUpdatePolicy};
pub use self::health::{ExecCheck, HealthCheck, HttpCheck, OnFailure, TcpCheck};
pub use self::mounts::{EmptyDir, VolumeMount};
pub use self::ports::{Port, PortStatus, Protocol, Publish};
pub use self::security::{Capabilities, SecurityContext};
pub use self::status::{Exit, InstancePhase, InstanceStatus, SecretStatus};

/// One machine.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "Instance",
    namespaced,
    status = "InstanceStatus",
    derive = "PartialEq",
    shortname = "inst",
    category = "all",
    category = "cloud",
    doc = "One machine.",
    annotation("thecloud.dev/schema-version", "15"),
    annotation("thecloud.dev/connect", "log,exec,console,portforward,metrics"),
    annotation(
        "thecloud.dev/charges",
        r#"[
  {"names": ["cpu", "requests.cpu", "limits.cpu"], "amount": [
    {"field": "spec.resources.cpu"},
    {"field": "spec.cpu", "of": {
      "resource": "instancetypes.thecloud.dev", "nameField": "spec.instanceType", "nameSetting": "instanceType"}}]},
  {"names": ["memory", "requests.memory", "limits.memory"], "amount": [
    {"field": "spec.resources.memory"},
    {"field": "spec.memory", "of": {
      "resource": "instancetypes.thecloud.dev", "nameField": "spec.instanceType", "nameSetting": "instanceType"}}]}
]"#
    ),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
        description = "Whether reality equals the spec."
    ),
    printcolumn(name = "IP", type_ = "string", json_path = ".status.ip", description = "Address in its Vpc."),
    printcolumn(
        name = "Restarts",
        type_ = "integer",
        json_path = ".status.restartCount",
        description = "How often it was started again."
    ),
    printcolumn(
        name = "Published",
        type_ = "string",
        json_path = ".status.published",
        description = "Where its published ports are reached."
    ),
    printcolumn(
        name = "Vpc",
        type_ = "string",
        json_path = ".spec.vpc",
        description = "The network it is in.",
        priority = 1
    ),
    printcolumn(
        name = "Type",
        type_ = "string",
        json_path = ".status.instanceType",
        description = "Its size.",
        priority = 1
    ),
    printcolumn(
        name = "Image",
        type_ = "string",
        json_path = ".spec.image",
        description = "What it runs.",
        priority = 1
    ),
    printcolumn(
        name = "Backend",
        type_ = "string",
        json_path = ".status.backend",
        description = "What runs it.",
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
#[x_kube(validation = Rule::new("has(self.backend) == has(oldSelf.backend) && (!has(self.backend) || self.backend == oldSelf.backend)")
    .message("backend can't be changed: delete the Instance and make it again"))]
#[x_kube(validation = Rule::new("!has(self.backend) || self.backend != 'libvirt' || (has(self.replaceToken) ? self.replaceToken : '') != (has(oldSelf.replaceToken) ? oldSelf.replaceToken : '') || ((has(self.image) ? self.image : '') == (has(oldSelf.image) ? oldSelf.image : '') && (has(self.imageSnapshot) ? self.imageSnapshot : '') == (has(oldSelf.imageSnapshot) ? oldSelf.imageSnapshot : '') && has(self.cloudInit) == has(oldSelf.cloudInit) && (!has(self.cloudInit) || self.cloudInit == oldSelf.cloudInit) && has(self.sshAuthorizedKeys) == has(oldSelf.sshAuthorizedKeys) && (!has(self.sshAuthorizedKeys) || self.sshAuthorizedKeys == oldSelf.sshAuthorizedKeys))")
    .message("image, imageSnapshot, cloudInit and sshAuthorizedKeys of a virtual machine count at its first boot only: change replaceToken too to have it replaced, which loses its root disk"))]
#[x_kube(validation = Rule::new("has(self.image) != has(self.imageSnapshot)")
    .message("an Instance is made from an image or from an imageSnapshot: set exactly one of the two"))]
pub struct InstanceSpec {
    /// What it runs. A container: an image reference such as `nginx:1.27`. A virtual machine: the name of an Image of its
    /// namespace, or else of a ClusterImage, which counts when it is made.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(length(min = 1, max = 512))]
    pub image: String,
    /// Instead of `image`: the name of an InstanceSnapshot in the same namespace, taken of an Instance on the same
    /// backend. It begins with what that one's root disk held; a container also with the command and environment of the
    /// image that that one was made from. A virtual machine does its first boot again. It counts when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub image_snapshot: Option<String>,
    /// What runs it. The server's default when not set; `status.backend` says which. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<BackendName>,
    /// The name of an InstanceType. The server's default (`small`) when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub instance_type: Option<String>,
    /// Amounts that override those of the type. Changes apply in place; of a virtual machine some take a restart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Whether it runs. Waiting for `Ready` finishes on a machine that is stopped on purpose, too.
    #[serde(default)]
    pub power_state: PowerState,
    /// Whether it is started again when it ends by itself; the pause doubles from 10 s to 5 min while it keeps crashing.
    #[serde(default)]
    pub restart_policy: RestartPolicy,
    /// Runs instead of the image's entrypoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub command: Vec<String>,
    /// Arguments of the entrypoint, instead of the image's own.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub args: Vec<String>,
    /// The directory that the command starts in, instead of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 4096))]
    pub working_dir: Option<String>,
    /// The user that the command runs as (`name`, `uid` or `uid:gid`), instead of the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub user: Option<String>,
    /// Environment variables, added to the image's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 1024))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["name".into()]))]
    pub env: Vec<EnvVar>,
    /// Whole Secrets and ConfigMaps as environment variables. `env` wins over them, a later one over an earlier.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    pub env_from: Vec<EnvFrom>,
    /// What a change of a Secret does that its environment or files come from.
    #[serde(default)]
    pub secret_update_policy: SecretUpdatePolicy,
    /// The Vpc it joins. When it is not set, the namespace's Vpc `default`, which is made when first needed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub vpc: Option<String>,
    /// Ports that it serves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["port".into(), "protocol".into()]))]
    pub ports: Vec<Port>,
    /// Directories and devices mounted into it. A container is replaced when they change; of a virtual machine devices change
    /// while it runs, and directories when it is started.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["mountPath".into()]))]
    pub volumes: Vec<VolumeMount>,
    /// How to find out whether it serves. Without one it counts as available when it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health_check: Option<HealthCheck>,
    /// Where its bounds on its host differ from the common ones. A virtual machine has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_context: Option<SecurityContext>,
    /// How long it may take to end after SIGTERM before it is killed.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 3600))]
    pub termination_grace_period_seconds: i64,
    /// Public keys, in the form of `authorized_keys`, that may log in to a virtual machine as its image's own user. They
    /// count at its first boot. Containers have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 16384)))]
    pub ssh_authorized_keys: Vec<String>,
    /// What a virtual machine is told at its first boot besides its name, keys and address. Containers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud_init: Option<CloudInit>,
    /// Any text. Changing it has a virtual machine replaced by one made anew: its root disk is lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub replace_token: Option<String>,
    /// Any text. Changing it has the machine stopped and started again, once; one that has ended is started. Nothing of it
    /// is lost, and `restartPolicy` doesn't matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub restart_token: Option<String>,
    /// Reserved: an installation has one host today.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub host: Option<String>,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

fn ten() -> i64 {
    10
}

impl Instance {
    /// The Vpc it joins.
    #[must_use]
    pub fn vpc(&self) -> &str {
        self.spec.vpc.as_deref().unwrap_or(crate::DEFAULT_VPC)
    }

    /// What runs it: what its spec says, or else what runs it already, or else the server's default.
    #[must_use]
    pub fn backend(&self, default: BackendName) -> BackendName {
        let known = || BackendName::parse(self.status.as_ref()?.backend.as_deref()?);
        self.spec.backend.or_else(known).unwrap_or(default)
    }

    /// The names of the Volumes it mounts, each with whether every mount of it is read-only.
    #[must_use]
    pub fn volumes(&self) -> BTreeMap<&str, bool> {
        let mut volumes = BTreeMap::new();
        for mount in &self.spec.volumes {
            if let Some(name) = &mount.volume {
                let read_only = volumes.entry(name.as_str()).or_insert(true);
                *read_only &= mount.read_only;
            }
        }
        volumes
    }
}

/// What runs an Instance.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub enum BackendName {
    /// A container on Docker.
    Docker,
    /// A virtual machine on libvirt.
    Libvirt,
}

impl BackendName {
    /// The name as the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Libvirt => "libvirt",
        }
    }

    /// The backend of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Docker, Self::Libvirt].into_iter().find(|backend| backend.as_str() == name)
    }
}

/// What a virtual machine is told at its first boot, by cloud-init.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CloudInit {
    /// User data: `#cloud-config`, a script that begins with `#!`, or whatever else cloud-init reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 262144))]
    pub user_data: Option<String>,
    /// Network config, in place of the one that gives the machine its address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 65536))]
    pub network_config: Option<String>,
}

/// Amounts that override those of the InstanceType.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.memory) || !has(self.maxMemory) || quantity(string(self.maxMemory)).compareTo(quantity(string(self.memory))) >= 0")
    .message("maxMemory is less than memory: make it as much or more, or leave it out"))]
pub struct Resources {
    /// Processors: `500m` is half of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory in bytes, swap included: `256Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
    /// As much as `memory` of a virtual machine can become while it runs, in bytes: `4Gi`. It counts when the machine starts,
    /// and costs a Linux guest 64 MiB: begin with 256Mi or more. Without it more memory takes a restart. The memory of containers grows without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_memory: Option<Quantity>,
    /// Size of a virtual machine's root disk, in bytes; at least the image's. It counts when the machine is made.
    /// Containers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Quantity>,
}

/// Whether a machine runs.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PowerState {
    /// It runs.
    #[default]
    Running,
    /// It is stopped; its address and Volumes are kept.
    Stopped,
    /// It is frozen in memory.
    Paused,
}

/// When a machine that ended by itself is started again.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Whatever its exit code.
    #[default]
    Always,
    /// When its exit code isn't 0. One that is asked to stop by somebody else and ends with 0 rests.
    OnFailure,
    /// Never.
    Never,
}
