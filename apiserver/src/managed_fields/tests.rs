//! What managed fields become, in the ways that clients notice.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Author, Scope, Wish, apply, create, update};
use crate::error::{ApiError, Reason};
use crate::fixtures;
use crate::registry::Kind;

const NOW: &str = "2026-01-01T00:00:01Z";
const LATER: &str = "2026-01-01T00:00:09Z";

fn author(manager: &str) -> Author {
    Author { manager: manager.to_owned(), subresource: String::new() }
}

fn widget_kind() -> Arc<Kind> {
    fixtures::widget()
}

/// An object that is stored, after what happened to it so far.
struct Stored {
    kind: Arc<Kind>,
    object: Value,
}

impl Stored {
    fn created(by: &str, mut object: Value) -> Self {
        let kind = widget_kind();
        object["metadata"]["uid"] = "u".into();
        let fields = create(&scope(&kind, ""), &object, None, &author(by), NOW);
        let mut stored = Self { kind, object };
        stored.set_fields(fields);
        stored
    }

    fn set_fields(&mut self, fields: Option<Value>) {
        let metadata = self.object["metadata"].as_object_mut().unwrap();
        match fields {
            Some(fields) => metadata.insert("managedFields".into(), fields),
            None => metadata.remove("managedFields"),
        };
    }

    fn updated(&mut self, by: &str, subresource: &str, change: impl FnOnce(&mut Value)) {
        let author = Author { manager: by.to_owned(), subresource: subresource.to_owned() };
        let old = self.object.clone();
        change(&mut self.object);
        let live = old["metadata"].get("managedFields");
        let given = self.object["metadata"].get("managedFields").cloned();
        let scope = scope(&self.kind, subresource);
        let fields = update(&scope, &old, &self.object, live, given.as_ref(), &author, LATER);
        self.set_fields(fields);
    }

    fn applied(&mut self, by: &str, config: &Value, force: bool) -> Result<(), ApiError> {
        let author = author(by);
        let wish = Wish { config, author: &author, force };
        self.object = apply(&scope(&self.kind, ""), Some(&self.object), &wish, LATER)?;
        Ok(())
    }

    /// `manager operation subresource` of each entry, with what it owns.
    fn owners(&self) -> Vec<(String, Value)> {
        let entries = self.object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
        let text = |entry: &Value, field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let shown = entries.iter().map(|entry| {
            let who = [text(entry, "manager"), text(entry, "operation"), text(entry, "subresource")].join(" ");
            (who.trim_end().to_owned(), entry["fieldsV1"].clone())
        });
        shown.collect()
    }
}

fn scope<'a>(kind: &'a Kind, subresource: &str) -> Scope<'a> {
    Scope::new(kind, &kind.versions[0], subresource)
}

fn widget(spec: Value) -> Value {
    json!({"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w", "namespace": "a"}, "spec": spec})
}

#[test]
fn who_creates_owns_what_is_there_but_not_what_names_it() {
    let mut object = widget(json!({"color": "red", "ports": [{"port": 80}]}));
    object["metadata"]["labels"] = json!({"app": "x"});
    let stored = Stored::created("me", object);
    let expected = json!({
        "f:metadata": {"f:labels": {".": {}, "f:app": {}}},
        "f:spec": {".": {}, "f:color": {}, "f:ports": {".": {}, "k:{\"port\":80}": {".": {}, "f:port": {}}}},
    });
    assert_eq!(stored.owners(), [("me Update".to_owned(), expected)]);
    let entry = &stored.object["metadata"]["managedFields"][0];
    assert_eq!((&entry["time"], &entry["apiVersion"]), (&json!(NOW), &json!("example.com/v1")));
}

#[test]
fn who_changes_a_field_takes_it_and_who_changes_nothing_takes_none() {
    let mut stored = Stored::created("me", widget(json!({"color": "red", "replicas": 1})));
    stored.updated("you", "", |_| {});
    assert_eq!(stored.owners().len(), 1);
    stored.updated("you", "", |object| object["spec"]["replicas"] = 2.into());
    let expected = [
        ("me Update".to_owned(), json!({"f:spec": {".": {}, "f:color": {}}})),
        ("you Update".to_owned(), json!({"f:spec": {"f:replicas": {}}})),
    ];
    assert_eq!(stored.owners(), expected);
    assert_eq!(stored.object["metadata"]["managedFields"][1]["time"], LATER);
}

#[test]
fn a_status_has_its_own_entry() {
    let mut stored = Stored::created("me", widget(json!({"color": "red"})));
    stored.updated("me", "status", |object| object["status"] = json!({"ready": 1}));
    let (who, fields) = stored.owners().pop().unwrap();
    assert_eq!((who.as_str(), fields), ("me Update status", json!({"f:status": {".": {}, "f:ready": {}}})));
}

