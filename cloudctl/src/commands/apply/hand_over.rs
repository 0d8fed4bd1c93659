//! Decides how what a client-side apply once wrote comes into the hands of the server's apply. The server removes a field that
//! is no longer in the YAML only when its applier owns it, and a client-side apply owned its fields as plain updates do.
//! In: an object with its managed fields. Out: a JSON patch of those. Plain functions; nothing of the spec is touched.
//!
//! As kubectl does it, a client-side applier is told by owning the annotation in which it remembered what it had sent. Unlike
//! kubectl's, the hand-over takes only what that annotation mentions: the rest are defaults, which nobody asked for, and labels
//! that an older cloudctl set by hand under the name of its apply.

use serde_json::{Map, Value, json};

use crate::api::FIELD_MANAGER;
use crate::manifests::LAST_APPLIED;

/// Who writes what `run` makes, once: the first apply of a manifest takes it over.
pub(crate) const RUN_MANAGER: &str = "cloudctl-run";

/// Whose fields are handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// Those of `run` and an older cloudctl: before applying, because nobody else can mind.
    Ourselves,
    /// Those of another client-side applier, such as kubectl: after an apply that took nothing from it, or was told to.
    Others,
}

/// The patch that hands the fields over; `None` when there is nothing to hand over.
pub(super) fn patch(object: &Value, from: From) -> Option<Value> {
    let entries = object["metadata"]["managedFields"].as_array()?;
    let (handed, mut rest): (Vec<Value>, Vec<Value>) =
        entries.iter().cloned().partition(|entry| whose(entry) == Some(from));
    let mut kept = Vec::new();
    let mut handed = handed.into_iter();
    let mut mentioned = |mut entry: Value| {
        if let Some(mut last) = last_applied(object) {
            if from == From::Ourselves {
                kept.extend(set_by_hand(&entry, &last));
            }
            last["metadata"]["annotations"][LAST_APPLIED] = Value::Null;
            entry["fieldsV1"] = common(&entry["fieldsV1"], &last).unwrap_or_else(|| json!({}));
        }
        entry
    };
    let mut first = mentioned(handed.next()?);
    let applier = match rest.iter().position(|entry| is_main(entry, "Apply") && entry["manager"] == FIELD_MANAGER) {
        Some(place) => {
            unite(&mut rest[place], &first);
            &mut rest[place]
        }
        None => {
            first["manager"] = json!(FIELD_MANAGER);
            first["operation"] = json!("Apply");
            rest.push(first);
            rest.last_mut()?
        }
    };
    for entry in handed {
        unite(applier, &mentioned(entry));
    }
    rest.extend(kept);
    Some(json!([
        {"op": "replace", "path": "/metadata/managedFields", "value": rest},
        // Worked out from this state, so it must not be put on another one.
        {"op": "replace", "path": "/metadata/resourceVersion", "value": object["metadata"]["resourceVersion"]},
    ]))
}

/// What the client-side apply before had sent, if there was one and it can be read.
pub(super) fn last_applied(object: &Value) -> Option<Value> {
    serde_json::from_str(object["metadata"]["annotations"][LAST_APPLIED].as_str()?).ok()
}

/// Whether a manager is one of [`From::Ourselves`].
pub(super) fn is_ours(manager: &str) -> bool {
    [FIELD_MANAGER, RUN_MANAGER].contains(&manager)
}

fn whose(entry: &Value) -> Option<From> {
    let manager = entry["manager"].as_str()?;
    let remembers = entry["fieldsV1"]["f:metadata"]["f:annotations"].get(format!("f:{LAST_APPLIED}")).is_some();
    match (is_main(entry, "Update"), remembers, is_ours(manager)) {
        (true, true, true) => Some(From::Ourselves),
        (true, false, true) if manager == RUN_MANAGER => Some(From::Ourselves),
        (true, true, false) => Some(From::Others),
        _ => None,
    }
}

fn is_main(entry: &Value, operation: &str) -> bool {
    entry["operation"] == operation && entry["subresource"].as_str().unwrap_or_default().is_empty()
}

