use serde_json::json;

use super::*;

fn patched(document: Value, patch: Value) -> Result<Value, ApiError> {
    apply(&document, &read(patch.to_string().as_bytes())?.operations)
}

#[test]
fn each_operation_does_what_the_rfc_says() {
    let document = json!({"spec": {"color": "red", "tags": ["a", "b"]}, "a/b": {"m~n": 1}});
    let patch = json!([
        {"op": "test", "path": "/spec/color", "value": "red"},
        {"op": "add", "path": "/spec/tags/-", "value": "d"},
        {"op": "add", "path": "/spec/tags/2", "value": "c"},
        {"op": "remove", "path": "/spec/tags/0"},
        {"op": "replace", "path": "/a~1b/m~0n", "value": 2},
        {"op": "copy", "from": "/spec/color", "path": "/spec/copied"},
        {"op": "move", "from": "/spec/color", "path": "/spec/moved"},
        {"op": "remove", "path": "/spec/tags/-1"},
    ]);
    assert_eq!(
        patched(document, patch).unwrap(),
        json!({"spec": {"copied": "red", "moved": "red", "tags": ["b", "c"]}, "a/b": {"m~n": 2}})
    );
}

#[test]
fn test_of_null_passes_where_nothing_is() {
    let patch = json!([
        {"op": "test", "path": "/metadata/finalizers", "value": null},
        {"op": "add", "path": "/metadata/finalizers", "value": ["x/y"]},
    ]);
    assert_eq!(patched(json!({"metadata": {}}), patch).unwrap(), json!({"metadata": {"finalizers": ["x/y"]}}));
}

#[test]
fn test_of_null_fails_where_something_is_or_the_parent_is_missing() {
    let patch = json!([{"op": "test", "path": "/metadata/finalizers", "value": null}]);
    assert!(patched(json!({"metadata": {"finalizers": []}}), patch.clone()).is_err());
    assert!(patched(json!({}), patch).is_err());
}

#[test]
fn replace_of_a_missing_key_sets_it() {
    let patch = json!([{"op": "replace", "path": "/spec/replicas", "value": 2}]);
    assert_eq!(patched(json!({"spec": {}}), patch.clone()).unwrap(), json!({"spec": {"replicas": 2}}));
    assert!(patched(json!({}), patch).is_err());
}

#[test]
fn the_whole_document_can_be_replaced_but_not_added_or_tested() {
    let whole = |op: &str| json!([{"op": op, "path": "", "value": {"b": 2}}]);
    assert_eq!(patched(json!({"a": 1}), whole("replace")).unwrap(), json!({"b": 2}));
    assert!(patched(json!({"a": 1}), whole("add")).is_err());
    assert!(patched(json!({"b": 2}), whole("test")).is_err());
}

#[test]
fn numbers_are_compared_by_value() {
    let patch = json!([{"op": "test", "path": "/n", "value": 1.0}]);
    assert!(patched(json!({"n": 1}), patch).is_ok());
}

#[test]
fn an_operation_that_fails_is_422() {
    let patch = json!([{"op": "add", "path": "/x", "value": 1}, {"op": "remove", "path": "/spec/none"}]);
    let error = patched(json!({"spec": {}}), patch).unwrap_err();
    assert_eq!(error.reason, Reason::Invalid);
    assert_eq!(error.message, "the server rejected our request due to an error in our request");
    // Upstream's details are there, and empty.
    assert_eq!(error.to_status()["details"], json!({}));
    for patch in [
        json!([{"op": "frob", "path": "/spec"}]),
        json!([{"op": "add", "path": "", "value": 1}]),
        json!([{"op": "add", "path": "/list/5", "value": 1}]),
        json!([{"op": "add", "path": "/list/x", "value": 1}]),
        json!([{"op": "remove", "path": "/list/-3"}]),
        json!([{"op": "move", "path": "/spec"}]),
        json!([{"op": "add", "path": "/text/a", "value": 1}]),
    ] {
        let error = patched(json!({"spec": {}, "list": [1, 2], "text": "x"}), patch.clone()).unwrap_err();
        assert_eq!(error.reason, Reason::Invalid, "{patch}");
    }
}

#[test]
fn a_patch_that_is_not_a_list_of_operations_is_400() {
    for patch in ["{\"op\":\"x\"}", "[{\"op\":1,\"path\":\"/a\"}]", "[", ""] {
        assert_eq!(read(patch.as_bytes()).unwrap_err().reason, Reason::BadRequest, "{patch}");
    }
}

#[test]
fn too_many_operations_are_413() {
    let patch = vec![json!({"op": "add", "path": "/a", "value": 1}); MAX_OPERATIONS + 1];
    let error = patched(json!({}), Value::Array(patch)).unwrap_err();
    assert_eq!(error.reason, Reason::RequestEntityTooLarge);
}

#[test]
fn a_patch_can_not_nest_the_document_without_end() {
    let mut path = "/a".to_owned();
    let mut patch = Vec::new();
    for _ in 0..200 {
        patch.push(json!({"op": "add", "path": path, "value": {}}));
        path.push_str("/x");
    }
    let error = patched(json!({}), Value::Array(patch)).unwrap_err();
    assert_eq!(error.reason, Reason::Invalid);
    let deeper = |op: &str, n: usize| json!({"op": op, "from": "/a", "path": format!("/a{}", "/x".repeat(n))});
    let copies: Vec<Value> = (1..300).map(|_| deeper("copy", 1)).collect();
    assert!(patched(json!({"a": {}}), Value::Array(copies)).is_err());
}

#[test]
fn copies_can_not_double_themselves_into_all_memory() {
    let patch: Vec<Value> = (0..60).map(|i| json!({"op": "copy", "from": "/a", "path": format!("/a/{i}")})).collect();
    let error = patched(json!({"a": {"x": "0123456789"}}), Value::Array(patch)).unwrap_err();
    assert_eq!(error.reason, Reason::Invalid);
}
