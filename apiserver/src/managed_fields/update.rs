//! What everything but an apply makes of the entries.

use std::sync::LazyLock;

use serde_json::Value;

use super::entries::{About, Entries, is_reset, updater};
use super::{Author, Scope, ancient};
use crate::patch::apply::element::field;
use crate::patch::apply::managers::{Object, Owned, Writer};
use crate::patch::apply::set::Set;

/// Stands for whoever writes until it is known what the write changes.
const CURRENT: &str = "";

/// The entries of a new object. `given` is what the client says they are.
pub(crate) fn create(
    scope: &Scope<'_>,
    new: &Value,
    given: Option<&Value>,
    author: &Author,
    now: &str,
) -> Option<Value> {
    let given = given.and_then(Entries::decode).unwrap_or_default();
    record(scope, &scope.blank(), new, given, author, now).encode()
}

/// The entries after a change from `old` to `new`. `live` are those there were, `given` those of the request.
pub(crate) fn update(
    scope: &Scope<'_>,
    old: &Value,
    new: &Value,
    live: Option<&Value>,
    given: Option<&Value>,
    author: &Author,
    now: &str,
) -> Option<Value> {
    // Only the object's own endpoint takes them from a client.
    let given = given.filter(|_| author.subresource.is_empty());
    if given.is_some_and(is_reset) {
        return None;
    }
    let known = || live.and_then(Entries::decode).unwrap_or_default();
    // Clients that never heard of managed fields leave them out or spoil them; that takes nothing away.
    let entries = match given {
        Some(given) if Some(given) != live => {
            Entries::decode(given).filter(|given| !given.is_empty()).unwrap_or_else(known)
        }
        _ => known(),
    };
    // Of an object whose owners were never noted, or forgotten at a client's wish, none are noted now.
    if entries.is_empty() {
        return None;
    }
    record(scope, old, new, entries, author, now).encode()
}

/// Notes who changed `old` to `new`.
pub(super) fn record(
    scope: &Scope<'_>,
    old: &Value,
    new: &Value,
    mut entries: Entries,
    author: &Author,
    now: &str,
) -> Entries {
    let version = scope.version.as_str();
    let writer = Writer { versions: scope, manager: CURRENT };
    let managers = std::mem::take(&mut entries.managers);
    let (before, after) = (Object { value: old, version }, Object { value: new, version });
    let mut managers = match writer.update(before, after, managers) {
        Ok(managers) => managers,
        Err(why) => {
            // As upstream: that owners can't be told must not stop the write.
            tracing::warn!(kind = scope.kind.kind, ?why, "owners of fields cannot be told, they are forgotten");
            return entries;
        }
    };
    if let Some(current) = managers.remove(CURRENT) {
        let identity = updater(author, version);
        let mut set = managers.remove(&identity).map_or_else(Set::default, |owned| owned.set);
        set.add(&current.set);
        set.subtract(nobodys());
        if !set.is_empty() {
            managers.insert(identity.clone(), Owned { set, ..current });
            // Upstream notes no time for what came through `/scale`.
            let time = (author.subresource != "scale").then(|| now.to_owned());
            entries.about.insert(identity, About { author: author.clone(), time });
        }
    }
    entries.managers = managers;
    ancient::fold(&mut entries);
    entries
}

/// Fields that belong to nobody: what names the object, and what the server keeps itself.
pub(super) fn nobodys() -> &'static Set {
    static SET: LazyLock<Set> = LazyLock::new(|| {
        let mut metadata = Set::default();
        for name in [
            "name",
            "namespace",
            "creationTimestamp",
            "selfLink",
            "uid",
            "clusterName",
            "generation",
            "managedFields",
            "resourceVersion",
        ] {
            metadata.insert(field(name));
        }
        let mut set = Set::default();
        for name in ["apiVersion", "kind", "metadata"] {
            set.insert(field(name));
        }
        set.insert_below(field("metadata"), metadata);
        set
    });
    &SET
}
