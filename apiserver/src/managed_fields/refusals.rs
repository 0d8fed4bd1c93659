//! How a refused apply reads, in upstream's words.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::Scope;
use super::entries::Entries;
use crate::error::{ApiError, Reason};
use crate::patch::apply::managers::ApplyError;
use crate::patch::apply::set::Set;

pub(super) fn of(error: &ApplyError, config: &Value, scope: &Scope<'_>, entries: &Entries) -> ApiError {
    match error {
        ApplyError::Conflicts(conflicts) => conflict(conflicts, entries),
        ApplyError::Misfit(found) => misfit(found, config, scope),
        ApplyError::Unconvertible(why) => ApiError::internal(format!("the object cannot be converted: {why}")),
    }
}

fn conflict(conflicts: &BTreeMap<String, Set>, entries: &Entries) -> ApiError {
    let named: Vec<(String, Vec<String>)> =
        conflicts.iter().map(|(identity, set)| (who(identity, entries), set.paths())).collect();
    let count: usize = named.iter().map(|(_, paths)| paths.len()).sum();
    let message = match named.as_slice() {
        [(who, paths)] if paths.len() == 1 => {
            format!("Apply failed with 1 conflict: conflict with {who}: {}", paths.join(""))
        }
        _ => {
            let lines = named.iter().flat_map(|(who, paths)| {
                std::iter::once(format!("conflicts with {who}:")).chain(paths.iter().map(|path| format!("- {path}")))
            });
            format!("Apply failed with {count} conflicts: {}", lines.collect::<Vec<_>>().join("\n"))
        }
    };
    let causes = named.iter().flat_map(|(who, paths)| {
        paths.iter().map(move |path| {
            json!({"reason": "FieldManagerConflict", "message": format!("conflict with {who}"), "field": path})
        })
    });
    let mut error = ApiError::new(Reason::Conflict, message);
    error.details.insert("causes".into(), causes.collect());
    error
}

fn who(identity: &str, entries: &Entries) -> String {
    let Some((about, owned)) = entries.about.get(identity).zip(entries.managers.get(identity)) else {
        return Value::from(identity).to_string();
    };
    let mut who = Value::from(about.author.manager.as_str()).to_string();
    if !about.author.subresource.is_empty() {
        who.push_str(&format!(" with subresource {}", Value::from(about.author.subresource.as_str())));
    }
    if !owned.applied {
        who.push_str(&format!(" using {}", owned.version));
    }
    who
}

fn misfit(found: &[String], config: &Value, scope: &Scope<'_>) -> ApiError {
    let text = |field: &str| config["metadata"][field].as_str().unwrap_or_default();
    let listed = match found {
        [one] => one.clone(),
        many => format!("errors:\n  {}", many.join("\n  ")),
    };
    // The core group has no name, but its slash.
    let slash = if scope.version.contains('/') { "" } else { "/" };
    ApiError::new(
        Reason::Unknown,
        format!(
            "failed to create typed patch object ({}/{}; {slash}{}, Kind={}): {listed}",
            text("namespace"),
            text("name"),
            scope.version,
            scope.kind.kind,
        ),
    )
}
