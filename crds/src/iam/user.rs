//! The kind User: somebody who logs in.

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

/// Somebody who logs in with a password. Its name is the user's name; the password is never in the object.
#[derive(CustomResource, Serialize, Deserialize, KubeSchema, Debug, Clone, Default, PartialEq)]
#[kube(
    group = "thecloud.dev",
    version = "v1alpha1",
    kind = "User",
    derive = "PartialEq",
    category = "all",
    category = "cloud",
    doc = "Somebody who logs in with a password. Its name is the user's name; the password is never in the object.",
    annotation("thecloud.dev/schema-version", "1"),
    printcolumn(
        name = "Display Name",
        type_ = "string",
        json_path = ".spec.displayName",
        description = "What people call the user."
    ),
    printcolumn(
        name = "Groups",
        type_ = "string",
        json_path = ".spec.groups",
        description = "The groups that the user is in."
    ),
    printcolumn(
        name = "Disabled",
        type_ = "boolean",
        json_path = ".spec.disabled",
        description = "Whether the user is kept out."
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct UserSpec {
    /// What people call the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 128))]
    pub display_name: Option<String>,
    /// The groups that the user is in, for role bindings. Whoever adds one must be in it, or be allowed to impersonate it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 64), inner(length(min = 1, max = 128)))]
    #[x_kube(merge_strategy = ListMerge::Set)]
    #[x_kube(validation = Rule::new("self.all(group, !group.startsWith('system:') || group == 'system:masters')")
        .message("groups that begin with `system:` are the server's own; of them only system:masters can be given"))]
    pub groups: Vec<String>,
    /// Keeps the user out: no login, and no token or API key of the user counts until this is false again.
    #[serde(default)]
    pub disabled: bool,
}

/// The User that a new installation starts with. It can't log in until somebody sets its password.
pub const FIRST: &str = "admin";
