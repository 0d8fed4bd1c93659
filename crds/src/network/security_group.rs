//! The kind SecurityGroup: what may reach some of a network's machines, and what these may reach.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What may reach some of a network's machines, and what these may reach.
///
/// Machines that no group selects reach each other inside their Vpc as they like.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "SecurityGroup",
    namespaced,
    status = "SecurityGroupStatus",
    derive = "PartialEq",
    shortname = "sgrp",
    shortname = "sg",
    category = "all",
    category = "cloud",
    doc = "What may reach some of a network's machines, and what these may reach. Machines that no group selects reach each other inside their Vpc as they like.",
    annotation("thecloud.dev/schema-version", "1"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(name = "Vpc", type_ = "string", json_path = ".spec.vpc", description = "The network."),
    printcolumn(name = "Members", type_ = "integer", json_path = ".status.members", description = "Machines in it."),
    printcolumn(
        name = "Rules",
        type_ = "integer",
        json_path = ".status.rules",
        description = "Rules in force.",
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
pub struct SecurityGroupSpec {
    /// The name of the Vpc whose machines it is for. Default: the namespace's `default` Vpc.
    #[serde(default = "default_vpc")]
    pub vpc: String,
    /// Which Instances of the Vpc are in the group, by their labels. An empty selector takes all of them.
    pub selector: LabelSelector,
    /// What may reach the members. Everything else is refused, so that an empty list lets nothing in; answers to what
    /// the members began themselves always come through.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub ingress: Vec<IngressRule>,
    /// What the members may reach. With an empty list that is everything.
    #[serde(default)]
    #[schemars(length(max = 256))]
    pub egress: Vec<EgressRule>,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

fn default_vpc() -> String {
    crate::DEFAULT_VPC.to_owned()
}

/// Something that may reach the members.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.port) || (has(self.protocol) && self.protocol != 'ICMP')")
    .message("port needs the protocol TCP or UDP"))]
#[x_kube(validation = Rule::new("!has(self.endPort) || (has(self.port) && self.endPort >= self.port)")
    .message("endPort needs a port that is not above it"))]
pub struct IngressRule {
    /// The protocol. When it is not set, every protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<RuleProtocol>,
    /// The port, or the first one up to `endPort`. When it is not set, every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The last port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub end_port: Option<i32>,
    /// From where. When it is not set, from everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<RulePeer>,
}

/// Something that the members may reach.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("!has(self.port) || (has(self.protocol) && self.protocol != 'ICMP')")
    .message("port needs the protocol TCP or UDP"))]
#[x_kube(validation = Rule::new("!has(self.endPort) || (has(self.port) && self.endPort >= self.port)")
    .message("endPort needs a port that is not above it"))]
pub struct EgressRule {
    /// The protocol. When it is not set, every protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<RuleProtocol>,
    /// The port, or the first one up to `endPort`. When it is not set, every port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub port: Option<i32>,
    /// The last port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 65535))]
    pub end_port: Option<i32>,
    /// To where. When it is not set, to everywhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<RulePeer>,
}

/// A protocol that a rule is for.
#[derive(Serialize, Deserialize, JsonSchema, Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleProtocol {
    /// TCP.
    #[serde(rename = "TCP")]
    Tcp,
    /// UDP.
    #[serde(rename = "UDP")]
    Udp,
    /// ICMP, such as `ping`.
    #[serde(rename = "ICMP")]
    Icmp,
}

/// The other side of a rule.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.cidr) != has(self.securityGroup)").message("set exactly one of cidr and securityGroup"))]
pub struct RulePeer {
    /// An IPv4 range, such as `10.20.0.0/20` or `0.0.0.0/0`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(validation = Rule::new("isCIDR(self) && cidr(self).ip().family() == 4 && cidr(self).masked() == cidr(self)")
        .message("must be an IPv4 range without host bits, such as 10.20.0.0/20"))]
    pub cidr: Option<String>,
    /// The name of a SecurityGroup in this namespace: its members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub security_group: Option<String>,
}

/// What the group is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecurityGroupStatus {
    /// One word for people: Pending, Ready, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether the rules are in force.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many machines are in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub members: Option<i32>,
    /// How many rules are in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<i32>,
}
