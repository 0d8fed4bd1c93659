//! Takes fields out of a value, or everything but these.

use serde_json::{Map as Fields, Value};

use super::element::{field, of_item};
use super::set::Set;
use crate::schema::merging::{List, Map, Relationship, Shape, TypeId, Types};

/// The value without the fields.
pub(crate) fn without(types: &Types, of: TypeId, value: &Value, fields: &Set) -> Value {
    Taker { types, extract: false }.take(Some(of), value, fields).unwrap_or(Value::Null)
}

/// Only the fields of the value.
#[cfg(test)]
pub(crate) fn only(types: &Types, of: TypeId, value: &Value, fields: &Set) -> Value {
    Taker { types, extract: true }.take(Some(of), value, fields).unwrap_or(Value::Null)
}

struct Taker<'a> {
    types: &'a Types,
    extract: bool,
}

impl Taker<'_> {
    fn take(&self, of: Option<TypeId>, value: &Value, fields: &Set) -> Option<Value> {
        let Some(of) = of else { return Some(value.clone()) };
        match (self.types.get(of).shape(Some(value)), value) {
            (Shape::Scalar(_), value) => Some(value.clone()),
            (Shape::Map(map), Value::Object(content)) if !content.is_empty() => {
                if map.atomic {
                    return self.extract.then(|| value.clone());
                }
                self.take_fields(map, content, fields)
            }
            (Shape::List(list), Value::Array(items)) if !items.is_empty() => {
                if list.relationship == Relationship::Atomic {
                    return self.extract.then(|| value.clone());
                }
                self.take_items(list, items, fields)
            }
            _ => None,
        }
    }

    fn take_fields(&self, map: &Map, content: &Fields<String, Value>, fields: &Set) -> Option<Value> {
        let mut kept = Fields::new();
        for (key, value) in content {
            let element = field(key);
            if let Some(value) = self.take_part(map.of(key), value, &element, fields) {
                kept.insert(key.clone(), value);
            }
        }
        (!kept.is_empty()).then_some(Value::Object(kept))
    }

    fn take_items(&self, list: &List, items: &[Value], fields: &Set) -> Option<Value> {
        let mut kept = Vec::new();
        for item in items {
            // What can't be told apart isn't in any set.
            let element = of_item(self.types, list, item).unwrap_or_default();
            kept.extend(self.take_part(Some(list.element), item, &element, fields));
        }
        (!kept.is_empty()).then_some(Value::Array(kept))
    }

    /// What stays of a part; `None` if nothing does.
    fn take_part(&self, of: Option<TypeId>, value: &Value, element: &str, fields: &Set) -> Option<Value> {
        if fields.has(element) {
            return self.extract.then(|| self.take(of, value, fields).unwrap_or(Value::Null));
        }
        match fields.below(element) {
            Some(below) => Some(self.take(of, value, below).unwrap_or(Value::Null)),
            None if self.extract => None,
            None => Some(value.clone()),
        }
    }
}
