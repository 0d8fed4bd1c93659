//! What the controllers may do: the service accounts that they run under, one for each, and the least rights that each needs.
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

/// The service account under which all follow the objects, and which holds the Lease, in [`NAMESPACE`].
pub const ACCOUNT: &str = NAME;
/// The service account of [`crate::orphans::Orphans`], in [`NAMESPACE`]: it makes the objects that adopt data.
pub const ORPHANS_ACCOUNT: &str = "orphans";

/// A service account in [`NAMESPACE`], and what it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its name.
    pub name: String,
    /// What it does in every namespace, and to what is in none.
    pub everywhere: Vec<Right>,
    /// What it does in [`NAMESPACE`], beside that.
    pub at_home: Vec<Right>,
}

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

/// The service account of the controller of a kind: `instance-snapshot-controller` for `InstanceSnapshot`.
#[must_use]
pub fn account_of(kind: &str) -> String {
    let mut name = String::new();
    for letter in kind.chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name + "-controller"
}

/// All accounts.
#[must_use]
pub fn accounts() -> Vec<Account> {
    vec![
        shared(),
        of_kind::<Instance>(vec![
            // A namespace's default Vpc, when the first Instance needs it.
            Right::on::<Vpc>(&["create"]),
        ]),
        of_kind::<InstanceSnapshot>(Vec::new()),
        of_kind::<Image>(Vec::new()),
        of_kind::<ClusterImage>(Vec::new()),
        of_kind::<Vpc>(Vec::new()),
        of_kind::<SecurityGroup>(Vec::new()),
        of_kind::<VpcPeering>(Vec::new()),
        of_kind::<Volume>(Vec::new()),
        of_kind::<VolumeSnapshot>(Vec::new()),
        Account {
            name: account_of(&InstanceType::kind(&())),
            // The shipped types, once in the life of an installation.
            everywhere: vec![Right::on::<InstanceType>(&["create"])],
            at_home: notebook().into(),
        },
        Account {
            name: ORPHANS_ACCOUNT.to_owned(),
            // What is done for whoever may decide about data without an object.
            everywhere: vec![
                Right::on::<Volume>(&["create", "list"]),
                Right::on::<VolumeSnapshot>(&["create", "list"]),
                Right::on::<InstanceSnapshot>(&["create", "list"]),
            ],
            at_home: Vec::new(),
        },
    ]
}

/// What all controllers have in common: the objects as they are told, the Lease, the notebook. It changes nobody's object.
fn shared() -> Account {
    const FOLLOWED: &[&str] = &["list", "watch"];
    let everywhere = vec![
        Right::on::<Instance>(FOLLOWED),
        Right::on::<InstanceSnapshot>(FOLLOWED),
        Right::on::<InstancePolicy>(FOLLOWED),
        Right::on::<InstanceType>(FOLLOWED),
        Right::on::<Image>(FOLLOWED),
        Right::on::<ClusterImage>(FOLLOWED),
        Right::on::<Vpc>(FOLLOWED),
        Right::on::<SecurityGroup>(FOLLOWED),
        Right::on::<VpcPeering>(FOLLOWED),
        Right::on::<Volume>(FOLLOWED),
        Right::on::<VolumeSnapshot>(FOLLOWED),
        // What Instances refer to.
        Right::new("", "secrets", FOLLOWED),
        Right::new("", "configmaps", FOLLOWED),
    ];
    let mut at_home = vec![
        Right::new("", "namespaces", &["get"]).named(NAMESPACE),
        Right::new("coordination.k8s.io", "leases", &["create"]),
        Right::new("coordination.k8s.io", "leases", &["get", "update"]).named(NAME),
        // The key of the digests by which a changed Secret is known.
        Right::new("", "secrets", &["create"]),
        Right::new("", "secrets", &["get"]).named(NAME),
    ];
    at_home.extend(notebook());
    Account { name: ACCOUNT.to_owned(), everywhere, at_home }
}

/// The controller of a kind. The driver reads an object that was too old to write, holds it by a finalizer, and tells in its status
/// what there is, and the recorder tells what happened; `more` is what the kind itself does.
fn of_kind<K: Resource<DynamicType = ()>>(more: Vec<Right>) -> Account {
    let status = format!("{}/status", K::plural(&()));
    let mut everywhere = vec![
        Right::on::<K>(&["get", "patch"]),
        Right::new(&K::group(&()), &status, &["patch"]),
        Right::new("", "events", &["create", "get", "patch"]),
    ];
    everywhere.extend(more);
    Account { name: account_of(&K::kind(&())), everywhere, at_home: Vec::new() }
}

/// Small facts that outlive every process.
fn notebook() -> [Right; 2] {
    [Right::new("", "configmaps", &["create"]), Right::new("", "configmaps", &["get", "patch"]).named(NAME)]
}

/// The namespace, the accounts, their roles and bindings, in the order in which they are installed.
#[must_use]
pub fn shipped() -> Vec<Value> {
    let mut objects = vec![object("v1", "Namespace", "", NAMESPACE, json!({}))];
    for Account { name, everywhere, at_home } in accounts() {
        objects.push(object("v1", "ServiceAccount", NAMESPACE, &name, json!({})));
        let role_name = format!("system:the-cloud:{name}");
        for (kind, namespace, rights) in [("ClusterRole", "", everywhere), ("Role", NAMESPACE, at_home)] {
            if !rights.is_empty() {
                objects.push(role(kind, namespace, &role_name, &rights));
                objects.push(binding(kind, namespace, &role_name, &name));
            }
        }
    }
    objects
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_called_after_its_kind() {
        assert_eq!(account_of("Instance"), "instance-controller");
        assert_eq!(account_of("VolumeSnapshot"), "volume-snapshot-controller");
    }
}
