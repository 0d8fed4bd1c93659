//! What an apply makes of an object and its entries.

use serde_json::Value;

use super::entries::{About, Entries, applier};
use super::update::{nobodys, record};
use super::{Author, Scope, last_applied, refusals};
use crate::error::ApiError;
use crate::patch::apply::emptied;
use crate::patch::apply::managers::{ApplyError, Object, Versions as _, Writer};

/// Whose fields are noted first on an object that nobody applied to, and whose owners nobody noted.
const BEFORE_FIRST_APPLY: &str = "before-first-apply";

/// What somebody applies.
pub(crate) struct Wish<'a> {
    /// The fields to own, in the version of the request.
    pub(crate) config: &'a Value,
    pub(crate) author: &'a Author,
    /// Whether fields of others are taken.
    pub(crate) force: bool,
}

/// Applies to an object, or to none. Returns the object with its entries.
///
/// # Errors
/// 400 for a body that has entries itself, 409 where others own what would change, 500 (as upstream has it) for one
/// that doesn't fit the schema.
pub(crate) fn apply(scope: &Scope<'_>, live: Option<&Value>, wish: &Wish<'_>, now: &str) -> Result<Value, ApiError> {
    if wish.config["metadata"].get("managedFields").is_some_and(|fields| !fields.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    let mut live = live.cloned().unwrap_or_else(|| scope.blank());
    let is_new = live["metadata"].get("uid").is_none();
    let fields = live["metadata"].as_object_mut().and_then(|metadata| metadata.remove("managedFields"));
    let mut entries = fields.as_ref().and_then(Entries::decode).unwrap_or_default();
    if entries.is_empty() && !is_new {
        let before = Author { manager: BEFORE_FIRST_APPLY.to_owned(), ..wish.author.clone() };
        entries = record(scope, &scope.blank(), &live, entries, &before, now);
    }

    let mut applied = merge(scope, &live, wish.config, &entries, wish, wish.force);
    if let Err(ApplyError::Conflicts(conflicts)) = &mut applied {
        last_applied::allow(scope, &live, wish.author, conflicts);
        if conflicts.is_empty() {
            applied = merge(scope, &live, wish.config, &entries, wish, true);
        }
    }
    let (mut changed, managers) = applied.map_err(|error| refusals::of(&error, wish.config, scope, &entries))?;
    if let Some(changed) = &mut changed
        && let Some((types, of)) = scope.types(&scope.version)
    {
        emptied::give_back(types, Some(of), wish.config, changed);
    }

    let identity = applier(wish.author);
    entries.managers = managers;
    if let Some(own) = entries.managers.get_mut(&identity) {
        own.set.subtract(nobodys());
        if own.set.is_empty() {
            entries.managers.remove(&identity);
        }
    }
    let about = entries.about.entry(identity).or_insert_with(|| About { author: wish.author.clone(), time: None });
    if changed.is_some() || about.time.is_none() {
        about.time = Some(now.to_owned());
    }
    let mut object = changed.unwrap_or(live);
    last_applied::renew(&mut object, wish);
    if let Some(fields) = entries.encode() {
        object["metadata"]["managedFields"] = fields;
    }
    Ok(object)
}

type Merged = (Option<Value>, crate::patch::apply::managers::Managers);

fn merge(
    scope: &Scope<'_>,
    live: &Value,
    config: &Value,
    entries: &Entries,
    wish: &Wish<'_>,
    force: bool,
) -> Result<Merged, ApplyError> {
    let version = scope.version.as_str();
    let identity = applier(wish.author);
    let writer = Writer { versions: scope, manager: &identity };
    let (live, applied) = (Object { value: live, version }, Object { value: config, version });
    writer.apply(live, applied, entries.managers.clone(), force)
}
