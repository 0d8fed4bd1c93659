//! Gives back what an applier says is there although nothing is left in it.
//!
//! What loses its last part becomes null, as in structured-merge-diff. Upstream's own kinds read null as nothing; a
//! declared kind refuses it, and who applies `spec: {}` over defaults that they owned before could never again apply.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::of_item;
use crate::schema::merging::{Relationship, Shape, TypeId, Types};

/// Makes nulls empty objects or lists where these are what was applied.
pub(crate) fn give_back(types: &Types, of: Option<TypeId>, applied: &Value, object: &mut Value) {
    let Some(of) = of else { return };
    match (types.get(of).shape(Some(applied)), applied, object) {
        (Shape::Map(map), Value::Object(applied), Value::Object(object)) => {
            for (key, applied) in applied {
                match (object.get_mut(key), applied) {
                    (Some(place @ Value::Null), Value::Object(fields)) if fields.is_empty() => *place = applied.clone(),
                    (Some(place @ Value::Null), Value::Array(items)) if items.is_empty() => *place = applied.clone(),
                    (Some(value), _) => give_back(types, map.of(key), applied, value),
                    (None, _) => {}
                }
            }
        }
        (Shape::List(list), Value::Array(applied), Value::Array(object)) => {
            if list.relationship == Relationship::Atomic {
                return;
            }
            let element = |item: &Value| of_item(types, list, item).unwrap_or_default();
            let mut items: BTreeMap<String, &mut Value> = object.iter_mut().map(|item| (element(item), item)).collect();
            for applied in applied {
                if let Some(item) = items.get_mut(&element(applied)) {
                    give_back(types, Some(list.element), applied, item);
                }
            }
        }
        _ => {}
    }
}
