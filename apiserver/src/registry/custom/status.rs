//! Decides the status of a CustomResourceDefinition: whether its names are free in its group, and so whether the kind
//! is served; which versions objects may be stored in.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::accepted::{Claims, accept_all};
use super::{list, text, texts};

/// The definition's `status`, given the names that others have. A condition keeps its time while it stays as it is, so
/// doing this again changes nothing.
#[must_use]
pub fn status(definition: &Value, claims: &Claims, now: Timestamp) -> Value {
    let spec = &definition["spec"];
    let old = &definition["status"];
    let (names, conflict) = accept_all(definition, claims);
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
    status["acceptedNames"] = names;
    status["storedVersions"] = stored_versions(spec, old).into();
    status
}

/// Says in a status what is wrong with the schemas of a definition that is served all the same; nothing where all is well.
pub fn violations(status: &mut Value, wrong: Option<&str>, now: Timestamp) {
    let told = wrong.map(|wrong| made("NonStructuralSchema", ["True", "Violations", wrong], status, now));
    let Some(conditions) = status["conditions"].as_array_mut() else { return };
    let place = conditions.iter().position(|condition| text(condition, "type") == "NonStructuralSchema");
    match (place, told) {
        (Some(place), Some(told)) => conditions[place] = told,
        (Some(place), None) => _ = conditions.remove(place),
        (None, Some(told)) => conditions.push(told),
        (None, None) => {}
    }
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
