//! Decides what of the objects is compared between two runs: everything but what differs without meaning anything
//! (uids, times, revisions, ids at the engine). Pure.

use serde_json::Value;

/// Metadata that differs from run to run.
const METADATA: [&str; 6] =
    ["uid", "creationTimestamp", "deletionTimestamp", "resourceVersion", "managedFields", "generation"];
/// Fields of a status that differ from run to run.
const STATUS: [&str; 4] = ["startedAt", "machineId", "observedGeneration", "lastExit"];

/// The object without what differs.
pub(crate) fn comparable(mut object: Value) -> Value {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for field in METADATA {
            metadata.remove(field);
        }
    }
    for pointer in ["/spec/retained", "/spec/source/retained"] {
        if let Some(uid) = object.pointer_mut(pointer) {
            *uid = Value::Null;
        }
    }
    if let Some(status) = object.get_mut("status").and_then(Value::as_object_mut) {
        for field in STATUS {
            status.remove(field);
        }
        // Under another key in each cloud.
        for secret in status.get_mut("secrets").and_then(Value::as_array_mut).into_iter().flatten() {
            secret["digest"] = Value::Null;
        }
        if let Some(conditions) = status.get_mut("conditions").and_then(Value::as_array_mut) {
            for condition in conditions.iter_mut().filter_map(Value::as_object_mut) {
                condition.remove("lastTransitionTime");
                condition.remove("observedGeneration");
            }
            conditions.sort_by_key(|condition| condition["type"].to_string());
        }
    }
    object
}

/// The engine's state without the hashes, in which uids are.
pub(crate) fn without_hashes(state: &str) -> String {
    let words = |line: &str| line.split(' ').filter(|word| !word.starts_with("hash=")).collect::<Vec<_>>().join(" ");
    state.lines().map(words).collect::<Vec<_>>().join("\n")
}
