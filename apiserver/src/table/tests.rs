use crate::fixtures::{self, column};

use super::*;

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

fn widget() -> Value {
    json!({
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {
            "name": "w1",
            "namespace": "default",
            "resourceVersion": "7",
            "creationTimestamp": "2026-11-22T11:58:47Z",
        },
        "spec": {"color": "red", "size": 10},
    })
}

fn cells(json_path: &str, type_: &str, object: &Value) -> Value {
    let mut widget = fixtures::widget();
    let kind = std::sync::Arc::get_mut(&mut widget).unwrap();
    kind.versions[0].columns = vec![column("X", type_, json_path)];
    Printer::new(&kind.versions[0], MetaVersion::V1).row(object, IncludeObject::None, now())["cells"][1].clone()
}

#[test]
fn a_list_prints_as_kubectl_expects_it() {
    let printer = Printer::new(&fixtures::widget().versions[0], MetaVersion::V1);
    let metadata = revision_of(&widget());
    insta::assert_json_snapshot!(printer.table([&widget()], metadata, IncludeObject::Metadata, now()));
}

#[test]
fn a_row_carries_what_was_asked_for() {
    let printer = Printer::new(&fixtures::widget().versions[0], MetaVersion::V1);
    assert_eq!(printer.row(&widget(), IncludeObject::None, now())["object"], Value::Null);
    assert_eq!(printer.row(&widget(), IncludeObject::Object, now())["object"], widget());
    let partial = printer.row(&widget(), IncludeObject::Metadata, now())["object"].clone();
    assert_eq!(partial["kind"], "PartialObjectMetadata");
    assert_eq!(partial["metadata"]["name"], "w1");
    assert_eq!(partial.get("spec"), None);
}

#[test]
fn include_object_is_read_from_the_query() {
    assert_eq!(IncludeObject::parse(None).unwrap(), IncludeObject::Metadata);
    assert_eq!(IncludeObject::parse(Some("Object")).unwrap(), IncludeObject::Object);
    assert_eq!(IncludeObject::parse(Some("None")).unwrap(), IncludeObject::None);
    assert_eq!(IncludeObject::parse(Some("All")).unwrap_err().reason.code(), 400);
}

#[test]
fn only_the_first_event_of_a_watch_has_headings() {
    let printer = Printer::new(&fixtures::widget().versions[0], MetaVersion::V1);
    let first = printer.event(EventPosition::First, &widget(), IncludeObject::None, now());
    let later = printer.event(EventPosition::Later, &widget(), IncludeObject::None, now());
    assert_eq!(first["columnDefinitions"].as_array().unwrap().len(), 5);
    assert_eq!(later["columnDefinitions"], Value::Null);
    assert_eq!(later["metadata"]["resourceVersion"], "7");
    assert_eq!(later["rows"].as_array().unwrap().len(), 1);
}

#[test]
fn a_version_without_columns_shows_the_age() {
    let config_map = fixtures::built_in("", "ConfigMap");
    let printer = Printer::new(&config_map.versions[0], MetaVersion::V1);
    let names: Vec<_> = printer.columns().as_array().unwrap().iter().map(|c| c["name"].clone()).collect();
    assert_eq!(names, ["Name", "Age"]);
    assert_eq!(printer.row(&widget(), IncludeObject::None, now())["cells"], json!(["w1", "73s"]));
}

#[test]
fn a_version_can_say_where_its_name_stands() {
    let mut widget_kind = fixtures::widget();
    let kind = std::sync::Arc::get_mut(&mut widget_kind).unwrap();
    kind.versions[0].columns =
        vec![column("Color", "string", ".spec.color"), column("Name", "string", ".metadata.name")];
    let printer = Printer::new(&kind.versions[0], MetaVersion::V1);
    assert_eq!(printer.row(&widget(), IncludeObject::None, now())["cells"], json!(["red", "w1"]));
    assert_eq!(printer.columns()[1]["format"], "name");
}

#[test]
fn a_value_is_forced_into_its_columns_type_or_null() {
    let object = json!({
        "metadata": {"name": "x"},
        "s": "text", "i": 3, "f": 2.5, "b": true, "n": null, "m": {"a": [1]}, "d": "2026-11-20T12:00:00Z", "l": ["p", "q"],
    });
    for (path, type_, expected) in [
        (".s", "string", json!("text")),
        (".i", "string", json!("3")),
        (".f", "string", json!("2.5")),
        (".b", "string", json!("true")),
        (".m", "string", json!("{\"a\":[1]}")),
        (".n", "string", Value::Null),
        (".i", "integer", json!(3)),
        (".f", "integer", json!(2)),
        (".s", "integer", Value::Null),
        (".i", "number", json!(3.0)),
        (".b", "boolean", json!(true)),
        (".s", "boolean", Value::Null),
        (".d", "date", json!("2d")),
        (".s", "date", json!("<invalid>")),
        (".i", "date", Value::Null),
        (".none", "string", Value::Null),
        (".l[*]", "string", json!("p")),
        (".l[", "string", Value::Null),
    ] {
        assert_eq!(cells(path, type_, &object), expected, "{path} as {type_}");
    }
}

#[test]
fn a_computed_cell_is_coerced_like_any_other() {
    let object = json!({"metadata": {"name": "x"}, "data": {"a": "1", "b": "2"}, "at": "2026-11-22T11:00:00Z"});
    assert_eq!(cells("=count .data", "integer", &object), json!(2));
    assert_eq!(cells("=first .none .at", "date", &object), json!("60m"));
}
