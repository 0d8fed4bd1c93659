//! The environment variables of an Instance, and where they come from.

use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// What becomes of a machine when a Secret changes that its environment or files come from.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SecretUpdatePolicy {
    /// It goes on, and `status.secrets` says what has changed. Files in it are the new ones, its environment isn't.
    #[default]
    Ignore,
    /// It is stopped and started again, not more than twice a minute. What it doesn't take from the Secret doesn't count.
    Restart,
}
