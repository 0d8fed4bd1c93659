//! Finds the objects of a store by what they say, so that who needs a few of them doesn't look through all.

use std::collections::{BTreeMap, BTreeSet};

use super::store::Key;

/// What an object is found by: the name of an index, and a value in it.
pub(crate) type Entry = (&'static str, String);

/// The keys of objects by their entries.
#[derive(Debug)]
pub(super) struct Index<K> {
    entries: fn(&K) -> BTreeSet<Entry>,
    keys: BTreeMap<Entry, BTreeSet<Key>>,
}

impl<K> Index<K> {
    pub(super) fn by(entries: fn(&K) -> BTreeSet<Entry>) -> Self {
        Self { entries, keys: BTreeMap::new() }
    }

    /// An object was this and is that; `None` while it isn't there.
    pub(super) fn change(&mut self, key: &Key, old: Option<&K>, new: Option<&K>) {
        let (old, new) = (old.map(self.entries).unwrap_or_default(), new.map(self.entries).unwrap_or_default());
        for entry in old.difference(&new) {
            if let Some(keys) = self.keys.get_mut(entry) {
                keys.remove(key);
                if keys.is_empty() {
                    self.keys.remove(entry);
                }
            }
        }
        for entry in new.difference(&old) {
            self.keys.entry(entry.clone()).or_default().insert(key.clone());
        }
    }

    /// The keys of the objects that have this entry, by namespace and name.
    pub(super) fn keys(&self, entry: &Entry) -> impl Iterator<Item = &Key> {
        self.keys.get(entry).into_iter().flatten()
    }
}
