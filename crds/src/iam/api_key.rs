//! The kind ApiKey: how a program comes in as somebody.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// A key by which a program comes in as a User or ServiceAccount. The key itself is shown once, by the subresource `token`.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "ApiKey",
    status = "ApiKeyStatus",
    derive = "PartialEq",
    category = "all",
    category = "cloud",
    doc = "A key by which a program comes in as a User or ServiceAccount. The key itself is shown once, by the subresource `token`.",
    annotation("thecloud.dev/schema-version", "1"),
    printcolumn(name = "Owner", type_ = "string", json_path = ".spec.owner.name", description = "Whose it is."),
    printcolumn(name = "Prefix", type_ = "string", json_path = ".status.prefix", description = "How it begins."),
    printcolumn(
        name = "Last Used",
        type_ = "date",
        json_path = ".status.lastUsed",
        description = "When it was last used."
    ),
    printcolumn(
        name = "Expires",
        type_ = "string",
        json_path = ".spec.expires",
        description = "Until when it counts."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("self.owner == oldSelf.owner").message("the owner can't be changed: make another ApiKey"))]
pub struct ApiKeySpec {
    /// As whom a program comes in by it.
    pub owner: ApiKeyOwner,
    /// Until when it counts; without it as long as it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Time>,
}

/// As whom a program comes in.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("(self.kind == 'ServiceAccount') == has(self.__namespace__)")
    .message("a ServiceAccount is in a namespace, a User in none"))]
pub struct ApiKeyOwner {
    /// What it is.
    pub kind: ApiKeyOwnerKind,
    /// Its name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// The namespace of a ServiceAccount.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 63))]
    pub namespace: Option<String>,
}

/// The kinds that programs come in as.
#[derive(Serialize, Deserialize, schemars::JsonSchema, Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ApiKeyOwnerKind {
    /// Somebody who logs in.
    #[default]
    User,
    /// A program's own name.
    ServiceAccount,
}

/// What the server knows of a key.
#[derive(Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ApiKeyStatus {
    /// How the key begins, for finding it where it should not be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prefix: Option<String>,
    /// When it was last used, to the minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_used: Option<Time>,
}
