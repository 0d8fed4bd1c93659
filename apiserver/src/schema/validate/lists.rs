//! Decides whether the elements of sets and maps are unique.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{ListType, Node, Path, Validator, correlated, words};

impl Validator {
    pub(super) fn lists(&mut self, node: &Node, new: &Value, old: Option<&Value>, path: &Path<'_>) {
        if self.has_enough() || old == Some(new) {
            return;
        }
        match new {
            Value::Object(map) => {
                for (key, value) in map {
                    if let Some(child) = node.child(key) {
                        self.lists(child, value, old.and_then(|old| old.get(key)), &path.field(key));
                    }
                }
            }
            Value::Array(list) => {
                self.unique(node, list, path);
                if let Some(items) = node.items.as_deref() {
                    for (index, value) in list.iter().enumerate() {
                        self.lists(items, value, correlated(node, value, old), &path.index(index));
                    }
                }
            }
            _ => {}
        }
    }

    fn unique(&mut self, node: &Node, list: &[Value], path: &Path<'_>) {
        // What is shown is what must be unique: the element, or the fields that are its key.
        let shown = |element: &Value| match (&node.list, element) {
            (ListType::Atomic, _) => None,
            (ListType::Set, element) => Some(element.clone()),
            (ListType::Map(keys), Value::Object(map)) => {
                let field = |key: &String| map.get(key).map(|value| (key.clone(), value.clone()));
                Some(Value::Object(keys.iter().filter_map(field).collect::<Map<_, _>>()))
            }
            (ListType::Map(_), _) => None,
        };
        let mut seen = HashSet::new();
        for (index, element) in list.iter().enumerate() {
            let Some(key) = shown(element) else { continue };
            if !seen.insert(key.to_string()) && !self.has_enough() {
                self.errors.push(words::duplicate(path.index(index), &key));
            }
        }
    }
}
