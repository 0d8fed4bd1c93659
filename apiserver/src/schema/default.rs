//! Decides what an object says where its author said nothing: nulls that may not be null go, defaults come.

use serde_json::Value;

use super::metadata;
use super::node::{Additional, Node};

/// Fills in a whole object. Nulls in `metadata` go too: Go clients send `creationTimestamp: null`.
pub(crate) fn fill_object(node: &Node, value: &mut Value) {
    if let Some(metadata) = value.get_mut("metadata") {
        fill(metadata::schema(), metadata);
    }
    fill(node, value);
}

/// Fills in a value: absent fields get their default; a null in a field that is not nullable counts as absent.
pub(crate) fn fill(node: &Node, value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, child) in &node.properties {
                match map.get_mut(name) {
                    Some(Value::Null) if !child.nullable => match &child.default {
                        Some(default) => {
                            map.insert(name.clone(), default.clone());
                        }
                        None if child.has_shape() => {
                            map.remove(name);
                        }
                        None => {}
                    },
                    Some(value) => fill(child, value),
                    None => {
                        if let Some(default) = &child.default {
                            map.insert(name.clone(), default.clone());
                        }
                    }
                }
            }
            if let Additional::Schema(child) = &node.additional {
                map.retain(|_, value| {
                    if value.is_null() && !child.nullable {
                        let Some(default) = &child.default else { return !child.has_shape() };
                        *value = default.clone();
                    } else {
                        fill(child, value);
                    }
                    true
                });
            }
        }
        Value::Array(list) => {
            if let Some(items) = &node.items {
                for value in list {
                    if value.is_null()
                        && !items.nullable
                        && let Some(default) = &items.default
                    {
                        *value = default.clone();
                    } else {
                        fill(items, value);
                    }
                }
            }
        }
        _ => {}
    }
}

impl Node {
    /// Whether null is a value of another type here. In a field that takes anything, null is one of the things.
    fn has_shape(&self) -> bool {
        self.kind.is_some() || self.int_or_string
    }
}
