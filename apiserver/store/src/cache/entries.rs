//! The objects of a resource in the order of their namespaces and names. A clone costs nothing and shares everything;
//! a change copies only the few nodes on the way to it.

use std::borrow::Borrow;
use std::ops::Bound;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;

use crate::Entry;

/// Stands between namespace and name. Sorts before every letter of either, so that places sort as the pairs do.
const SEPARATOR: char = '\0';
/// The first letter behind [`SEPARATOR`].
const AFTER_SEPARATOR: char = '\u{1}';

/// The objects of a resource by namespace and name.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Entries(OrdMap<Place, Arc<Entry>>);

/// Namespace and name in one text: nodes of the map are copied whole, and copying a place is counting a reference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place(Arc<str>);

impl Place {
    fn of(entry: &Entry) -> Self {
        Self(place(&entry.key.namespace, &entry.key.name).into())
    }
}

impl Borrow<str> for Place {
    fn borrow(&self) -> &str {
        &self.0
    }
}

fn place(namespace: &str, name: &str) -> String {
    let mut place = String::with_capacity(namespace.len() + SEPARATOR.len_utf8() + name.len());
    place.push_str(namespace);
    place.push(SEPARATOR);
    place.push_str(name);
    place
}

impl Entries {
    /// The object of this name; cluster-wide ones have no namespace.
    #[must_use]
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Entry>> {
        self.0.get(place(namespace, name).as_str())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.0.values()
    }

    /// Those of one namespace.
    pub fn within(&self, namespace: &str) -> impl Iterator<Item = &Arc<Entry>> + use<'_> {
        let from = format!("{namespace}{SEPARATOR}");
        let to = format!("{namespace}{AFTER_SEPARATOR}");
        self.0.range::<_, str>((Bound::Included(from.as_str()), Bound::Excluded(to.as_str()))).map(|(_, entry)| entry)
    }

    /// Those strictly behind a place, which need not be taken, in all namespaces.
    pub fn behind(&self, namespace: &str, name: &str) -> impl Iterator<Item = &Arc<Entry>> + use<'_> {
        let from = place(namespace, name);
        self.0.range::<_, str>((Bound::Excluded(from.as_str()), Bound::Unbounded)).map(|(_, entry)| entry)
    }

    /// What is different in `newer`: the object here and the one there. What both share is not looked at.
    pub fn differences<'a>(
        &'a self,
        newer: &'a Self,
    ) -> impl Iterator<Item = (Option<&'a Arc<Entry>>, Option<&'a Arc<Entry>>)> {
        self.0.diff(&newer.0).map(|difference| match difference {
            DiffItem::Add(_, new) => (None, Some(new)),
            DiffItem::Remove(_, old) => (Some(old), None),
            DiffItem::Update { old: (_, old), new: (_, new) } => (Some(old), Some(new)),
        })
    }

    /// Puts an object in its place and returns the one that was there.
    pub(crate) fn insert(&mut self, entry: Arc<Entry>) -> Option<Arc<Entry>> {
        self.0.insert(Place::of(&entry), entry)
    }

    /// Takes out the object of this name.
    pub(crate) fn remove(&mut self, namespace: &str, name: &str) -> Option<Arc<Entry>> {
        self.0.remove(place(namespace, name).as_str())
    }
}

impl FromIterator<Arc<Entry>> for Entries {
    fn from_iter<I: IntoIterator<Item = Arc<Entry>>>(entries: I) -> Self {
        Self(entries.into_iter().map(|entry| (Place::of(&entry), entry)).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use bytes::Bytes;
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::{Key, ResourceId, Revision};

    fn entry(namespace: &str, name: &str) -> Arc<Entry> {
        let resource = ResourceId { group: String::new(), plural: "things".to_owned() };
        Arc::new(Entry {
            key: Key { resource, namespace: namespace.to_owned(), name: name.to_owned() },
            uid: Uuid::nil(),
            revision: Revision(1),
            body: Bytes::new(),
            labels: BTreeMap::new(),
        })
    }

    fn pairs<'a>(entries: impl Iterator<Item = &'a Arc<Entry>>) -> Vec<(String, String)> {
        entries.map(|entry| (entry.key.namespace.clone(), entry.key.name.clone())).collect()
    }

    proptest! {
        #[test]
        fn order_and_ranges_are_those_of_namespace_and_name(
            taken in prop::collection::btree_set(("[a-c-]{0,3}", "[a-c.-]{1,3}"), 0..40),
            removed in prop::collection::vec(("[a-c-]{0,3}", "[a-c.-]{1,3}"), 0..10),
            namespace in "[a-c-]{0,3}",
            name in "[a-c.-]{0,3}",
        ) {
            let mut entries = Entries::default();
            for (namespace, name) in &taken {
                entries.insert(entry(namespace, name));
            }
            let all = entries.clone();
            let mut left: BTreeSet<(String, String)> = taken.clone();
            for (namespace, name) in removed {
                let known = left.remove(&(namespace.clone(), name.clone()));
                prop_assert_eq!(entries.remove(&namespace, &name).is_some(), known);
            }
            prop_assert_eq!((all.len(), entries.len()), (taken.len(), left.len()));
            let gone = all.differences(&entries).map(|(old, new)| if new.is_none() { old } else { None });
            prop_assert_eq!(pairs(gone.flatten()), taken.difference(&left).cloned().collect::<Vec<_>>());
            prop_assert_eq!(pairs(entries.iter()), left.iter().cloned().collect::<Vec<_>>());
            let place = (namespace.clone(), name.clone());
            prop_assert_eq!(entries.get(&namespace, &name).is_some(), left.contains(&place));
            let within: Vec<_> = left.iter().filter(|(outer, _)| *outer == namespace).cloned().collect();
            prop_assert_eq!(pairs(entries.within(&namespace)), within);
            let behind: Vec<_> = left.iter().filter(|other| **other > place).cloned().collect();
            prop_assert_eq!(pairs(entries.behind(&namespace, &name)), behind);
        }
    }
}
