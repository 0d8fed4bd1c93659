use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::schema::decode;

fn value(text: &str) -> String {
    let written = to_string(&json!({"a": text}));
    written.strip_prefix("a:").unwrap().strip_suffix('\n').unwrap().trim_start_matches(' ').to_owned()
}

#[test]
fn structure_is_indented_by_two_and_sequences_not_at_all() {
    let document = json!({
        "metadata": {"name": "w", "managedFields": [{"manager": "m", "fieldsV1": {"f:x": {}}}, {}]},
        "list": [1, [true, null, []], {"a": {"b": 1}, "c": "d"}],
        "empty": "",
    });
    assert_eq!(
        to_string(&document),
        "empty: \"\"\nlist:\n- 1\n- - true\n  - null\n  - []\n- a:\n    b: 1\n  c: d\nmetadata:\n  managedFields:\n  \
         - fieldsV1:\n      f:x: {}\n    manager: m\n  - {}\n  name: w\n"
    );
    assert_eq!(to_string(&json!({})), "{}\n");
}

#[test]
fn only_what_would_be_read_as_something_else_is_quoted() {
    for text in
        ["text", "with space", "k:{\"port\":80}", "f:a", ".", "a#b", "10Mi", "1.2.3", "08x", "yess", "2026-13-01"]
    {
        assert_eq!(value(text), text);
    }
    for text in ["yes", "y", "On", "null", "~", "", "1", "0x1F", "1_000", "1e3", ".5", "1:30", "2026-01-02", "-.inf"] {
        assert_eq!(value(text), format!("\"{text}\""));
    }
    assert_eq!(value("2026-01-02T03:04:05Z"), "\"2026-01-02T03:04:05Z\"");
    for text in ["- a", "a: b", "#a", "a #b", "@a", " a", "a ", "{a", "%a", "trailing:"] {
        assert_eq!(value(text), format!("'{text}'"));
    }
    assert_eq!(value("'a"), "'''a'");
    assert_eq!(value("tab\tand \u{1}"), "\"tab\\tand \\x01\"");
}

#[test]
fn lines_become_blocks() {
    assert_eq!(value("a\nb\n"), "|\n  a\n  b");
    assert_eq!(value("a\nb"), "|-\n  a\n  b");
    assert_eq!(value("a\n\n"), "|+\n  a\n");
    assert_eq!(value(" a\nb"), "|2-\n   a\n  b");
    assert_eq!(value("a \nb"), "\"a \\nb\"");
}

#[test]
fn long_texts_are_folded_behind_column_80() {
    let text = "word ".repeat(30).trim().to_owned();
    let written = value(&text);
    let lines: Vec<&str> = written.lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(lines[0].len() + 3 > 80 && lines[1].starts_with("  word"));
}

#[test]
fn keys_are_in_the_order_of_their_numbers() {
    let written = to_string(&json!({"a10": 1, "a9": 1, ".": 1, "b": 1, "B": 1}));
    assert_eq!(written, ".: 1\nB: 1\na9: 1\na10: 1\nb: 1\n");
}

#[test]
fn numbers_are_as_short_as_they_can_be() {
    assert_eq!(
        to_string(&json!([1.5, 100.0, 1e6, 1.5e-7, -3, u64::MAX])),
        "- 1.5\n- 100\n- 1e+06\n- 1.5e-07\n- -3\n- 18446744073709551615\n"
    );
}

proptest! {
    #[test]
    fn what_is_written_reads_the_same(text in "(?s).{0,200}", key in "[ -~]{1,160}") {
        let document = json!({"a": text, "b": {key: [text, {"c": text}]}});
        let read = decode::yaml(to_string(&document).as_bytes()).unwrap();
        prop_assert_eq!(read.value, document);
    }
}
