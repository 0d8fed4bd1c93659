//! Keeps ClusterRoles with an `aggregationRule` put together of the rules of those that it selects, as upstream's
//! controller does: selector by selector, the selected in the order of their names, each rule once.

use apiserver_store::{Entries, Entry, ResourceId};
use serde_json::Value;

use super::Lifecycle;
use crate::error::ApiError;
use crate::managed_fields::{self, Author, Scope};
use crate::registry::builtin::rbac::GROUP;
use crate::selector::label::Selector;

/// Under which name the rules are owned, as upstream's.
const MANAGER: &str = "clusterrole-aggregation-controller";

/// The resource whose objects select each other.
pub(super) fn cluster_roles() -> ResourceId {
    ResourceId::new(GROUP, "clusterroles")
}

impl Lifecycle {
    /// Gives every ClusterRole that selects others their rules.
    pub(super) async fn aggregate_roles(&self) -> Result<(), ApiError> {
        self.state.refresh().await?;
        let roles = self.state.storage().snapshot(&cluster_roles()).entries;
        for entry in roles.iter().filter(|entry| selects(entry)) {
            let Some(served) = self.served(&entry.key) else { continue };
            self.edit(&served, &entry.key, |role| {
                let Some(rules) = gathered(role, &roles) else { return };
                if list(&role["rules"]) == rules {
                    return;
                }
                let old = role.clone();
                role["rules"] = rules.into();
                let author = Author { manager: MANAGER.to_owned(), subresource: String::new() };
                let scope = Scope::new(&served.kind, served.version(), "");
                let (live, now) = (old["metadata"].get("managedFields"), self.state.timestamp());
                if let Some(fields) = managed_fields::update(&scope, &old, role, live, None, &author, &now) {
                    role["metadata"]["managedFields"] = fields;
                }
            })
            .await?;
        }
        Ok(())
    }
}

/// Whether a role may select others, without parsing those that don't.
fn selects(entry: &Entry) -> bool {
    const WORD: &[u8] = b"\"aggregationRule\"";
    entry.body.windows(WORD.len()).any(|window| window == WORD)
}

/// The rules of what a role selects; `None` for a role that selects nothing.
fn gathered(role: &Value, roles: &Entries) -> Option<Vec<Value>> {
    let selectors = role["aggregationRule"].as_object()?.get("clusterRoleSelectors").map(list).unwrap_or_default();
    let own_name = role["metadata"]["name"].as_str().unwrap_or_default();
    let mut gathered: Vec<Value> = Vec::new();
    for selector in selectors.iter().filter_map(Selector::of_object) {
        for entry in roles.iter().filter(|entry| entry.key.name != own_name && selector.matches(&entry.labels)) {
            for rule in list(&entry.value()["rules"]) {
                if !gathered.contains(rule) {
                    gathered.push(rule.clone());
                }
            }
        }
    }
    Some(gathered)
}

/// The items of a list; none where there is none.
fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}
