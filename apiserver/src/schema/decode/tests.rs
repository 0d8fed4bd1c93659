use serde_json::json;

use super::*;
use crate::error::Reason;

#[test]
fn keys_given_twice_are_told_with_their_paths_and_the_last_one_counts() {
    let body = br#"{"spec":{"color":"red","color":"blue","color":"green","ports":[{"x":1},{"x":1,"x":2}]}}"#;
    let decoded = json(body).unwrap();
    assert_eq!(decoded.duplicates, ["spec.color", "spec.ports[1].x"]);
    assert_eq!(decoded.value, json!({"spec": {"color": "green", "ports": [{"x": 1}, {"x": 2}]}}));
}

#[test]
fn yaml_keys_given_twice_are_told_too() {
    let decoded = yaml(b"spec:\n  color: red\n  color: blue\n").unwrap();
    assert_eq!(decoded.duplicates, ["spec.color"]);
    assert_eq!(decoded.value, json!({"spec": {"color": "blue"}}));
}

#[test]
fn whole_floats_are_integers_and_large_integers_are_kept() {
    let decoded = json(br#"{"a":1e3,"b":1.0,"c":1.5,"d":18446744073709551615,"e":-3}"#).unwrap();
    assert_eq!(decoded.value.to_string(), r#"{"a":1000,"b":1,"c":1.5,"d":18446744073709551615,"e":-3}"#);
}

#[test]
fn broken_json_is_explained_in_the_words_of_gos_parser() {
    let cases = [
        (r#"{"a":"#, "unexpected end of JSON input"),
        ("{nope", "invalid character 'n' looking for beginning of object key string"),
        (r#"{"a":x}"#, "invalid character 'x' looking for beginning of value"),
        (r#"{"a":1}}"#, "invalid character '}' after top-level value"),
        (r#"{"a":1 "b"}"#, "invalid character '\"' after object key:value pair"),
        (r#"{"a" 1}"#, "invalid character '1' after object key"),
    ];
    for (body, expected) in cases {
        let error = json(body.as_bytes()).unwrap_err();
        assert_eq!(error.reason, Reason::BadRequest);
        assert_eq!(error.message, format!("couldn't get version/kind; json parse error: {expected}"), "{body}");
    }
}

#[test]
fn an_error_names_the_kind_that_was_expected_and_quotes_the_body() {
    let body = br#"{"a":"#;
    let error = unrecognized("Widget", body, &json(body).unwrap_err());
    assert_eq!(
        error.message,
        "the object provided is unrecognized (must be of type Widget): couldn't get version/kind; \
         json parse error: unexpected end of JSON input ({\"a\":)"
    );
    assert!(unrecognized("W", b"hello", &error).message.ends_with("(68656c6c6f)"));
    assert!(unrecognized("W", b"", &error).message.ends_with("(<empty>)"));
}

#[test]
fn what_is_no_object_is_refused() {
    for body in ["[]", "1", "null", "\"x\""] {
        let error = json(body.as_bytes()).unwrap_err();
        assert!(error.message.contains("cannot unmarshal"), "{body}: {}", error.message);
        assert!(yaml(body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn nesting_has_an_end() {
    let nested = |levels: usize| format!("{{\"a\":{}{}}}", "[".repeat(levels - 1), "]".repeat(levels - 1));
    assert!(json(nested(MAX_DEPTH).as_bytes()).is_ok());
    for levels in [MAX_DEPTH + 1, 100_000] {
        assert!(json(nested(levels).as_bytes()).unwrap_err().message.contains("exceeded max depth"));
        assert!(yaml(nested(levels).as_bytes()).is_err());
    }
    assert!(!is_too_deep(&json(nested(MAX_DEPTH).as_bytes()).unwrap().value));
    let mut value = Value::Null;
    for _ in 0..=MAX_DEPTH {
        value = json!([value]);
    }
    assert!(is_too_deep(&value));
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let body = vec![b' '; MAX_BODY + 1];
    assert_eq!(json(&body).unwrap_err().reason, Reason::RequestEntityTooLarge);
    assert_eq!(yaml(&body).unwrap_err().reason, Reason::RequestEntityTooLarge);
}

#[test]
fn yaml_is_read_as_kubernetes_reads_it() {
    let body =
        b"# comment\na: 0644\nb: yes\nc: \"yes\"\nd: null\ne: 1.5\nf: 2026-01-02\n1: one\nempty:\nm: |\n  x\n  y\n";
    let decoded = yaml(body).unwrap();
    assert_eq!(
        decoded.value,
        json!({
            "a": 420, "b": true, "c": "yes", "d": null, "e": 1.5, "f": "2026-01-02", "1": "one", "empty": null,
            "m": "x\ny\n",
        })
    );
    assert_eq!(yaml(br#"{"a": {"b": [1, "x"]}}"#).unwrap().value, json!({"a": {"b": [1, "x"]}}));
}

#[test]
fn yaml_aliases_and_merges_are_resolved() {
    let body = b"base: &b {x: 1}\nuse: *b\nmore:\n  <<: *b\n  y: 2\n";
    assert_eq!(yaml(body).unwrap().value, json!({"base": {"x": 1}, "use": {"x": 1}, "more": {"x": 1, "y": 2}}));
}

#[test]
fn a_yaml_alias_bomb_is_refused() {
    let mut bomb = String::from("a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n");
    for level in 1..10 {
        let before = format!("*a{},", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(',')));
    }
    let error = yaml(bomb.as_bytes()).unwrap_err();
    assert_eq!(error.reason, Reason::BadRequest);
    assert!(error.message.starts_with("error converting YAML to JSON: yaml: "), "{}", error.message);
    assert!(error.message.contains("alias"), "{}", error.message);
}

#[test]
fn broken_yaml_and_several_documents_are_refused() {
    for body in ["a: b: c", "a: [1", "a: 1\n---\nb: 2\n", "a: .nan", "\u{0}"] {
        let error = yaml(body.as_bytes()).unwrap_err();
        assert!(error.message.starts_with("error converting YAML to JSON: yaml: "), "{body}: {}", error.message);
    }
}
