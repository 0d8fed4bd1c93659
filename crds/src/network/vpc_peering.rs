//! The kind VpcPeering: opens two networks to each other.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Opens two Vpcs to each other. Between two namespaces it is active when both sides declare it; inside one, one
/// object is enough.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "VpcPeering",
    namespaced,
    status = "VpcPeeringStatus",
    derive = "PartialEq",
    category = "all",
    category = "cloud",
    doc = "Opens two Vpcs to each other. Between two namespaces it is active when both sides declare it; inside one, one object is enough.",
    annotation("thecloud.dev/schema-version", "1"),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "One word for people."),
    printcolumn(name = "Vpc", type_ = "string", json_path = ".spec.vpc", description = "This side."),
    printcolumn(name = "Peer", type_ = "string", json_path = ".status.peer", description = "The other side."),
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
#[x_kube(validation = Rule::new("self.vpc == oldSelf.vpc && self.peer == oldSelf.peer").message("vpc and peer can't be changed: make a second VpcPeering and delete this one"))]
pub struct VpcPeeringSpec {
    /// The name of the Vpc in this namespace.
    pub vpc: String,
    /// The other Vpc.
    pub peer: Peer,
    /// Refuse to delete the object until this is set to false.
    #[serde(default)]
    pub deletion_protection: bool,
}

/// A Vpc, here or in another namespace.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its namespace. Default: this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Its name.
    pub vpc: String,
}

/// What the peering is at the moment.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct VpcPeeringStatus {
    /// One word for people: Pending, Active, Failed or Terminating.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<String>,
    /// `Ready` says whether the two networks are open to each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    pub conditions: Vec<Condition>,
    /// The generation of the spec that this status tells about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The other side, as `namespace/name`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<String>,
}