#[test]
fn an_empty_list_forgets_all_owners_until_somebody_applies() {
    for reset in [json!([]), json!([{}])] {
        let mut stored = Stored::created("me", widget(json!({"color": "red"})));
        stored.updated("me", "", |object| object["metadata"]["managedFields"] = reset);
        assert_eq!(stored.owners(), []);
        stored.updated("me", "", |object| object["spec"]["color"] = "blue".into());
        assert_eq!(stored.owners(), []);
        stored.applied("you", &widget(json!({"replicas": 3})), false).unwrap();
        let owners: Vec<String> = stored.owners().into_iter().map(|(who, _)| who).collect();
        assert_eq!(owners, ["you Apply", "before-first-apply Update"]);
    }
}

#[test]
fn clients_that_leave_the_entries_out_or_spoil_them_take_nothing_away() {
    for spoilt in [Value::Null, json!("x"), json!([{"operation": "Steal"}]), json!([{"manager": 1}])] {
        let mut stored = Stored::created("me", widget(json!({"color": "red"})));
        let before = stored.owners();
        stored.updated("me", "", |object| object["metadata"]["managedFields"] = spoilt);
        assert_eq!(stored.owners(), before);
    }
}

#[test]
fn conflicts_name_the_manager_how_it_wrote_and_the_field() {
    let mut stored = Stored::created("me", widget(json!({"color": "red", "replicas": 1})));
    let error = stored.applied("you", &widget(json!({"replicas": 2})), false).unwrap_err();
    assert_eq!(error.reason, Reason::Conflict);
    assert_eq!(
        error.message,
        "Apply failed with 1 conflict: conflict with \"me\" using example.com/v1: .spec.replicas"
    );
    let wish = widget(json!({"color": "blue", "replicas": 2}));
    stored.applied("you", &wish, true).unwrap();
    let error = stored.applied("them", &widget(json!({"color": "green", "replicas": 3})), false).unwrap_err();
    assert_eq!(
        error.message,
        "Apply failed with 2 conflicts: conflicts with \"you\":\n- .spec.color\n- .spec.replicas"
    );
    assert_eq!(error.details["causes"][1]["field"], ".spec.replicas");
}

#[test]
fn applying_the_same_again_changes_not_even_the_time() {
    let mut stored = Stored::created("me", widget(json!({"color": "red"})));
    let config = widget(json!({"replicas": 2}));
    stored.applied("you", &config, false).unwrap();
    let before = stored.object.clone();
    let author = author("you");
    let wish = Wish { config: &config, author: &author, force: false };
    let again = apply(&scope(&stored.kind, ""), Some(&before), &wish, "2026-01-01T00:01:00Z").unwrap();
    assert_eq!(again, before);
}

#[test]
fn an_apply_says_which_field_does_not_fit() {
    let mut stored = Stored::created("me", widget(json!({"color": "red"})));
    let error = stored.applied("you", &widget(json!({"bogus": 1})), false).unwrap_err();
    assert_eq!(
        error.message,
        "failed to create typed patch object (a/w; example.com/v1, Kind=Widget): .spec.bogus: field not declared in schema"
    );
    let mut config = widget(json!({}));
    config["metadata"]["managedFields"] = json!([{}]);
    assert_eq!(stored.applied("you", &config, false).unwrap_err().message, "metadata.managedFields must be nil");
}

#[test]
fn kubectl_takes_over_from_its_own_client_side_apply_and_keeps_the_annotation_true() {
    const LAST: &str = "kubectl.kubernetes.io/last-applied-configuration";
    let config = widget(json!({"color": "red", "replicas": 1}));
    let mut object = config.clone();
    object["metadata"]["annotations"] = json!({LAST: format!("{config}\n")});
    let mut stored = Stored::created("kubectl-client-side-apply", object);
    let changed = widget(json!({"color": "blue", "replicas": 1}));
    stored.applied("other", &changed, false).unwrap_err();
    stored.applied("kubectl", &changed, false).unwrap();
    assert_eq!(stored.object["spec"]["color"], "blue");
    let last: Value = serde_json::from_str(stored.object["metadata"]["annotations"][LAST].as_str().unwrap()).unwrap();
    assert_eq!(last, changed);
    // What client-side apply hadn't set is another's.
    stored.updated("else", "", |object| object["spec"]["note"] = "n".into());
    let error = stored.applied("kubectl", &widget(json!({"note": "m"})), false).unwrap_err();
    assert_eq!(error.message, "Apply failed with 1 conflict: conflict with \"else\" using example.com/v1: .spec.note");
}

#[test]
fn beyond_ten_that_update_the_oldest_become_one() {
    let mut stored = Stored::created("m00", widget(json!({"color": "red"})));
    for number in 1..=14 {
        stored.updated(&format!("m{number:02}"), "", |object| {
            object["metadata"]["labels"][format!("l{number}")] = "x".into();
        });
    }
    let owners = stored.owners();
    assert_eq!(owners.len(), 10);
    let ancient = owners.iter().find(|(who, _)| who == "ancient-changes Update").expect("the oldest are one");
    let labels = ancient.1["f:metadata"]["f:labels"].as_object().unwrap();
    assert!(labels.contains_key("f:l1"), "{labels:?}");
}
