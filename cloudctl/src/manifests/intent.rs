//! Decides what is sent of a manifest: everything that its author says and nothing that the server owns, so that what `get -o
//! yaml` prints can be edited and applied. In: one object as it was written. Out: the same as the wish of a field manager.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The annotation in which client-side applies remember what they sent. Never part of a wish.
pub(crate) const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// What the server owns; a manifest that was saved with `get -o yaml` carries it along.
const SERVER_OWNED: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The manifest as it is sent: in its namespace, without what the server owns and what is null.
pub(crate) fn intent(manifest: &Value, namespace: Option<&str>, has_status: bool) -> Value {
    let mut object = without_nulls(manifest);
    if has_status && let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in SERVER_OWNED {
            metadata.remove(key);
        }
        match namespace {
            Some(namespace) => metadata.insert("namespace".to_owned(), json!(namespace)),
            None => metadata.remove("namespace"),
        };
        let emptied = metadata.get_mut("annotations").and_then(Value::as_object_mut).is_some_and(|annotations| {
            annotations.remove(LAST_APPLIED);
            annotations.is_empty()
        });
        if emptied {
            metadata.remove("annotations");
        }
    }
    fold_string_data(&mut object);
    object
}

/// A null in the YAML means the same as leaving the field out.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(map) => Value::Object(
            map.iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}

/// `stringData` of a Secret is for writing only: the server keeps it as `data`. Sent as such it is owned as such, and a key
/// that is taken out of the YAML goes. What is no text stays where it is, for the server to refuse.
fn fold_string_data(object: &mut Value) {
    if object["kind"] != "Secret" || object["apiVersion"] != "v1" {
        return;
    }
    let Some(map) = object.as_object_mut() else { return };
    let texts =
        map.get("stringData").and_then(Value::as_object).filter(|strings| strings.values().all(Value::is_string));
    let Some(texts) = texts.cloned() else { return };
    let data = map.entry("data").or_insert_with(|| Value::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        data.insert(key, Value::String(STANDARD.encode(text.as_str().unwrap_or_default())));
    }
    map.remove("stringData");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_server_owns_is_not_sent() {
        let saved = json!({"kind": "Widget", "apiVersion": "example.com/v1",
            "metadata": {"name": "w1", "annotations": {LAST_APPLIED: "old"}, "resourceVersion": "7", "uid": "u", "managedFields": []},
            "spec": {"size": 1}, "status": {"phase": "Ready"}});
        assert_eq!(
            intent(&saved, Some("default"), true),
            json!({"kind": "Widget", "apiVersion": "example.com/v1",
                "metadata": {"name": "w1", "namespace": "default"}, "spec": {"size": 1}})
        );
        let kept =
            json!({"apiVersion": "v1", "kind": "X", "metadata": {"annotations": {"a": "b", LAST_APPLIED: "old"}}});
        assert_eq!(intent(&kept, None, true)["metadata"]["annotations"], json!({"a": "b"}));
    }

    #[test]
    fn null_means_that_the_field_is_not_set() {
        let manifest =
            json!({"metadata": {"name": "x"}, "spec": {"vpc": null, "ports": [{"port": 80, "publish": null}]}});
        assert_eq!(intent(&manifest, None, true)["spec"], json!({"ports": [{"port": 80}]}));
    }

    #[test]
    fn string_data_is_sent_as_data() {
        let secret = |strings: Value| {
            let manifest = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"},
                "data": {"q": "cQ=="}, "stringData": strings});
            intent(&manifest, Some("n"), false)
        };
        let sent = secret(json!({"p": "hunter2"}));
        assert_eq!(sent["data"], json!({"p": "aHVudGVyMg==", "q": "cQ=="}));
        assert!(sent.get("stringData").is_none());
        // Left for the server to refuse, which names the field.
        assert_eq!(secret(json!({"port": 8080}))["stringData"], json!({"port": 8080}));
    }

    #[test]
    fn object_without_namespaces_gets_none() {
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "namespace": "x"}});
        assert!(intent(&manifest, None, true)["metadata"].get("namespace").is_none());
    }
}
