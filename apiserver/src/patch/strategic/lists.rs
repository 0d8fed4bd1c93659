//! Merges lists that are sets or maps, and keeps their order: items of the patch in the patch's order, the others
//! where they were relative to those.

use serde_json::Value;

use super::PatchError;
use super::maps::{self, without_directives};
use super::merge_keys::{Position, Strategy};
use crate::schema::words;

const PATCH: &str = "$patch";

/// `patch` merged into `current`, ordered.
pub(super) fn merge(
    current: Vec<Value>,
    patch: Vec<Value>,
    strategy: Strategy,
    at: &Position<'_>,
) -> Result<Vec<Value>, PatchError> {
    let (merged, patch) = match strategy {
        Strategy::Replace => return Ok(patch),
        Strategy::Set => {
            let mut merged: Vec<Value> = Vec::with_capacity(current.len());
            for item in current.iter().chain(&patch) {
                if !merged.contains(item) {
                    merged.push(item.clone());
                }
            }
            (merged, patch)
        }
        Strategy::Keyed(key) => match directives(current.clone(), patch, key)? {
            Step::Replaced(items) => return Ok(items),
            Step::Merge { current, patch } => (merge_keyed(current, &patch, key, at)?, patch),
        },
    };
    Ok(order(merged, &patch, &current, strategy))
}

enum Step {
    Replaced(Vec<Value>),
    Merge { current: Vec<Value>, patch: Vec<Value> },
}

/// Carries out the items that are directives: `$patch: delete` removes an item, `$patch: replace` all of them.
fn directives(mut current: Vec<Value>, patch: Vec<Value>, key: &str) -> Result<Step, PatchError> {
    let mut plain = Vec::new();
    let mut replace = false;
    for item in patch {
        match item.get(PATCH).map(Value::as_str) {
            None => plain.push(item),
            Some(Some("delete")) => {
                let gone = item.get(key).ok_or_else(|| missing(&item, key))?;
                current.retain(|old| old.get(key) != Some(gone));
            }
            Some(Some("replace")) => replace = true,
            Some(Some("merge")) => return Err(PatchError::MergeInList),
            Some(_) => return Err(PatchError::directive(&item[PATCH], &item)),
        }
    }
    Ok(if replace { Step::Replaced(plain) } else { Step::Merge { current, patch: plain } })
}

fn merge_keyed(
    mut current: Vec<Value>,
    patch: &[Value],
    key: &str,
    at: &Position<'_>,
) -> Result<Vec<Value>, PatchError> {
    for item in patch {
        let value = item.get(key).ok_or_else(|| missing(item, key))?;
        let found = current.iter_mut().find(|old| old.get(key) == Some(value));
        match (found, item) {
            (Some(Value::Object(old)), Value::Object(new)) => {
                *old = maps::merge(std::mem::take(old), new.clone(), at)?;
            }
            _ => current.push(without_directives(item.clone())),
        }
    }
    Ok(current)
}

fn missing(item: &Value, key: &str) -> PatchError {
    PatchError::NoMergeKey { item: words::go_value(item), key: key.to_owned() }
}

/// Puts a merged list in order. Items that `wanted` names come in its order; the others keep the order of `before`,
/// and go in front of a named one only where they already were.
pub(super) fn order(merged: Vec<Value>, wanted: &[Value], before: &[Value], strategy: Strategy) -> Vec<Value> {
    let place = |item: &Value, list: &[Value]| list.iter().position(|other| same(item, other, strategy));
    let (mut named, others): (Vec<Value>, Vec<Value>) =
        merged.into_iter().partition(|item| place(item, wanted).is_some());
    named.sort_by_key(|item| place(item, wanted));
    let mut others: Vec<Value> = others;
    others.sort_by_key(|item| place(item, before).unwrap_or(usize::MAX));

    let mut ordered = Vec::with_capacity(named.len() + others.len());
    let mut named = named.into_iter().peekable();
    let mut others = others.into_iter().peekable();
    while let (Some(next), Some(other)) = (named.peek(), others.peek()) {
        let other_first = place(other, before).zip(place(next, before)).is_some_and(|(other, next)| other < next);
        ordered.extend(if other_first { others.next() } else { named.next() });
    }
    ordered.extend(named);
    ordered.extend(others);
    ordered
}

fn same(left: &Value, right: &Value, strategy: Strategy) -> bool {
    match strategy {
        Strategy::Keyed(key) => left.get(key).is_some() && left.get(key) == right.get(key),
        _ => left == right,
    }
}
