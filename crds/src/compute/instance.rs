//! The kind Instance: one machine, a container or a virtual machine.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::quantity::Quantity;

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
    annotation("thecloud.dev/schema-version", "12"),
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
    /// Amounts that override those of the type. Changes apply in place.
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
pub struct Resources {
    /// Processors: `500m` is half of one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<Quantity>,
    /// Memory in bytes, swap included: `256Mi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Quantity>,
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

/// An environment variable: a value, or where it comes from.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!(has(self.value) && has(self.valueFrom))").message("set value or valueFrom, not both"))]
pub struct EnvVar {
    /// The variable's name.
    #[x_kube(validation = Rule::new("self != '' && !self.contains('=')").message("must not be empty or contain '='"))]
    #[schemars(length(max = 256))]
    pub name: String,
    /// Its value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Where its value comes from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_from: Option<EnvSource>,
}

/// Where a variable's value comes from: exactly one of the fields.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.secretKeyRef), has(self.configMapKeyRef), has(self.fieldRef)].filter(x, x).size() == 1")
    .message("set exactly one of secretKeyRef, configMapKeyRef and fieldRef"))]
pub struct EnvSource {
    /// A key of a Secret in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_key_ref: Option<KeyRef>,
    /// A key of a ConfigMap in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<KeyRef>,
    /// A field of the Instance itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field_ref: Option<FieldRef>,
}

/// A key of a Secret or ConfigMap.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct KeyRef {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = 253))]
    pub key: String,
    /// Whether to go on without it when object or key are missing.
    #[serde(default)]
    pub optional: bool,
}

/// A field of the Instance itself.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct FieldRef {
    /// `metadata.name`, `metadata.namespace`, `metadata.uid`, `status.ip`, `status.hostname`, or
    /// `metadata.labels['KEY']` and `metadata.annotations['KEY']`.
    #[x_kube(validation = Rule::new("self in ['metadata.name', 'metadata.namespace', 'metadata.uid', 'status.ip', 'status.hostname'] || self.matches(\"^metadata[.](labels|annotations)\\\\['[^']+'\\\\]$\")")
        .message("must be metadata.name, metadata.namespace, metadata.uid, status.ip, status.hostname, metadata.labels['KEY'] or metadata.annotations['KEY']"))]
    #[schemars(length(max = 512))]
    pub field_path: String,
}

/// A whole Secret or ConfigMap as environment variables: exactly one of the two.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.secretRef) != has(self.configMapRef)").message("set exactly one of secretRef and configMapRef"))]
pub struct EnvFrom {
    /// Put before each name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 64))]
    pub prefix: Option<String>,
    /// A Secret in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<ObjectRef>,
    /// A ConfigMap in the same namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<ObjectRef>,
}

/// A Secret or ConfigMap in the same namespace.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ObjectRef {
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Whether to go on without it when it is missing.
    #[serde(default)]
    pub optional: bool,
}

/// A port that an Instance serves.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Port {
    /// A name for people and references.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub name: Option<String>,
    /// The port inside.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Protocol,
    /// Set to make the port reachable from outside the Vpc. `{}` lets the server pick a port and keep it for life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub publish: Option<Publish>,
}

/// A transport protocol.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// TCP.
    #[default]
    Tcp,
    /// UDP.
    Udp,
}

/// Where a port is reachable from outside the Vpc.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Publish {
    /// The port on the host. When it is not set, the server picks one and keeps it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The host's address that it listens on. The server's `--publish-address` (127.0.0.1) when not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("isIP(self)").message("must be an IP address of the host, such as 127.0.0.1"))]
    pub address: Option<String>,
}

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

