use serde_json::json;

use crate::fixtures;

use super::*;

fn patched(current: Value, patch: Value) -> Value {
    apply(&current, &patch, &fixtures::built_in("", "Namespace")).unwrap()
}

fn refused(current: Value, patch: Value) -> ApiError {
    apply(&current, &patch, &fixtures::built_in("", "Namespace")).unwrap_err()
}

#[test]
fn objects_merge_and_null_removes() {
    assert_eq!(
        patched(
            json!({"data": {"a": "1", "b": "2"}, "metadata": {"labels": {"x": "y"}}}),
            json!({"data": {"b": null, "c": "3", "d": null}, "metadata": {"labels": null, "annotations": {"k": "v", "n": null}}}),
        ),
        json!({"data": {"a": "1", "c": "3"}, "metadata": {"annotations": {"k": "v"}}})
    );
}

#[test]
fn a_list_without_a_strategy_is_replaced() {
    assert_eq!(
        patched(json!({"spec": {"finalizers": ["a"]}}), json!({"spec": {"finalizers": ["b"]}})),
        json!({"spec": {"finalizers": ["b"]}})
    );
}

#[test]
fn finalizers_are_a_set() {
    let current = json!({"metadata": {"finalizers": ["a", "b"]}});
    assert_eq!(
        patched(current.clone(), json!({"metadata": {"finalizers": ["c", "a"]}}))["metadata"]["finalizers"],
        json!(["c", "a", "b"])
    );
    assert_eq!(
        patched(current.clone(), json!({"metadata": {"$deleteFromPrimitiveList/finalizers": ["a", "z"]}}))["metadata"]
            ["finalizers"],
        json!(["b"])
    );
    assert_eq!(
        patched(
            current,
            json!({"metadata": {
                "$deleteFromPrimitiveList/finalizers": ["a"],
                "$setElementOrder/finalizers": ["c", "b"],
                "finalizers": ["c"],
            }})
        )["metadata"]["finalizers"],
        json!(["c", "b"])
    );
}

#[test]
fn owner_references_merge_by_uid() {
    let current = json!({"metadata": {"ownerReferences": [{"uid": "1", "name": "a"}, {"uid": "2", "name": "b"}]}});
    assert_eq!(
        patched(
            current.clone(),
            json!({"metadata": {"ownerReferences": [{"uid": "2", "controller": true}, {"uid": "3", "name": "c"}]}})
        )["metadata"]["ownerReferences"],
        json!([{"uid": "1", "name": "a"}, {"uid": "2", "name": "b", "controller": true}, {"uid": "3", "name": "c"}])
    );
    assert_eq!(
        patched(current.clone(), json!({"metadata": {"ownerReferences": [{"$patch": "delete", "uid": "1"}]}}))["metadata"]
            ["ownerReferences"],
        json!([{"uid": "2", "name": "b"}])
    );
    assert_eq!(
        patched(current.clone(), json!({"metadata": {"ownerReferences": [{"uid": "9"}, {"$patch": "replace"}]}}))["metadata"]
            ["ownerReferences"],
        json!([{"uid": "9"}])
    );
    let error = refused(current, json!({"metadata": {"ownerReferences": [{"name": "x"}]}}));
    assert_eq!(error.reason, Reason::Unknown);
    assert!(error.message.contains("does not contain declared merge key: uid"), "{}", error.message);
}

#[test]
fn conditions_merge_by_type_in_the_order_asked_for() {
    let current = json!({"status": {"conditions": [{"type": "A", "status": "1"}, {"type": "B"}, {"type": "C"}]}});
    assert_eq!(
        patched(
            current,
            json!({"status": {
                "$setElementOrder/conditions": [{"type": "C"}, {"type": "A"}],
                "conditions": [{"type": "A", "status": "2"}],
            }})
        )["status"]["conditions"],
        json!([{"type": "B"}, {"type": "C"}, {"type": "A", "status": "2"}])
    );
}

#[test]
fn a_map_can_be_replaced_or_emptied() {
    let current = json!({"data": {"a": "1"}, "metadata": {"name": "n"}});
    assert_eq!(patched(current.clone(), json!({"data": {"$patch": "replace", "b": "2"}}))["data"], json!({"b": "2"}));
    assert_eq!(patched(current.clone(), json!({"data": {"$patch": "delete"}}))["data"], json!({}));
    let error = refused(current, json!({"data": {"$patch": "frob"}}));
    assert_eq!(error.reason, Reason::Unknown);
    assert_eq!(error.message, "unknown patch type: frob in map: map[$patch:frob]");
}

#[test]
fn retain_keys_drops_every_other_key() {
    let current = json!({"spec": {"a": 1, "b": 2}});
    assert_eq!(
        patched(current.clone(), json!({"spec": {"$retainKeys": ["b", "c"], "c": 3}}))["spec"],
        json!({"b": 2, "c": 3})
    );
    assert_eq!(refused(current.clone(), json!({"spec": {"$retainKeys": ["b"], "c": 3}})).reason, Reason::BadRequest);
    assert_eq!(refused(current, json!({"spec": {"$retainKeys": 1}})).reason, Reason::BadRequest);
}

#[test]
fn directives_never_become_data() {
    let merged = patched(
        json!({}),
        json!({
            "data": {"$retainKeys": ["a"], "a": "1"},
            "metadata": {
                "finalizers": ["x"],
                "$setElementOrder/finalizers": ["x"],
                "$deleteFromPrimitiveList/finalizers": ["y"],
                "ownerReferences": [{"uid": "1", "$patch": "delete"}, {"uid": "2"}],
            },
        }),
    );
    assert_eq!(
        merged,
        json!({"data": {"a": "1"}, "metadata": {"finalizers": ["x"], "ownerReferences": [{"uid": "2"}]}})
    );
}

#[test]
fn a_patch_that_is_not_an_object_is_refused() {
    assert_eq!(refused(json!({}), json!([])).reason, Reason::BadRequest);
}