/// Labels and annotations of an entry that were not applied, as an entry of their own.
fn set_by_hand(entry: &Value, last: &Value) -> Option<Value> {
    let mut kept = Map::new();
    for map in ["labels", "annotations"] {
        let owned = entry["fieldsV1"]["f:metadata"][format!("f:{map}")].as_object();
        let stranger = |field: &str| {
            let name = field.strip_prefix("f:").unwrap_or_default();
            !name.is_empty() && name != LAST_APPLIED && last["metadata"][map].get(name).is_none()
        };
        let fields: Map<String, Value> = owned
            .into_iter()
            .flatten()
            .filter(|(field, _)| stranger(field))
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect();
        if !fields.is_empty() {
            kept.insert(format!("f:{map}"), Value::Object(fields));
        }
    }
    (!kept.is_empty()).then(|| {
        let mut entry = entry.clone();
        entry["fieldsV1"] = json!({"f:metadata": kept});
        entry
    })
}

/// The fields of a set that a manifest mentions; `None` when it mentions none.
fn common(fields: &Value, manifest: &Value) -> Option<Value> {
    let fields = fields.as_object()?;
    if fields.is_empty() {
        return Some(json!({}));
    }
    let common: Map<String, Value> = fields
        .iter()
        .filter_map(|(name, below)| {
            if name == "." {
                return Some((name.clone(), below.clone()));
            }
            common(below, mentioned(name, manifest)?).map(|below| (name.clone(), below))
        })
        .collect();
    (!common.is_empty()).then_some(Value::Object(common))
}

/// What a manifest has at one step of a path: a field, or an element of a list by its keys, value or place.
fn mentioned<'a>(step: &str, manifest: &'a Value) -> Option<&'a Value> {
    let (kind, rest) = step.split_once(':')?;
    let items = manifest.as_array().map(Vec::as_slice).unwrap_or_default();
    match kind {
        "f" => manifest.get(rest),
        "k" => {
            let keys: Map<String, Value> = serde_json::from_str(rest).ok()?;
            // A key that was left out has its default.
            items.iter().find(|item| keys.iter().all(|(key, value)| item.get(key).is_none_or(|given| given == value)))
        }
        "v" => {
            let value: Value = serde_json::from_str(rest).ok()?;
            items.iter().find(|item| **item == value)
        }
        "i" => items.get(rest.parse::<usize>().ok()?),
        _ => None,
    }
}

/// Adds the fields of an entry to those of the applier, if both mean the same version.
fn unite(applier: &mut Value, entry: &Value) {
    if applier["apiVersion"] == entry["apiVersion"] {
        add(&mut applier["fieldsV1"], &entry["fieldsV1"]);
    }
}

fn add(fields: &mut Value, more: &Value) {
    for (name, below) in more.as_object().into_iter().flatten() {
        match fields.get_mut(name) {
            Some(present) => add(present, below),
            None => fields[name] = below.clone(),
        }
    }
}