/// How to find out whether a machine serves: exactly one of exec, tcp and http.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("[has(self.exec), has(self.tcp), has(self.http)].filter(x, x).size() == 1").message("set exactly one of exec, tcp and http"))]
pub struct HealthCheck {
    /// A command inside that ends with 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exec: Option<ExecCheck>,
    /// A port that accepts connections.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tcp: Option<TcpCheck>,
    /// A path that answers with a status from 200 to 399.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpCheck>,
    /// Seconds between two checks.
    #[serde(default = "ten_seconds")]
    #[schemars(range(min = 1, max = 3600))]
    pub period_seconds: i32,
    /// Seconds after which an unanswered check has failed.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 3600))]
    pub timeout_seconds: i32,
    /// Failures in a row that make it unavailable.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 100))]
    pub failure_threshold: i32,
    /// Seconds after the start in which failures don't count.
    #[serde(default)]
    #[schemars(range(min = 0, max = 3600))]
    pub start_period_seconds: i32,
    /// What to do about a machine that has become unavailable.
    #[serde(default)]
    pub on_failure: OnFailure,
}

fn ten_seconds() -> i32 {
    10
}

fn one() -> i32 {
    1
}

fn three() -> i32 {
    3
}

/// What to do about a machine that fails its health check.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnFailure {
    /// Report it: `Available` is False.
    #[default]
    None,
    /// Report it and start the machine again.
    Restart,
}

/// A command that ends with 0 when the machine serves.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ExecCheck {
    /// The command and its arguments; no shell.
    #[schemars(length(min = 1, max = 256))]
    pub command: Vec<String>,
}

/// A port that accepts connections.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct TcpCheck {
    /// The port inside.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
}

/// A path that answers with a status from 200 to 399.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct HttpCheck {
    /// The port inside.
    #[schemars(range(min = 1, max = 65535))]
    pub port: i32,
    /// The path asked for.
    #[serde(default = "root")]
    #[schemars(length(max = 2048))]
    pub path: String,
}

fn root() -> String {
    "/".to_owned()
}

/// What the machine is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// One word for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<InstancePhase>,
    /// `Ready`: reality equals the spec. `Available`: it serves. `Stalled`: it needs the user.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Its address in the Vpc, kept for life.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip: Option<String>,
    /// Its name inside the Vpc.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// Its ports, with where the published ones are reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PortStatus>,
    /// Where its published ports are reached, for people: `127.0.0.1:8080`, comma-separated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<String>,
    /// How often it was started again after it had ended by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_count: Option<i32>,
    /// Starts in a row that ended soon; they double the pause before the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash_count: Option<i32>,
    /// When it is started again, while it waits for that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_restart: Option<Time>,
    /// Attempts in a row to fetch its image that failed; they double the pause before the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull_failures: Option<i32>,
    /// When its image is fetched again, while it waits for that. It goes on earlier if the image comes to the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_pull: Option<Time>,
    /// The `restartToken` that it was last started with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_token: Option<String>,
    /// When it was last started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// How it last ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_exit: Option<Exit>,
    /// The backend's own id of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine_id: Option<String>,
    /// The Volumes that its machine has, also those that it shall no longer have and hasn't let go of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volumes: Vec<String>,
    /// The backend's own id of the image it was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// What runs it: `docker`, `libvirt`, or `fake` on a server started for benchmarks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend: Option<String>,
    /// The InstanceType in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_type: Option<String>,
    /// The amounts in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// The host it is on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}

/// What an Instance is doing, in one word.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstancePhase {
    /// It waits for something else to exist.
    Pending,
    /// It is being made.
    Provisioning,
    /// It runs.
    Running,
    /// It is stopped on purpose.
    Stopped,
    /// It is frozen on purpose.
    Paused,
    /// It ended by itself, with 0, and stays so.
    Succeeded,
    /// It can't be made, or ended by itself and stays so, or waits to be started again.
    Failed,
    /// It is being removed.
    Terminating,
}

/// A port of a running Instance.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct PortStatus {
    /// The port's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The port inside.
    pub port: i32,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// The host's address where it is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The host's port where it is published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published_port: Option<i32>,
}

/// How a machine ended.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct Exit {
    /// Its exit code.
    pub code: i32,
    /// Completed, Error, OOMKilled, Killed, Unhealthy or Stopped.
    pub reason: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
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
