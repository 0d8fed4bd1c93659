//! Who owns whom: an index of owner references, kept up to date by events.
//!
//! In: objects as they come and go. Out: the dependents of a uid, and what a change makes worth looking at. It decides
//! nothing and asks nobody.

use std::collections::{BTreeSet, HashMap};

use apiserver_store::{Entry, Key};
use serde_json::Value;

use super::rules;
use crate::admission::metadata;

/// One owner reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) blocks: bool,
}

/// What collecting garbage needs to know of an object.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ties {
    pub(super) owners: Vec<Owner>,
    pub(super) is_deleting: bool,
    pub(super) is_foreground: bool,
    pub(super) is_orphaning: bool,
}

impl Ties {
    pub(super) fn of(entry: &Entry) -> Self {
        // Most objects have neither: they are not parsed.
        let mentions = |word: &[u8]| entry.body.windows(word.len()).any(|window| window == word);
        if !mentions(b"\"ownerReferences\"") && !mentions(b"\"deletionTimestamp\"") {
            return Self::default();
        }
        Self::read(&entry.value())
    }

    fn read(object: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let owners = object["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let is_deleting = metadata::is_deleting(object);
        let finalizers = metadata::finalizers(object);
        Self {
            owners: owners
                .map(|owner| Owner {
                    api_version: text(&owner["apiVersion"]),
                    kind: text(&owner["kind"]),
                    name: text(&owner["name"]),
                    uid: text(&owner["uid"]),
                    blocks: owner["blockOwnerDeletion"] == true,
                })
                .collect(),
            is_deleting,
            is_foreground: is_deleting && finalizers.contains(&rules::FOREGROUND),
            is_orphaning: is_deleting && finalizers.contains(&rules::ORPHAN),
        }
    }

    fn is_nothing(&self) -> bool {
        self.owners.is_empty() && !self.is_foreground && !self.is_orphaning
    }
}

/// The index.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: HashMap<Key, (String, Ties)>,
    dependents: HashMap<String, BTreeSet<Key>>,
    /// Objects that wait for their dependents, by uid.
    waiting: HashMap<String, Key>,
}

impl Graph {
    /// Takes in a present state. Returns what is worth looking at now.
    pub(super) fn observe(&mut self, entry: &Entry) -> Vec<Key> {
        let (uid, ties) = (entry.uid.to_string(), Ties::of(entry));
        let known = self.nodes.get(&entry.key);
        if known.is_some_and(|(known_uid, known)| *known_uid == uid && *known == ties) {
            return Vec::new();
        }
        let mut look = self.forget(&entry.key);
        if ties.is_nothing() {
            return look;
        }
        for owner in &ties.owners {
            self.dependents.entry(owner.uid.clone()).or_default().insert(entry.key.clone());
        }
        if ties.is_foreground || ties.is_orphaning {
            self.waiting.insert(uid.clone(), entry.key.clone());
        }
        self.nodes.insert(entry.key.clone(), (uid, ties));
        look.push(entry.key.clone());
        look
    }

    /// Takes in that an object is gone. Returns what is worth looking at now: what it owned, and who waited for it.
    pub(super) fn gone(&mut self, entry: &Entry) -> Vec<Key> {
        let mut look = self.forget(&entry.key);
        look.extend(self.dependents.get(&entry.uid.to_string()).into_iter().flatten().cloned());
        look
    }

    /// Drops a node. Returns the owners that waited for it.
    fn forget(&mut self, key: &Key) -> Vec<Key> {
        let Some((uid, ties)) = self.nodes.remove(key) else { return Vec::new() };
        self.waiting.remove(&uid);
        let mut waited = Vec::new();
        for owner in &ties.owners {
            if let Some(dependents) = self.dependents.get_mut(&owner.uid) {
                dependents.remove(key);
                if dependents.is_empty() {
                    self.dependents.remove(&owner.uid);
                }
            }
            waited.extend(self.waiting.get(&owner.uid).cloned());
        }
        waited
    }

    /// The objects that name this uid as an owner, with whether they block its deletion.
    pub(super) fn dependents(&self, uid: &str) -> Vec<(Key, bool)> {
        let keys = self.dependents.get(uid).into_iter().flatten();
        keys.map(|key| {
            let owners = self.nodes.get(key).map(|(_, ties)| ties.owners.as_slice()).unwrap_or_default();
            (key.clone(), owners.iter().any(|owner| owner.uid == uid && owner.blocks))
        })
        .collect()
    }

    /// The keys of a resource that the index knows, for a comparison after events were missed.
    pub(super) fn keys_of(&self, resource: &apiserver_store::ResourceId) -> Vec<(Key, String)> {
        let nodes = self.nodes.iter().filter(|(key, _)| key.resource == *resource);
        nodes.map(|(key, (uid, _))| (key.clone(), uid.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use apiserver_store::{ResourceId, Revision};
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    fn entry(name: &str, uid: u128, metadata: Value) -> Entry {
        Entry {
            key: Key::new(ResourceId::new("g", "things"), "a", name),
            uid: Uuid::from_u128(uid),
            revision: Revision(1),
            body: json!({"metadata": metadata}).to_string().into(),
            labels: Default::default(),
        }
    }

    fn owned_by(uid: u128, blocks: bool) -> Value {
        json!({"ownerReferences": [
            {"apiVersion": "g/v1", "kind": "Thing", "name": "owner", "uid": Uuid::from_u128(uid), "blockOwnerDeletion": blocks},
        ]})
    }

    #[test]
    fn dependents_are_looked_at_when_their_owner_is_gone() {
        let mut graph = Graph::default();
        let (owner, child) = (entry("owner", 1, json!({})), entry("child", 2, owned_by(1, true)));
        assert!(graph.observe(&owner).is_empty());
        assert_eq!(graph.observe(&child), std::slice::from_ref(&child.key));
        assert!(graph.observe(&child).is_empty(), "nothing changed");
        assert_eq!(graph.dependents(&owner.uid.to_string()), [(child.key.clone(), true)]);
        assert_eq!(graph.gone(&owner), std::slice::from_ref(&child.key));
        graph.gone(&child);
        assert!(graph.dependents(&owner.uid.to_string()).is_empty());
    }

    #[test]
    fn owner_that_waits_is_looked_at_when_a_dependent_goes() {
        let mut graph = Graph::default();
        let waits = json!({"deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["foregroundDeletion"]});
        let (owner, child) = (entry("owner", 1, waits), entry("child", 2, owned_by(1, true)));
        graph.observe(&child);
        graph.observe(&owner);
        assert_eq!(graph.gone(&child), std::slice::from_ref(&owner.key));
    }

    #[test]
    fn dependent_that_forgets_its_owner_is_none_any_more() {
        let mut graph = Graph::default();
        graph.observe(&entry("child", 2, owned_by(1, false)));
        graph.observe(&entry("child", 2, json!({})));
        assert!(graph.dependents(&Uuid::from_u128(1).to_string()).is_empty());
    }
}
