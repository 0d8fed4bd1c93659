use serde_json::json;

use super::*;

fn object() -> Value {
    json!({
        "metadata": {"name": "w", "annotations": {"foo.bar/baz": "dotted", "a b": "spaced"}},
        "spec": {"n": 3, "items": [{"name": "a", "v": 1}, {"name": "b", "v": 2}, {"name": "c", "v": 2.5}]},
        "status": {"conditions": [
            {"type": "Ready", "status": "True", "ok": true},
            {"type": "Stalled", "status": "False", "ok": false},
        ]},
        "list": [0, 1, 2, 3],
        "want": "Stalled",
    })
}

fn found(path: &str) -> Value {
    let object = object();
    Path::parse(path).unwrap().find(&object).into_iter().cloned().collect()
}

#[test]
fn keys_are_found_however_they_are_written() {
    for path in [
        ".metadata.name",
        "metadata.name",
        "{.metadata.name}",
        "$.metadata.name",
        "{ $['metadata']['name'] }",
        ".metadata[\"name\"]",
    ] {
        assert_eq!(found(path), json!(["w"]), "{path}");
    }
    for path in [
        ".metadata.annotations.foo\\.bar/baz",
        ".metadata.annotations['foo.bar/baz']",
        ".metadata.annotations['foo\\.bar/baz']",
    ] {
        assert_eq!(found(path), json!(["dotted"]), "{path}");
    }
    assert_eq!(found(".metadata.annotations['a b']"), json!(["spaced"]));
    assert_eq!(found("."), json!([object()]));
}

#[test]
fn what_is_not_there_is_not_found() {
    for path in [
        ".spec.none",
        ".none.none",
        ".metadata.name.deeper",
        ".spec.n[0]",
        ".list[9]",
        ".list[-9]",
        ".list.x",
        ".spec.n[?(@.x==1)]",
    ] {
        assert_eq!(found(path), json!([]), "{path}");
    }
}

#[test]
fn lists_are_indexed_sliced_and_spread() {
    assert_eq!(found(".list[0]"), json!([0]));
    assert_eq!(found(".list[-1]"), json!([3]));
    assert_eq!(found(".list[0:2]"), json!([0, 1]));
    assert_eq!(found(".list[1:]"), json!([1, 2, 3]));
    assert_eq!(found(".list[:-1]"), json!([0, 1, 2]));
    assert_eq!(found(".list[::2]"), json!([0, 2]));
    assert_eq!(found(".list[-2:]"), json!([2, 3]));
    assert_eq!(found(".list[3:1]"), json!([]));
    assert_eq!(found(".list[0,3]"), json!([0, 3]));
    assert_eq!(found(".list[*]"), json!([0, 1, 2, 3]));
    assert_eq!(found(".spec.items[*].name"), json!(["a", "b", "c"]));
    assert_eq!(found(".spec.items[0]['name','v']"), json!(["a", 1]));
    assert_eq!(found(".spec.items[0:2]['name','v']"), json!(["a", "b", 1, 2]));
    assert_eq!(found(".spec.items[0].*"), json!(["a", 1]));
}

#[test]
fn descent_finds_a_key_at_any_depth() {
    assert_eq!(found("..name"), json!(["w", "a", "b", "c"]));
    assert_eq!(found(".status..type"), json!(["Ready", "Stalled"]));
}

#[test]
fn filters_choose_items() {
    assert_eq!(found(".status.conditions[?(@.type==\"Ready\")].status"), json!(["True"]));
    assert_eq!(found(".status.conditions[?(@.type=='Stalled')].status"), json!(["False"]));
    assert_eq!(found(".status.conditions[?( @.type != \"Ready\" )].type"), json!(["Stalled"]));
    assert_eq!(found(".status.conditions[?(@.type==$.want)].status"), json!(["False"]));
    assert_eq!(found(".status.conditions[?(@.ok==true)].type"), json!(["Ready"]));
    assert_eq!(found(".spec.items[?(@.v>1)].name"), json!(["b", "c"]));
    assert_eq!(found(".spec.items[?(@.v>=2.5)].name"), json!(["c"]));
    assert_eq!(found(".spec.items[?(@.v<2)].name"), json!(["a"]));
    assert_eq!(found(".spec.items[?(@.v<=2)].name"), json!(["a", "b"]));
    assert_eq!(found(".spec.items[?(@.v)].name"), json!(["a", "b", "c"]));
    assert_eq!(found(".spec.items[?(@.v==\"1\")].name"), json!([]));
    assert_eq!(found(".list[?(@>1)]"), json!([2, 3]));
    assert_eq!(found(".status.conditions[?(@.type==\"a)]b\")].status"), json!([]));
}

#[test]
fn a_path_that_can_not_be_read_says_why() {
    for (path, why) in [
        (".spec[", "the closing `]` is missing"),
        (".spec['a", "a quote is not closed"),
        (".list[x]", "`x` is not an index"),
        (".a[?(@.b==c)]", "`c` is neither a quoted text, a number, `true`, `false` nor a path"),
        (".a[?(@.b==1]", "the filter is not closed"),
        (".a b", "unexpected ` b`"),
        ("{.a", "the closing `}` is missing"),
        (".list[::0]", "the step of a slice must be positive"),
        (".a.]", "a key is missing before `]`"),
    ] {
        let error = Path::parse(path).unwrap_err();
        assert!(error.why.starts_with(why), "{path}: {}", error.why);
    }
}

#[test]
fn brackets_can_not_nest_without_end() {
    let path = "[?(@".repeat(1000);
    assert!(Path::parse(&path).is_err());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_parser_or_the_search_fail(path in "[.\\[\\]*?@$()='\"<>!,:0-9a-c -]{0,24}") {
        if let Ok(path) = Path::parse(&path) {
            let _ = path.find(&object());
        }
    }
}
