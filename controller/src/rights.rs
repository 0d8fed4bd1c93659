//! What the controllers may do: the service accounts that they run under, and the least rights that they need.
//!
//! `simulation/tests/rights.rs` holds this to what they call, both ways: with no more they do their work, and nothing is
//! here that nothing calls.

use crds::compute::cluster_image::ClusterImage;
use crds::compute::image::Image;
use crds::compute::instance::Instance;
use crds::compute::instance_policy::InstancePolicy;
use crds::compute::instance_snapshot::InstanceSnapshot;
use crds::compute::instance_type::InstanceType;
use crds::network::security_group::SecurityGroup;
use crds::network::vpc::Vpc;
use crds::network::vpc_peering::VpcPeering;
use crds::storage::volume::Volume;
use crds::storage::volume_snapshot::VolumeSnapshot;
use kube::Resource;
use serde_json::{Value, json};

use crate::host::{NAME, NAMESPACE};

const RBAC: &str = "rbac.authorization.k8s.io";

/// The service account of the controllers, in [`NAMESPACE`].
pub const ACCOUNT: &str = NAME;
/// The service account of [`crate::orphans::Orphans`], in [`NAMESPACE`]: it makes the objects that adopt data.
pub const ORPHANS_ACCOUNT: &str = "orphans";

/// One rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// The API group; empty for the core group.
    pub group: String,
    /// The plural, perhaps with `/` and a subresource.
    pub resource: String,
    /// What is done to it.
    pub verbs: &'static [&'static str],
    /// The only object that is meant; empty for all.
    pub name: &'static str,
}

impl Right {
    fn new(group: &str, resource: &str, verbs: &'static [&'static str]) -> Self {
        Self { group: group.to_owned(), resource: resource.to_owned(), verbs, name: "" }
    }

    fn on<K: Resource<DynamicType = ()>>(verbs: &'static [&'static str]) -> Self {
        Self::new(&K::group(&()), &K::plural(&()), verbs)
    }

    fn named(self, name: &'static str) -> Self {
        Self { name, ..self }
    }

    fn rule(&self) -> Value {
        let mut rule = json!({"apiGroups": [self.group], "resources": [self.resource], "verbs": self.verbs});
        if !self.name.is_empty() {
            rule["resourceNames"] = json!([self.name]);
        }
        rule
    }
}

/// What the controllers do in every namespace, and to what is in none.
#[must_use]
pub fn everywhere() -> Vec<Right> {
    let mut rights = Vec::new();
    rights.extend(driven::<Instance>());
    rights.extend(driven::<InstanceSnapshot>());
    rights.extend(driven::<Image>());
    rights.extend(driven::<ClusterImage>());
    rights.extend(driven::<Vpc>());
    rights.extend(driven::<SecurityGroup>());
    rights.extend(driven::<VpcPeering>());
    rights.extend(driven::<Volume>());
    rights.extend(driven::<VolumeSnapshot>());
    rights.extend([
        // A namespace's default Vpc, when the first Instance needs it.
        Right::on::<Vpc>(&["create"]),
        // The shipped types, once in the life of an installation.
        Right::on::<InstanceType>(&["create", "list", "watch"]),
        // What the Instances of a namespace may do more.
        Right::on::<InstancePolicy>(&["list", "watch"]),
        // What Instances refer to.
        Right::new("", "secrets", &["list", "watch"]),
        Right::new("", "configmaps", &["list", "watch"]),
        Right::new("", "events", &["create", "get", "patch"]),
    ]);
    rights
}

/// What the driver does to the objects of a kind: it follows them, reads one that was too old to write, holds them by a
/// finalizer, and tells in their status what there is.
fn driven<K: Resource<DynamicType = ()>>() -> [Right; 2] {
    let status = format!("{}/status", K::plural(&()));
    [Right::on::<K>(&["get", "list", "patch", "watch"]), Right::new(&K::group(&()), &status, &["patch"])]
}

/// What the controllers do in [`NAMESPACE`], beside that.
#[must_use]
pub fn at_home() -> Vec<Right> {
    vec![
        Right::new("", "namespaces", &["get"]).named(NAMESPACE),
        Right::new("coordination.k8s.io", "leases", &["create"]),
        Right::new("coordination.k8s.io", "leases", &["get", "update"]).named(NAME),
        // The key of the digests by which a changed Secret is known.
        Right::new("", "secrets", &["create"]),
        Right::new("", "secrets", &["get"]).named(NAME),
        Right::new("", "configmaps", &["create"]),
        Right::new("", "configmaps", &["get", "patch"]).named(NAME),
    ]
}

/// What is done for whoever may decide about data without an object.
#[must_use]
pub fn of_orphans() -> Vec<Right> {
    vec![
        Right::on::<Volume>(&["create", "list"]),
        Right::on::<VolumeSnapshot>(&["create", "list"]),
        Right::on::<InstanceSnapshot>(&["create", "list"]),
    ]
}

/// The namespace, the accounts, their roles and bindings, in the order in which they are installed.
#[must_use]
pub fn shipped() -> Vec<Value> {
    let (everywhere_role, orphans_role) = ("system:the-cloud:controller", "system:the-cloud:orphans");
    vec![
        object("v1", "Namespace", "", NAMESPACE, json!({})),
        object("v1", "ServiceAccount", NAMESPACE, ACCOUNT, json!({})),
        object("v1", "ServiceAccount", NAMESPACE, ORPHANS_ACCOUNT, json!({})),
        role("ClusterRole", "", everywhere_role, &everywhere()),
        binding("ClusterRole", "", everywhere_role, ACCOUNT),
        role("Role", NAMESPACE, everywhere_role, &at_home()),
        binding("Role", NAMESPACE, everywhere_role, ACCOUNT),
        role("ClusterRole", "", orphans_role, &of_orphans()),
        binding("ClusterRole", "", orphans_role, ORPHANS_ACCOUNT),
    ]
}

fn role(kind: &str, namespace: &str, name: &str, rights: &[Right]) -> Value {
    let rules: Vec<Value> = rights.iter().map(Right::rule).collect();
    object(&format!("{RBAC}/v1"), kind, namespace, name, json!({"rules": rules}))
}

fn binding(role_kind: &str, namespace: &str, name: &str, account: &str) -> Value {
    let content = json!({
        "roleRef": {"apiGroup": RBAC, "kind": role_kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": NAMESPACE}],
    });
    object(&format!("{RBAC}/v1"), &format!("{role_kind}Binding"), namespace, name, content)
}

fn object(api_version: &str, kind: &str, namespace: &str, name: &str, content: Value) -> Value {
    let mut object = content;
    object["apiVersion"] = api_version.into();
    object["kind"] = kind.into();
    object["metadata"] = json!({"name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}});
    if !namespace.is_empty() {
        object["metadata"]["namespace"] = namespace.into();
    }
    object
}
