//! What a change does: which fields it adds, modifies and removes.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::{field, of_item};
use super::set::Set;
use crate::schema::merging::{List, Map, Relationship, Shape, Type, TypeId, Types, equal};

/// The fields that differ between two values.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Comparison {
    pub(crate) added: Set,
    pub(crate) modified: Set,
    pub(crate) removed: Set,
}

impl Comparison {
    /// Leaves out fields, with all that is below them.
    pub(crate) fn exclude(&mut self, ignored: &Set) {
        for set in [&mut self.added, &mut self.modified, &mut self.removed] {
            set.subtract_recursively(ignored);
        }
    }

    /// Everything that the change sets.
    pub(crate) fn set(&self) -> Set {
        let mut set = self.added.clone();
        set.add(&self.modified);
        set
    }

    fn take(&mut self, element: &str, below: Comparison) {
        for (into, below) in
            [(&mut self.added, below.added), (&mut self.modified, below.modified), (&mut self.removed, below.removed)]
        {
            if !below.is_empty() {
                into.insert_below(element.to_owned(), below);
            }
        }
    }
}

/// Compares two values of a type.
pub(crate) fn compare(types: &Types, of: TypeId, old: &Value, new: &Value) -> Comparison {
    let mut comparison = Comparison::default();
    let both = Both { old: Some(old), new: Some(new) };
    let _root = both.compare_parts(types, types.get(of), &mut comparison);
    comparison
}

/// The two sides of one place; at least one is there.
#[derive(Clone, Copy)]
struct Both<'a> {
    old: Option<&'a Value>,
    new: Option<&'a Value>,
}

impl<'a> Both<'a> {
    /// Compares the values at an element and notes what there is to say of the element itself.
    fn compare_at(self, types: &Types, of: Option<TypeId>, element: String, into: &mut Comparison) {
        if let (Some(old), Some(new)) = (self.old, self.new)
            && equal(old, new)
        {
            return;
        }
        let Some(of) = of else { return };
        let mut below = Comparison::default();
        let is_leaf = self.compare_parts(types, types.get(of), &mut below);
        into.take(&element, below);
        match (self.old, self.new) {
            (None, _) => into.added.insert(element),
            (_, None) => into.removed.insert(element),
            (Some(_), Some(_)) if is_leaf => into.modified.insert(element),
            (Some(_), Some(_)) => {}
        }
    }

    /// Says whether the values are to be taken as a whole; if not, what differs below them is in `into`.
    fn compare_parts(self, types: &Types, of: &Type, into: &mut Comparison) -> bool {
        let shapes = match (self.old, self.new) {
            (old, None) => [Some(of.shape(old)), None],
            (None, new) => [None, Some(of.shape(new))],
            (Some(old), Some(new)) if of.is_one_shape(old, new) => [None, Some(of.shape(Some(new)))],
            // Each side by its own shape: what was goes, what is comes.
            (old, new) => [Some(of.shape(old)), Some(of.shape(new))],
        };
        let mut is_leaf = false;
        for shape in shapes.into_iter().flatten() {
            is_leaf |= match shape {
                Shape::Map(map) => self.compare_maps(types, map, into),
                Shape::List(list) => self.compare_lists(types, list, into),
                Shape::Scalar(_) => true,
                Shape::None => false,
            };
        }
        is_leaf
    }

    fn compare_maps(self, types: &Types, map: &Map, into: &mut Comparison) -> bool {
        let fields = |side: Option<&'a Value>| side.and_then(Value::as_object);
        let (old, new) = (fields(self.old), fields(self.new));
        let is_hollow = |side: Option<&serde_json::Map<_, _>>| side.is_none_or(serde_json::Map::is_empty);
        if map.atomic || is_hollow(old) && is_hollow(new) {
            return true;
        }
        for (key, old) in old.into_iter().flatten() {
            let both = Both { old: Some(old), new: new.and_then(|new| new.get(key)) };
            both.compare_at(types, map.of(key), field(key), into);
        }
        for (key, new) in new.into_iter().flatten() {
            if old.is_none_or(|old| !old.contains_key(key)) {
                Both { old: None, new: Some(new) }.compare_at(types, map.of(key), field(key), into);
            }
        }
        false
    }

    fn compare_lists(self, types: &Types, list: &List, into: &mut Comparison) -> bool {
        let items = |side: Option<&'a Value>| side.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let (old, new) = (items(self.old), items(self.new));
        if list.relationship == Relationship::Atomic || old.is_empty() && new.is_empty() {
            return true;
        }
        let mut places: BTreeMap<String, (Vec<&Value>, Vec<&Value>)> = BTreeMap::new();
        for item in old {
            if let Ok(element) = of_item(types, list, item) {
                places.entry(element).or_default().0.push(item);
            }
        }
        for item in new {
            if let Ok(element) = of_item(types, list, item) {
                places.entry(element).or_default().1.push(item);
            }
        }
        for (element, (old, new)) in places {
            let at = |old, new, into: &mut Comparison| {
                Both { old, new }.compare_at(types, Some(list.element), element.clone(), into);
            };
            // Items that can't be told apart are one value together.
            match (&old[..], &new[..]) {
                ([] | [_], [] | [_]) => at(old.first().copied(), new.first().copied(), into),
                ([_, _, ..], [_, _, ..]) => {
                    let same = old.len() == new.len() && old.iter().zip(&new).all(|(old, new)| equal(old, new));
                    if !same {
                        into.modified.insert(element);
                    }
                }
                ([_, _, ..], rest) => {
                    if let Some(only) = rest.first() {
                        at(None, Some(only), into);
                    }
                    into.removed.insert(element);
                }
                (rest, _) => {
                    if let Some(only) = rest.first() {
                        at(Some(only), None, into);
                    }
                    into.added.insert(element);
                }
            }
        }
        false
    }
}
