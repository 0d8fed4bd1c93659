//! Server-side apply against what the reference implementation did, and what must hold whatever is applied.

mod cases;
mod conversion;
mod properties;
mod schema;

use serde_json::{Value, json};

use super::element::{canonical, display};
use super::set::Set;

fn set(fields: &Value) -> Set {
    Set::parse(fields).expect("these are fields")
}

#[test]
fn elements_of_others_become_canonical() {
    assert_eq!(canonical(r#"k:{"protocol": "TCP", "port": 80.0}"#).unwrap(), r#"k:{"port":80,"protocol":"TCP"}"#);
    assert_eq!(canonical("v:1.0").unwrap(), "v:1");
    for broken in ["", "f", "k:[]", "k:{", "v:", "i:x", "x:y"] {
        assert_eq!(canonical(broken), None, "{broken}");
    }
}

#[test]
fn paths_are_shown_as_upstream_shows_them() {
    let fields = json!({"f:spec": {"f:ports": {
        "k:{\"port\":80,\"protocol\":\"TCP\"}": {".": {}, "f:name": {}},
    }, "f:set": {"v:\"a\"": {}}}});
    let expected =
        [".spec.ports[port=80,protocol=\"TCP\"]", ".spec.ports[port=80,protocol=\"TCP\"].name", ".spec.set[=\"a\"]"];
    assert_eq!(set(&fields).paths(), expected);
    let mut shown = String::new();
    display("i:3", &mut shown);
    assert_eq!(shown, "[3]");
}

#[test]
fn sets_are_taken_out_alone_or_with_what_is_below() {
    let all = set(&json!({"f:a": {".": {}, "f:b": {}, "f:c": {}}, "f:d": {}}));
    let mut rest = all.clone();
    rest.subtract(&set(&json!({"f:a": {}})));
    assert_eq!(rest.to_fields(), json!({"f:a": {"f:b": {}, "f:c": {}}, "f:d": {}}));
    let mut rest = all.clone();
    rest.subtract_recursively(&set(&json!({"f:a": {}})));
    assert_eq!(rest.to_fields(), json!({"f:d": {}}));
    let common = all.intersection(&set(&json!({"f:a": {"f:b": {}}, "f:e": {}})));
    assert_eq!(common.to_fields(), json!({"f:a": {"f:b": {}}}));
}
