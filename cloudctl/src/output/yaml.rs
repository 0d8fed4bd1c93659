//! Decides how an object is written out: YAML in the order of the API's JSON (sorted keys), JSON with two-space indentation.

use serde_json::Value;

/// YAML, ending with a newline.
pub(crate) fn yaml(value: &Value) -> String {
    let options = serde_saphyr::ser_options! { compact_list_indent: true, min_fold_chars: usize::MAX };
    let mut text = serde_saphyr::to_string_with_options(value, options).expect("a JSON value is a YAML value");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// JSON, ending with a newline.
pub(crate) fn json(value: &Value) -> String {
    let mut text = serde_json::to_string_pretty(value).expect("a JSON value can be written");
    text.push('\n');
    text
}

/// Takes away what only machines read.
pub(crate) fn without_managed_fields(object: &mut Value) {
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
    }
    for item in object.get_mut("items").and_then(Value::as_array_mut).into_iter().flatten() {
        without_managed_fields(item);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn yaml_reads_back_as_what_was_written() {
        let value = json!({
            "empty": {"list": [], "map": {}, "string": ""},
            "looksLike": ["yes", "1.0", "null", "0x10", "~", "2026-01-01", "1e3", "on", "- x", "a: b", "#c", "0644", "1_000"],
            "text": "two\nlines\n", "open": "no newline\nat the end", "spaces": "  in front", "trailing": "x \ny",
            "numbers": [1, -1, 1.5, 18_446_744_073_709_551_615_u64], "bool": true, "nothing": null,
            "nested": [[1, 2], [{"a": [{"b": 1}]}]], "quote": "it's \"fine\"", "tab": "a\tb", "unicode": "ü→\u{1F600}",
            "long": "word ".repeat(60),
        });
        let text = yaml(&value);
        let options = serde_saphyr::Options::default();
        let back: Value = serde_saphyr::from_str_with_options(&text, options).unwrap();
        assert_eq!(back, value, "{text}");
    }

    #[test]
    fn yaml_looks_like_people_write_it() {
        let value = json!({
            "apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance",
            "metadata": {"name": "web", "labels": {"app": "web"}},
            "spec": {"image": "busybox:1.36", "args": ["httpd", "-f"], "ports": [{"port": 80, "publish": {}}],
                "env": [{"name": "ON", "value": "yes"}], "script": "echo a\necho b\n"},
        });
        insta::assert_snapshot!(yaml(&value));
    }

    #[test]
    fn managed_fields_go_from_lists_too() {
        let mut list = json!({"items": [{"metadata": {"name": "a", "managedFields": [1]}}], "metadata": {}});
        without_managed_fields(&mut list);
        assert_eq!(list["items"][0], json!({"metadata": {"name": "a"}}));
    }
}
