//! Roles and bindings, ready to be asked: by namespace and by who is asking. It follows the cache by what has changed
//! since it looked last, so that a change costs the same however many roles there are.

use std::collections::HashMap;
use std::sync::Arc;

use apiserver_store::{Entries, Entry, ResourceId, Revision, Storage};
use serde::Deserialize;

use super::Rule;
use super::subjects::{Binding, Held, Who};
use crate::access::Identity;
use crate::registry::builtin::rbac::GROUP;

/// The resources that decide.
const PLURALS: [&str; 4] = ["clusterrolebindings", "rolebindings", "clusterroles", "roles"];

/// Roles and bindings at one moment.
#[derive(Default)]
pub(super) struct Index {
    /// Up to where the store was looked at.
    looked_at: Option<Revision>,
    /// What the index was made of.
    seen: [Entries; 4],
    /// By namespace (empty for ClusterRoles) and name.
    roles: HashMap<String, HashMap<String, Arc<[Rule]>>>,
    /// By namespace; empty for ClusterRoleBindings.
    places: HashMap<String, Place>,
}

/// Who has what in a namespace.
#[derive(Default)]
struct Place {
    users: HashMap<String, Vec<Arc<Held>>>,
    groups: HashMap<String, Vec<Arc<Held>>>,
}

impl Index {
    /// Whether nothing was written since the index looked last.
    pub(super) fn is_current(&self, storage: &Storage) -> bool {
        self.looked_at == Some(storage.revision())
    }

    /// Takes in what has changed.
    pub(super) fn follow(&mut self, storage: &Storage) {
        // First the revision: what is written meanwhile is looked at again.
        let revision = storage.revision();
        for (place, plural) in PLURALS.into_iter().enumerate() {
            let now = storage.snapshot(&ResourceId::new(GROUP, plural)).entries;
            let before = std::mem::replace(&mut self.seen[place], now.clone());
            for (old, new) in before.differences(&now) {
                if plural.ends_with("bindings") {
                    old.into_iter().for_each(|entry| self.remove_binding(&Binding::read(entry)));
                    new.into_iter().for_each(|entry| self.add_binding(Binding::read(entry)));
                } else {
                    old.into_iter().for_each(|entry| self.remove_role(entry));
                    new.into_iter().for_each(|entry| self.add_role(entry));
                }
            }
        }
        self.looked_at = Some(revision);
    }

    /// Everything that somebody has by bindings of the whole installation and of a namespace (none if it is empty),
    /// with the rules of the role, or none if there is no such role.
    pub(super) fn held<'a>(
        &'a self,
        who: &'a Identity,
        namespace: &'a str,
    ) -> impl Iterator<Item = (&'a Arc<Held>, Option<&'a [Rule]>)> {
        let namespaced = (!namespace.is_empty()).then(|| self.places.get(namespace)).flatten();
        let places = self.places.get("").into_iter().chain(namespaced);
        places.flat_map(|place| place.of(who)).map(|held| (held, self.rules(&held.binding)))
    }

    /// Whether nothing is held of anything.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.roles.is_empty() && self.places.is_empty()
    }

    fn rules(&self, binding: &Binding) -> Option<&[Rule]> {
        let namespace = match binding.role.kind.as_str() {
            "Role" => binding.namespace.as_str(),
            "ClusterRole" => "",
            _ => return None,
        };
        self.roles.get(namespace)?.get(&binding.role.name).map(AsRef::as_ref)
    }

    fn add_role(&mut self, entry: &Entry) {
        #[derive(Default, Deserialize)]
        #[serde(default)]
        struct Stored {
            rules: Option<Vec<Rule>>,
        }
        // What is stored was validated; what isn't a role all the same allows nothing.
        let Stored { rules } = serde_json::from_slice(&entry.body).unwrap_or_default();
        let roles = self.roles.entry(entry.key.namespace.clone()).or_default();
        roles.insert(entry.key.name.clone(), rules.unwrap_or_default().into());
    }

    fn remove_role(&mut self, entry: &Entry) {
        if let Some(roles) = self.roles.get_mut(&entry.key.namespace) {
            roles.remove(&entry.key.name);
            if roles.is_empty() {
                self.roles.remove(&entry.key.namespace);
            }
        }
    }

    fn add_binding(&mut self, binding: Binding) {
        let binding = Arc::new(binding);
        let place = self.places.entry(binding.namespace.clone()).or_default();
        for (subject, named) in binding.subjects.iter().enumerate() {
            let (map, name) = match binding.who(named) {
                Some(Who::User(name)) => (&mut place.users, name),
                Some(Who::Group(name)) => (&mut place.groups, name),
                None => continue,
            };
            map.entry(name).or_default().push(Arc::new(Held { binding: Arc::clone(&binding), subject }));
        }
    }

    fn remove_binding(&mut self, binding: &Binding) {
        let Some(place) = self.places.get_mut(&binding.namespace) else { return };
        for named in &binding.subjects {
            let (map, name) = match binding.who(named) {
                Some(Who::User(name)) => (&mut place.users, name),
                Some(Who::Group(name)) => (&mut place.groups, name),
                None => continue,
            };
            if let Some(held) = map.get_mut(&name) {
                held.retain(|held| held.binding.name != binding.name);
                if held.is_empty() {
                    map.remove(&name);
                }
            }
        }
        if place.users.is_empty() && place.groups.is_empty() {
            self.places.remove(&binding.namespace);
        }
    }
}

impl Place {
    fn of<'a>(&'a self, who: &'a Identity) -> impl Iterator<Item = &'a Arc<Held>> {
        let groups = who.groups.iter().filter_map(|group| self.groups.get(group));
        self.users.get(&who.user).into_iter().chain(groups).flatten()
    }
}
