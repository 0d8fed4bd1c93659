//! Decides who owns which part of `metadata`: the server its identity and history, the client the rest.

use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::lifecycle::rules;
use crate::registry::Kind;
use crate::verbs::served::Served;

/// What only the server sets; kept from the stored object on every update.
const OWNED: [&str; 5] = ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"];

/// The object's metadata, made where there is none.
pub(crate) fn of(object: &mut Value) -> Result<&mut Map<String, Value>, ApiError> {
    let object = object.as_object_mut().ok_or_else(|| ApiError::bad_request("the body is not an object"))?;
    let metadata = object.entry("metadata").or_insert_with(|| Value::Object(Map::new()));
    if metadata.is_null() {
        *metadata = Value::Object(Map::new());
    }
    metadata.as_object_mut().ok_or_else(|| ApiError::bad_request("`metadata` must be an object"))
}

/// Checks or fills in the namespace that the path says.
pub(crate) fn place(served: &Served, namespace: &str, object: &mut Value) -> Result<(), ApiError> {
    let metadata = of(object)?;
    let given = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    if !served.kind.namespaced {
        // Upstream takes a namespace on cluster objects and drops it.
        metadata.remove("namespace");
        return Ok(());
    }
    if !given.is_empty() && given != namespace {
        return Err(ApiError::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    metadata.insert("namespace".into(), namespace.into());
    Ok(())
}

/// Gives a new object its identity, but for the name. Returns the revision that somebody gave it, if any.
pub(crate) fn begin(kind: &Kind, object: &mut Value, uid: &str, now: &str) -> Result<Option<String>, ApiError> {
    let metadata = of(object)?;
    let revision = metadata.get("resourceVersion").and_then(Value::as_str).map(str::to_owned);
    for field in ["resourceVersion", "selfLink"].iter().chain(&OWNED) {
        metadata.remove(*field);
    }
    metadata.insert("uid".into(), uid.into());
    metadata.insert("creationTimestamp".into(), now.into());
    if rules::counts_generations(kind) {
        metadata.insert("generation".into(), 1.into());
    }
    Ok(revision)
}

/// Refuses an object whose name is none, or not the one in the path.
pub(crate) fn check_name(object: &Value, wanted: &str) -> Result<(), ApiError> {
    match name(object) {
        "" => Err(ApiError::bad_request(format!(
            "the name of the object ({wanted} based on URL) was undeterminable: name must be provided"
        ))),
        given if given != wanted => Err(ApiError::bad_request(format!(
            "the name of the object ({given}) does not match the name on the URL ({wanted})"
        ))),
        _ => Ok(()),
    }
}

/// Drops owners that are there twice, and says so; `when` that was seen.
pub(crate) fn drop_repeated_owners(metadata: &mut Map<String, Value>, when: &str) -> Option<String> {
    let owners = metadata.get_mut("ownerReferences").and_then(Value::as_array_mut)?;
    let mut kept: Vec<Value> = Vec::new();
    let mut repeated: Vec<String> = Vec::new();
    for owner in owners.drain(..) {
        if kept.contains(&owner) {
            repeated.push(owner["uid"].as_str().unwrap_or_default().to_owned());
        } else {
            kept.push(owner);
        }
    }
    *owners = kept;
    (!repeated.is_empty()).then(|| {
        format!(
            ".metadata.ownerReferences contains duplicate entries{when}; API server dedups owner references in 1.20+, and \
             may reject such requests as early as 1.24; please fix your requests; duplicate UID(s) observed: {}",
            repeated.join(", ")
        )
    })
}

/// Keeps on an update what the server owns.
pub(crate) fn carry_over(old: &Value, new: &mut Value) -> Result<(), ApiError> {
    let old = &old["metadata"];
    let metadata = of(new)?;
    metadata.remove("selfLink");
    metadata.remove("resourceVersion");
    // One that is given is the client's mistake where it is another, and found when the object is validated.
    let is_given = metadata.get("uid").is_some_and(|uid| !uid.is_null() && uid != "");
    for field in OWNED.into_iter().filter(|field| *field != "uid" || !is_given) {
        match old.get(field) {
            Some(value) => metadata.insert(field.into(), value.clone()),
            None => metadata.remove(field),
        };
    }
    Ok(())
}

/// Empty maps and lists mean the same as none.
pub(crate) fn drop_empty(metadata: &mut Map<String, Value>) {
    for field in ["labels", "annotations", "finalizers", "ownerReferences"] {
        let is_empty = match metadata.get(field) {
            Some(Value::Object(map)) => map.is_empty(),
            Some(Value::Array(list)) => list.is_empty(),
            Some(value) => value.is_null(),
            None => false,
        };
        if is_empty {
            metadata.remove(field);
        }
    }
}

/// Counts up the generation where something other than metadata (and the status, where it is apart) has changed.
pub(crate) fn count_generation(served: &Served, old: &Value, new: &mut Value) {
    if !rules::counts_generations(&served.kind) {
        return;
    }
    let has_status_apart = served.version().status;
    let part = |object: &Value| {
        let mut part = object.clone();
        if let Some(fields) = part.as_object_mut() {
            fields.remove("metadata");
            if has_status_apart {
                fields.remove("status");
            }
        }
        part
    };
    if part(old) != part(new) {
        bump_generation(new);
    }
}

/// Counts up the generation.
pub(crate) fn bump_generation(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(0);
    object["metadata"]["generation"] = (generation + 1).into();
}

/// `metadata.name`, or nothing.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().unwrap_or_default()
}

/// Whether the object is being deleted.
pub(crate) fn is_deleting(object: &Value) -> bool {
    object["metadata"].get("deletionTimestamp").is_some_and(|at| !at.is_null())
}

/// `metadata.finalizers`, or none.
pub(crate) fn finalizers(object: &Value) -> Vec<&str> {
    object["metadata"]["finalizers"].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_the_server_owns_survives_an_update() {
        let old = json!({"metadata": {"uid": "u", "generation": 3}});
        let mut new = json!({"metadata": {"deletionTimestamp": "now", "name": "x"}});
        carry_over(&old, &mut new).unwrap();
        assert_eq!(new, json!({"metadata": {"uid": "u", "generation": 3, "name": "x"}}));
    }

    #[test]
    fn metadata_of_another_type_is_refused() {
        assert!(of(&mut json!({"metadata": "x"})).is_err());
        assert!(of(&mut json!([])).is_err());
        assert!(of(&mut json!({"metadata": null})).is_ok());
    }
}
