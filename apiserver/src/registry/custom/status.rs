//! Decides the status of a CustomResourceDefinition: whether its names are free in its group, and so whether the kind
//! is served; which versions objects may be stored in.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::{Kind, Origin, Registry};
use super::{list, text, texts};

/// Something wrong with a name.
struct Conflict {
    reason: &'static str,
    message: String,
}

/// The definition's `status`, given what else is served. A condition keeps its time while it stays as it is, so
/// doing this again changes nothing.
#[must_use]
pub fn status(definition: &Value, registry: &Registry, now: Timestamp) -> Value {
    let spec = &definition["spec"];
    let old = &definition["status"];
    let conflict = conflict(definition, registry);
    let was_established = condition(old, "Established").is_some_and(|condition| text(condition, "status") == "True");
    let accepted = match &conflict {
        None => ["True", "NoConflicts", "no conflicts found"],
        Some(conflict) => ["False", conflict.reason, conflict.message.as_str()],
    };
    // A kind that is served stays served, whatever comes after it.
    let established = match (&conflict, was_established) {
        (None, _) | (Some(_), true) => ["True", "InitialNamesAccepted", "the initial names have been accepted"],
        (Some(_), false) => ["False", "NotAccepted", "not all names are accepted"],
    };
    let mut status = if old.is_object() { old.clone() } else { json!({}) };
    let mut conditions: Vec<Value> = list(old, "conditions")
        .iter()
        .filter(|condition| !matches!(text(condition, "type"), "NamesAccepted" | "Established"))
        .cloned()
        .collect();
    conditions.insert(0, made("NamesAccepted", accepted, old, now));
    conditions.insert(1, made("Established", established, old, now));
    status["conditions"] = conditions.into();
    if conflict.is_none() || old.get("acceptedNames").is_none_or(Value::is_null) {
        status["acceptedNames"] =
            if conflict.is_none() { spec["names"].clone() } else { json!({"plural": "", "kind": ""}) };
    }
    status["storedVersions"] = stored_versions(spec, old).into();
    status
}

fn made(type_: &str, [is, reason, message]: [&str; 3], old: &Value, now: Timestamp) -> Value {
    let before = condition(old, type_);
    let since = before.filter(|before| text(before, "status") == is).map(|before| before["lastTransitionTime"].clone());
    let since = since.filter(Value::is_string).unwrap_or_else(|| now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string().into());
    json!({"type": type_, "status": is, "reason": reason, "message": message, "lastTransitionTime": since})
}

fn condition<'a>(status: &'a Value, type_: &str) -> Option<&'a Value> {
    list(status, "conditions").iter().find(|condition| text(condition, "type") == type_)
}

/// Every version that objects were ever written in, until somebody migrates them and says so.
fn stored_versions(spec: &Value, old: &Value) -> Vec<String> {
    let mut stored = texts(old, "storedVersions");
    for version in list(spec, "versions").iter().filter(|version| version["storage"] == Value::Bool(true)) {
        let name = text(version, "name").to_owned();
        if !stored.contains(&name) {
            stored.push(name);
        }
    }
    stored
}

/// The last name that another kind of the group has, as upstream tells it.
fn conflict(definition: &Value, registry: &Registry) -> Option<Conflict> {
    let spec = &definition["spec"];
    let uid = text(&definition["metadata"], "uid");
    let (names, group) = (&spec["names"], text(spec, "group"));
    let is_other = |kind: &&Kind| {
        let is_own = matches!(&kind.origin, Origin::Custom { uid: other } if other == uid && !uid.is_empty());
        kind.group == group && !is_own && kind.plural != text(names, "plural")
    };
    let others: Vec<&Kind> = registry.kinds().map(std::convert::AsRef::as_ref).filter(is_other).collect();
    // Plural, singular and short names are typed in one place, so they share one space; kinds have their own.
    let resources: Vec<&str> = others
        .iter()
        .flat_map(|kind| {
            [kind.plural.as_str(), kind.singular.as_str()]
                .into_iter()
                .chain(kind.short_names.iter().map(String::as_str))
        })
        .collect();
    let kinds: Vec<&str> = others.iter().flat_map(|kind| [kind.kind.as_str(), kind.list_kind.as_str()]).collect();
    let taken = |name: &str, by: &[&str], reason: &'static str| {
        by.contains(&name).then(|| Conflict { reason, message: format!("\"{name}\" is already in use") })
    };
    taken(text(names, "listKind"), &kinds, "ListKindConflict")
        .or_else(|| taken(text(names, "kind"), &kinds, "KindConflict"))
        .or_else(|| texts(names, "shortNames").iter().find_map(|name| taken(name, &resources, "ShortNamesConflict")))
        .or_else(|| taken(text(names, "singular"), &resources, "SingularConflict"))
        .or_else(|| taken(text(names, "plural"), &resources, "PluralConflict"))
}
