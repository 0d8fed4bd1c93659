//! Sets of fields: a trie whose nodes are owned themselves, own something below, or both. Its JSON is FieldsV1.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use serde_json::{Map, Value};

use super::element;

/// What stands in FieldsV1 for the node itself.
const SELF: &str = ".";

/// A set of fields. No node is in it that is neither owned nor has one that is below it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Set {
    nodes: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Node {
    owned: bool,
    below: Set,
}

impl Set {
    pub(crate) fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Reads FieldsV1; `None` if it isn't any.
    pub(crate) fn parse(fields: &Value) -> Option<Set> {
        let mut set = Set::default();
        for (key, below) in fields.as_object()? {
            // The set's own mark is its parent's to read.
            if key == SELF {
                continue;
            }
            let key = if key.starts_with("f:") { key.clone() } else { element::canonical(key)? };
            let inner = below.as_object()?;
            let owned = inner.is_empty() || inner.contains_key(SELF);
            set.nodes.insert(key, Node { owned, below: Set::parse(below)? });
        }
        set.nodes.retain(|_, node| !node.is_empty());
        Some(set)
    }

    /// FieldsV1.
    pub(crate) fn to_fields(&self) -> Value {
        let nodes = self.nodes.iter().map(|(key, node)| {
            let mut below = node.below.to_fields();
            if let Value::Object(below) = &mut below
                && node.owned
                && !below.is_empty()
            {
                below.insert(SELF.into(), Value::Object(Map::new()));
            }
            (key.clone(), below)
        });
        Value::Object(nodes.collect())
    }

    /// Adds an element itself.
    pub(crate) fn insert(&mut self, element: String) {
        self.nodes.entry(element).or_default().owned = true;
    }

    /// Puts a set below an element.
    pub(crate) fn insert_below(&mut self, element: String, below: Set) {
        if !below.is_empty() {
            match self.nodes.entry(element) {
                Entry::Vacant(place) => {
                    place.insert(Node { owned: false, below });
                }
                Entry::Occupied(mut place) => place.get_mut().below.add(&below),
            }
        }
    }

    /// Whether the element itself is in the set.
    pub(crate) fn has(&self, element: &str) -> bool {
        self.nodes.get(element).is_some_and(|node| node.owned)
    }

    /// What of the set is below the element.
    pub(crate) fn below(&self, element: &str) -> Option<&Set> {
        self.nodes.get(element).map(|node| &node.below).filter(|below| !below.is_empty())
    }

    /// The elements of this level, with whether they are in the set themselves and what is below.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, bool, &Set)> {
        self.nodes.iter().map(|(element, node)| (element.as_str(), node.owned, &node.below))
    }

    /// Adds all of another set.
    pub(crate) fn add(&mut self, other: &Set) {
        for (element, node) in &other.nodes {
            match self.nodes.get_mut(element) {
                Some(own) => {
                    own.owned |= node.owned;
                    own.below.add(&node.below);
                }
                None => {
                    self.nodes.insert(element.clone(), node.clone());
                }
            }
        }
    }

    /// Takes out what another set has, and nothing below it.
    pub(crate) fn subtract(&mut self, other: &Set) {
        self.take_out(other, false);
    }

    /// Takes out what another set has, with all below it.
    pub(crate) fn subtract_recursively(&mut self, other: &Set) {
        self.take_out(other, true);
    }

    fn take_out(&mut self, other: &Set, recursively: bool) {
        if other.is_empty() {
            return;
        }
        self.nodes.retain(|element, node| {
            let Some(out) = other.nodes.get(element) else { return true };
            if out.owned && recursively {
                return false;
            }
            node.owned &= !out.owned;
            node.below.take_out(&out.below, recursively);
            !node.is_empty()
        });
    }

    /// What both sets have.
    pub(crate) fn intersection(&self, other: &Set) -> Set {
        let mut nodes = BTreeMap::new();
        for (element, node) in &self.nodes {
            if let Some(also) = other.nodes.get(element) {
                let node = Node { owned: node.owned && also.owned, below: node.below.intersection(&also.below) };
                if !node.is_empty() {
                    nodes.insert(element.clone(), node);
                }
            }
        }
        Set { nodes }
    }

    /// Marks every node as owned that `is_named` picks, from the top down; `descend` is asked what is below.
    pub(super) fn rebuild(&self, mut visit: impl FnMut(&str, bool, &Set) -> (bool, Set)) -> Set {
        let nodes = self.nodes.iter().map(|(element, node)| {
            let (owned, below) = visit(element, node.owned, &node.below);
            (element.clone(), Node { owned, below })
        });
        Set { nodes: nodes.filter(|(_, node)| !node.is_empty()).collect() }
    }

    /// Every path in the set, as messages show them, in order.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect_paths(&mut String::new(), &mut paths);
        paths
    }

    fn collect_paths(&self, prefix: &mut String, paths: &mut Vec<String>) {
        for (element, node) in &self.nodes {
            let length = prefix.len();
            element::display(element, prefix);
            if node.owned {
                paths.push(prefix.clone());
            }
            node.below.collect_paths(prefix, paths);
            prefix.truncate(length);
        }
    }
}

impl Node {
    fn is_empty(&self) -> bool {
        !self.owned && self.below.is_empty()
    }
}
