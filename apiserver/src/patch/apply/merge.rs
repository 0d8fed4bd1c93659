//! Puts what somebody applies over what there is. What is applied wins; what it doesn't mention stays.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::element::{display, of_item};
use crate::schema::merging::{List, Map, Relationship, Shape, TypeId, Types};

/// The merged value. The error names a list of `applied` whose items can't be told apart.
pub(crate) fn merge(types: &Types, of: TypeId, live: &Value, applied: &Value) -> Result<Value, String> {
    let merged = merge_sides(types, Some(of), Some(live), Some(applied))?;
    Ok(merged.unwrap_or(Value::Null))
}

/// `None` where nothing is left to show.
fn merge_sides(
    types: &Types,
    of: Option<TypeId>,
    live: Option<&Value>,
    applied: Option<&Value>,
) -> Result<Option<Value>, String> {
    let whole = || applied.or(live).cloned();
    let Some(of) = of else { return Ok(whole()) };
    let of = types.get(of);
    let shape = match (live, applied) {
        (live, None) => of.shape(live),
        (_, applied) => of.shape(applied),
    };
    match shape {
        Shape::Map(map) => {
            let (live, applied) = (live.and_then(Value::as_object), applied.and_then(Value::as_object));
            let is_hollow = |side: Option<&serde_json::Map<_, _>>| side.is_none_or(serde_json::Map::is_empty);
            if map.atomic || is_hollow(live) && is_hollow(applied) {
                return Ok(whole());
            }
            merge_maps(types, map, live, applied)
        }
        Shape::List(list) => {
            let items =
                |side: Option<&Value>| side.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default().to_vec();
            if list.relationship == Relationship::Atomic {
                return Ok(whole());
            }
            let (live, applied) = (items(live), items(applied));
            if live.is_empty() && applied.is_empty() {
                return Ok(whole());
            }
            merge_lists(types, list, &live, &applied)
        }
        Shape::Scalar(_) | Shape::None => Ok(whole()),
    }
}

type Fields = serde_json::Map<String, Value>;

fn merge_maps(
    types: &Types,
    map: &Map,
    live: Option<&Fields>,
    applied: Option<&Fields>,
) -> Result<Option<Value>, String> {
    let mut merged = Fields::new();
    for (key, live) in live.into_iter().flatten() {
        let applied = applied.and_then(|applied| applied.get(key));
        if let Some(value) = merge_sides(types, map.of(key), Some(live), applied)? {
            merged.insert(key.clone(), value);
        }
    }
    for (key, applied) in applied.into_iter().flatten() {
        if live.is_none_or(|live| !live.contains_key(key))
            && let Some(value) = merge_sides(types, map.of(key), None, Some(applied))?
        {
            merged.insert(key.clone(), value);
        }
    }
    Ok((!merged.is_empty()).then_some(Value::Object(merged)))
}

/// The elements of a list in order, and the item of each. Of live items that can't be told apart there is none.
struct Index<'a> {
    order: Vec<String>,
    items: BTreeMap<String, Option<&'a Value>>,
}

impl<'a> Index<'a> {
    fn of(types: &Types, list: &List, items: &'a [Value], is_live: bool) -> Result<Self, String> {
        let mut index = Self { order: Vec::with_capacity(items.len()), items: BTreeMap::new() };
        for (place, item) in items.iter().enumerate() {
            let element = of_item(types, list, item).map_err(|what| format!("element {place}: {what}"))?;
            if index.items.contains_key(&element) {
                if !is_live {
                    let mut shown = String::new();
                    display(&element, &mut shown);
                    return Err(format!("duplicate entries for key {shown}"));
                }
                index.items.insert(element.clone(), None);
            } else {
                index.items.insert(element.clone(), Some(item));
            }
            index.order.push(element);
        }
        Ok(index)
    }
}

/// Keeps the order of what is applied, and puts what is only live where it stood among its neighbours.
fn merge_lists(types: &Types, list: &List, live: &[Value], applied: &[Value]) -> Result<Option<Value>, String> {
    let new = Index::of(types, list, applied, false)?;
    let old = Index::of(types, list, live, true)?;
    let mut shared = new.order.iter().filter(|element| old.items.contains_key(*element));
    let mut next_shared = shared.next();
    let mut taken: BTreeSet<&str> = BTreeSet::new();
    let mut merged = Vec::new();
    // Live items that can't be told apart are not merged with: they are nothing in particular.
    let nothing = Value::Null;
    let merge_item = |element: &str| {
        let live = old.items.get(element).map(|item| item.unwrap_or(&nothing));
        merge_sides(types, Some(list.element), live, new.items.get(element).copied().flatten())
    };
    let (mut l, mut r) = (0, 0);
    while l < old.order.len() || r < new.order.len() {
        if let (Some(left), Some(right)) = (old.order.get(l), new.order.get(r)) {
            if left == right {
                taken.insert(left);
                merged.extend(merge_item(left)?);
                (l, r) = (l + 1, r + 1);
                next_shared = shared.next();
                continue;
            }
            if new.items.contains_key(left) && next_shared.is_some_and(|next| next != left) {
                // Shared, but not the one whose turn it is.
                l += 1;
                continue;
            }
        }
        if let Some(left) = old.order.get(l) {
            if !new.items.contains_key(left) {
                merged.extend(merge_sides(types, Some(list.element), live.get(l), None)?);
                l += 1;
                continue;
            }
            if taken.contains(left.as_str()) {
                l += 1;
            }
        }
        if let Some(right) = new.order.get(r) {
            taken.insert(right);
            merged.extend(merge_item(right)?);
            r += 1;
            if next_shared == Some(right) {
                next_shared = shared.next();
            }
        }
    }
    Ok((!merged.is_empty()).then_some(Value::Array(merged)))
}
