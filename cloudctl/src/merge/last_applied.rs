//! Decides what is remembered of an applied manifest: the annotation that kubectl keeps, byte for byte as kubectl writes it,
//! so that the two can take turns on one object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The annotation that holds the manifest that was applied last.
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

/// The manifest as it is sent: in its namespace, without what the server owns, with the annotation that remembers it.
pub(crate) fn prepared(manifest: &Value, namespace: Option<&str>, has_status: bool) -> Value {
    let mut object = manifest.clone();
    if has_status && let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    let metadata = &mut object["metadata"];
    if let Some(map) = metadata.as_object_mut() {
        for key in SERVER_OWNED {
            map.remove(key);
        }
        match namespace {
            Some(namespace) => map.insert("namespace".to_owned(), json!(namespace)),
            None => map.remove("namespace"),
        };
        let annotations = map.entry("annotations").or_insert_with(|| json!({}));
        if !annotations.is_object() {
            *annotations = json!({});
        }
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove(LAST_APPLIED);
        }
    }
    let remembered = written(&object);
    object["metadata"]["annotations"][LAST_APPLIED] = Value::String(remembered);
    fold_string_data(&mut object);
    object
}

/// What was applied last, if anything was and it can be read.
pub(crate) fn recorded(live: &Value) -> Option<Value> {
    let text = live["metadata"]["annotations"][LAST_APPLIED].as_str()?;
    let mut object: Value = serde_json::from_str(text).ok()?;
    fold_string_data(&mut object);
    Some(object)
}

/// As Go writes JSON: compact, sorted, with `<`, `>` and `&` escaped, and a newline at the end.
fn written(object: &Value) -> String {
    let text = object.to_string();
    let mut escaped = String::with_capacity(text.len() + 1);
    for letter in text.chars() {
        match letter {
            '<' => escaped.push_str("\\u003c"),
            '>' => escaped.push_str("\\u003e"),
            '&' => escaped.push_str("\\u0026"),
            '\u{2028}' => escaped.push_str("\\u2028"),
            '\u{2029}' => escaped.push_str("\\u2029"),
            other => escaped.push(other),
        }
    }
    escaped.push('\n');
    escaped
}

/// `stringData` of a Secret is for writing only: the server keeps it as `data`, so it is compared as such.
fn fold_string_data(object: &mut Value) {
    if object["kind"] != "Secret" || object["apiVersion"] != "v1" {
        return;
    }
    let Some(map) = object.as_object_mut() else { return };
    let Some(Value::Object(strings)) = map.remove("stringData") else { return };
    let data = map.entry("data").or_insert_with(|| Value::Object(Map::new()));
    if !data.is_object() {
        *data = Value::Object(Map::new());
    }
    for (key, value) in strings {
        data[key] = value.as_str().map_or(Value::Null, |text| Value::String(STANDARD.encode(text)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotation_is_what_kubectl_would_write() {
        let manifest = json!({"kind": "Widget", "apiVersion": "example.com/v1",
            "metadata": {"name": "w1", "annotations": {LAST_APPLIED: "old"}, "resourceVersion": "7"},
            "spec": {"color": "<red>", "size": 1}});
        let object = prepared(&manifest, Some("default"), true);
        assert_eq!(
            object["metadata"]["annotations"][LAST_APPLIED],
            "{\"apiVersion\":\"example.com/v1\",\"kind\":\"Widget\",\"metadata\":{\"annotations\":{},\"name\":\"w1\",\"namespace\":\"default\"},\"spec\":{\"color\":\"\\u003cred\\u003e\",\"size\":1}}\n"
        );
        assert!(object["metadata"]["resourceVersion"].is_null());
    }

    #[test]
    fn what_is_recorded_can_be_read_again() {
        let manifest =
            json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": "<&>"}});
        let live = prepared(&manifest, Some("n"), false);
        assert_eq!(recorded(&live).unwrap()["data"]["a"], "<&>");
        assert_eq!(recorded(&json!({"metadata": {}})), None);
        assert_eq!(recorded(&json!({"metadata": {"annotations": {LAST_APPLIED: "{not json"}}})), None);
    }

    #[test]
    fn string_data_is_compared_as_data() {
        let manifest =
            json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "stringData": {"p": "hunter2"}});
        let object = prepared(&manifest, Some("n"), false);
        assert_eq!(object["data"]["p"], "aHVudGVyMg==");
        assert!(object.get("stringData").is_none());
        assert_eq!(recorded(&object).unwrap()["data"]["p"], "aHVudGVyMg==");
    }

    #[test]
    fn object_without_namespaces_gets_none() {
        let manifest = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "n", "namespace": "x"}});
        assert!(prepared(&manifest, None, true)["metadata"].get("namespace").is_none());
    }
}
