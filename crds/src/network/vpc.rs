//! The kind Vpc: an isolated network.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// An isolated network. Machines in it reach each other by name and address; nothing outside reaches in unless a
/// port is published.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "Vpc",
    namespaced,
    status = "VpcStatus",
    derive = "PartialEq",
    category = "all",
    category = "cloud",
    doc = "An isolated network. Machines in it reach each other by name and address; nothing outside reaches in unless a port is published.",
    annotation("thecloud.dev/schema-version", "3"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(name = "CIDR", type_ = "string", json_path = ".status.cidr", description = "The addresses."),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members", description = "Machines in it."),
    printcolumn(
        name = "Gateway",
        type_ = "string",
        json_path = ".status.gateway",
        description = "The host's address inside.",
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
#[x_kube(validation = Rule::new("has(self.cidr) == has(oldSelf.cidr) && (!has(self.cidr) || self.cidr == oldSelf.cidr)")
    .message("cidr can't be changed: delete the Vpc and make it again, or make a second one"))]
pub struct VpcSpec {
    /// The addresses of the network, such as `10.20.0.0/20`: an IPv4 range from /8 to /28. When it is not set, the
    /// next free /20 of 10.128.0.0/9 is taken, and `status.cidr` says which. It must be inside one of the server's
    /// `--vpc-range`, which are the private ranges unless it is told others. It can't be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self).masked() == cidr(self) && cidr(self).prefixLength() >= 8 && cidr(self).prefixLength() <= 28")
        .message("must be an IPv4 range from /8 to /28 without host bits, such as 10.20.0.0/20"))]
    pub cidr: Option<String>,
    /// Whether the network has no way out: its machines reach each other only. What they publish is reached all the same.
    #[serde(default)]
    pub internal: bool,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// What the network is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VpcStatus {
    /// One word for people: Pending, Ready, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether the network exists as declared.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The addresses in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cidr: Option<String>,
    /// The host's address inside the network.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway: Option<String>,
    /// How many machines are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i32>,
}