/// What the object would be when the fields are handed over and the wish is applied: without what was applied before and is no
/// longer wished. For showing only; elements of lists are left to the server.
pub(super) fn without_unwished(object: &mut Value, last: &Value, wish: &Value) {
    let Some(object) = object.as_object_mut() else { return };
    for (name, before) in last.as_object().into_iter().flatten() {
        let wished = wish.get(name);
        let emptied = match object.get_mut(name) {
            Some(present) if present.is_object() && before.is_object() => {
                without_unwished(present, before, wished.unwrap_or(&Value::Null));
                present.as_object().is_some_and(Map::is_empty)
            }
            _ => true,
        };
        if emptied && wished.is_none() {
            object.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(entries: Value) -> Value {
        let last =
            json!({"metadata": {"name": "web", "labels": {"app": "web"}}, "spec": {"image": "a", "vpc": "main"}});
        json!({"metadata": {"name": "web", "resourceVersion": "7", "managedFields": entries,
            "annotations": {LAST_APPLIED: last.to_string()}}})
    }

    fn entry(manager: &str, operation: &str, fields: Value) -> Value {
        json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
    }

    fn remembering(mut fields: Value) -> Value {
        fields["f:metadata"]["f:annotations"] = json!({".": {}, format!("f:{LAST_APPLIED}"): {}});
        fields
    }

    #[test]
    fn older_cloudctl_becomes_the_applier_with_all_it_had_set() {
        let fields = remembering(json!({"f:spec": {"f:image": {}, "f:vpc": {}}}));
        let status = json!({"manager": "controller", "operation": "Update", "apiVersion": "v1", "subresource": "status", "fieldsV1": {}});
        let live = object(json!([entry("cloudctl", "Update", fields.clone()), status.clone()]));
        let patch = patch(&live, From::Ourselves).unwrap();
        assert_eq!(patch[0]["value"], json!([status, entry("cloudctl", "Apply", fields)]));
        assert_eq!(patch[1], json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "7"}));
        assert_eq!(super::patch(&live, From::Others), None);
    }

    #[test]
    fn only_what_was_applied_is_handed_over_not_defaults() {
        let fields = json!({
            "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}, "f:protocol": {}},
            "k:{\"port\":81,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}});
        assert_eq!(
            common(
                &json!({"f:spec": {".": {}, "f:ports": fields, "f:powerState": {}}}),
                &json!({"spec": {"ports": [{"port": 80}]}})
            ),
            Some(json!({"f:spec": {".": {}, "f:ports": {
                "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:port": {}}}}}))
        );
        let set = json!({"f:finalizers": {"v:\"a\"": {}, "v:\"b\"": {}}, "f:list": {"i:0": {}, "i:1": {}}});
        let some = json!({"finalizers": ["b"], "list": [1]});
        assert_eq!(common(&set, &some), Some(json!({"f:finalizers": {"v:\"b\"": {}}, "f:list": {"i:0": {}}})));
        assert_eq!(common(&set, &json!({"finalizers": ["c"]})), None);
    }

    #[test]
    fn label_set_by_hand_is_not_taken_for_an_applied_one() {
        let mut fields = remembering(json!({"f:spec": {"f:image": {}}}));
        fields["f:metadata"]["f:labels"] = json!({".": {}, "f:app": {}, "f:tier": {}});
        let patch = patch(&object(json!([entry("cloudctl", "Update", fields)])), From::Ourselves).unwrap();
        let entries = patch[0]["value"].as_array().unwrap();
        assert_eq!(entries[0]["fieldsV1"]["f:metadata"]["f:labels"], json!({".": {}, "f:app": {}}));
        assert_eq!(entries[1], entry("cloudctl", "Update", json!({"f:metadata": {"f:labels": {"f:tier": {}}}})));
    }

    #[test]
    fn fields_are_added_to_those_of_an_applier_that_is_there() {
        let applier = entry("cloudctl", "Apply", json!({"f:spec": {"f:image": {}}}));
        let theirs = entry("kubectl-client-side-apply", "Update", remembering(json!({"f:spec": {"f:vpc": {}}})));
        let live = object(json!([applier, theirs]));
        assert_eq!(patch(&live, From::Ourselves), None);
        let patch = patch(&live, From::Others).unwrap();
        let expected = remembering(json!({"f:spec": {"f:image": {}, "f:vpc": {}}}));
        assert_eq!(patch[0]["value"], json!([entry("cloudctl", "Apply", expected)]));
    }

    #[test]
    fn machine_made_by_run_is_handed_over_without_an_annotation() {
        let live = object(json!([entry(RUN_MANAGER, "Update", json!({"f:spec": {"f:image": {}}}))]));
        let patch = patch(&live, From::Ourselves).unwrap();
        assert_eq!(patch[0]["value"][0]["manager"], FIELD_MANAGER);
    }

    #[test]
    fn nothing_is_handed_over_twice_or_from_those_who_only_edited() {
        let fields = json!({"f:spec": {"f:image": {}}});
        for from in [From::Ourselves, From::Others] {
            let applied = object(json!([entry("cloudctl", "Apply", remembering(fields.clone()))]));
            assert_eq!(patch(&applied, from), None);
            let edited = object(json!([
                entry("kubectl-edit", "Update", fields.clone()),
                entry("cloudctl", "Update", fields.clone())
            ]));
            assert_eq!(patch(&edited, from), None);
            assert_eq!(patch(&json!({"metadata": {"name": "x"}}), from), None);
        }
    }

    #[test]
    fn what_was_applied_and_is_no_longer_wished_goes() {
        let mut shown = json!({"spec": {"image": "b", "vpc": "main", "restartPolicy": "Always"}, "metadata": {"labels": {"app": "web", "x": "y"}}});
        let last = json!({"spec": {"image": "a", "vpc": "main"}, "metadata": {"labels": {"app": "web"}}});
        without_unwished(&mut shown, &last, &json!({"spec": {"image": "b"}, "metadata": {}}));
        let left = json!({"spec": {"image": "b", "restartPolicy": "Always"}, "metadata": {"labels": {"x": "y"}}});
        assert_eq!(shown, left);
    }
}
