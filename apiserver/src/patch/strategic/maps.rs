//! Merges objects, and reads the directives that stand in them.

use serde_json::{Map, Value};

use super::merge_keys::{Position, Strategy};
use super::{PatchError, lists};

const PATCH: &str = "$patch";
const RETAIN_KEYS: &str = "$retainKeys";
const DELETE_FROM_LIST: &str = "$deleteFromPrimitiveList/";
const SET_ORDER: &str = "$setElementOrder/";

type Object = Map<String, Value>;

/// `patch` merged into `current`.
pub(super) fn merge(mut current: Object, mut patch: Object, at: &Position<'_>) -> Result<Object, PatchError> {
    let directive = patch.get(PATCH).cloned();
    match directive.as_ref().map(Value::as_str) {
        None => {}
        Some(Some("replace")) => return Ok(without_directives_of(patch)),
        Some(Some("delete")) => return Ok(Object::new()),
        Some(_) => {
            let directive = directive.unwrap_or_default();
            return Err(PatchError::directive(&directive, &Value::Object(patch)));
        }
    }
    patch.remove(PATCH);
    if let Some(keys) = patch.remove(RETAIN_KEYS) {
        retain(&mut current, &patch, &keys)?;
    }
    order_lists(&mut current, &mut patch, at)?;
    for (key, value) in patch {
        match key.strip_prefix(DELETE_FROM_LIST) {
            Some(list) => delete_from_list(&mut current, list, &value)?,
            None => set(&mut current, key, value, at)?,
        }
    }
    Ok(current)
}

fn set(current: &mut Object, key: String, value: Value, at: &Position<'_>) -> Result<(), PatchError> {
    let here = at.field(&key);
    let merged = match (current.remove(&key), value) {
        (_, Value::Null) => return Ok(()),
        (Some(Value::Object(old)), Value::Object(new)) => Value::Object(merge(old, new, &here)?),
        (Some(Value::Array(old)), Value::Array(new)) => {
            let new = new.into_iter().collect();
            match here.strategy() {
                Strategy::Replace => Value::Array(new),
                strategy => Value::Array(lists::merge(old, new, strategy, &here)?),
            }
        }
        (_, new) => without_directives(new),
    };
    current.insert(key, merged);
    Ok(())
}

/// `$retainKeys` lists every key that stays; a patch that sets another one contradicts itself.
fn retain(current: &mut Object, patch: &Object, keys: &Value) -> Result<(), PatchError> {
    let keys: Option<Vec<&str>> = keys.as_array().and_then(|keys| keys.iter().map(Value::as_str).collect());
    let Some(keys) = keys else { return Err(PatchError::RetainKeys) };
    let mut set = patch.iter().filter(|(key, value)| !key.starts_with('$') && !value.is_null());
    if set.any(|(key, _)| !keys.contains(&key.as_str())) {
        return Err(PatchError::RetainKeys);
    }
    current.retain(|key, _| keys.contains(&key.as_str()));
    Ok(())
}

/// Carries out `$setElementOrder/<list>` together with the patch of that list.
fn order_lists(current: &mut Object, patch: &mut Object, at: &Position<'_>) -> Result<(), PatchError> {
    let directives: Vec<String> = patch.keys().filter(|key| key.starts_with(SET_ORDER)).cloned().collect();
    for directive in directives {
        let order = expect_list(patch.remove(&directive).unwrap_or_default())?;
        let name = &directive[SET_ORDER.len()..];
        let here = at.field(name);
        if patch.get(name).is_some_and(Value::is_null) {
            continue;
        }
        let old = current.remove(name).map(expect_list).transpose()?;
        let new = patch.remove(name).map(expect_list).transpose()?;
        if old.is_none() && new.is_none() {
            continue;
        }
        let strategy = here.strategy();
        let before = old.clone().unwrap_or_default();
        let merged = match (old, new) {
            (Some(old), None) => old,
            (old, Some(new)) if strategy != Strategy::Replace => {
                lists::merge(old.unwrap_or_default(), new, strategy, &here)?
            }
            (_, new) => new.unwrap_or_default(),
        };
        current.insert(name.to_owned(), Value::Array(lists::order(merged, &order, &before, strategy)));
    }
    Ok(())
}

fn delete_from_list(current: &mut Object, name: &str, unwanted: &Value) -> Result<(), PatchError> {
    let unwanted = unwanted.as_array().ok_or(PatchError::PrimitiveList)?;
    if let Some(Value::Array(items)) = current.get_mut(name) {
        items.retain(|item| !unwanted.contains(item));
    }
    Ok(())
}

fn expect_list(value: Value) -> Result<Vec<Value>, PatchError> {
    match value {
        Value::Array(items) => Ok(items),
        _ => Err(PatchError::SetElementOrder),
    }
}

/// A value that meets nothing to merge with: its directives are instructions, not data, and its nulls mean "not set".
pub(super) fn without_directives(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(without_directives_of(fields)),
        Value::Array(items) => {
            let kept = items.into_iter().filter(|item| item.get(PATCH).is_none());
            Value::Array(kept.map(without_directives).collect())
        }
        other => other,
    }
}

fn without_directives_of(fields: Object) -> Object {
    let kept = fields.into_iter().filter(|(key, value)| {
        let directive =
            key == PATCH || key == RETAIN_KEYS || key.starts_with(DELETE_FROM_LIST) || key.starts_with(SET_ORDER);
        !directive && !value.is_null()
    });
    kept.map(|(key, value)| (key, without_directives(value))).collect()
}
