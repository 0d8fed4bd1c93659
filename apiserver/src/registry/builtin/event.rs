//! Decides what an Event is. The same stored object is served twice: as `v1` and as `events.k8s.io/v1`, whose fields
//! have other names. It is stored as `v1`.

use apiserver_store::ResourceId;
use k8s_openapi::api::{core, events};
use serde_json::{Value, json};

use super::{CellForm, Column, Declaration, Kind, column, openapi, wide};
use crate::error::FieldError;
use crate::schema::fields::names::qualified_name_problems;
use crate::schema::words;

/// Fields by their name in `v1` and in `events.k8s.io/v1`. All others have the same name in both.
const RENAMED: [(&str, &str); 7] = [
    ("involvedObject", "regarding"),
    ("message", "note"),
    ("source", "deprecatedSource"),
    ("firstTimestamp", "deprecatedFirstTimestamp"),
    ("lastTimestamp", "deprecatedLastTimestamp"),
    ("count", "deprecatedCount"),
    ("reportingComponent", "reportingController"),
];

pub(super) fn core_kind() -> Kind {
    Declaration {
        group: "",
        version: "v1",
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        categories: &[],
        namespaced: true,
        status: false,
        selectable_fields: &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
        columns: columns("involvedObject", "message", "firstTimestamp", "lastTimestamp", "count", "source"),
        openapi: openapi::schema::<core::v1::Event>(),
    }
    .into_kind_that_asks_for_its_fields()
}

pub(super) fn new_kind() -> Kind {
    let schema = openapi::schema::<events::v1::Event>();
    let kind = Declaration {
        group: "events.k8s.io",
        version: "v1",
        kind: "Event",
        plural: "events",
        short_names: &["ev"],
        categories: &[],
        namespaced: true,
        status: false,
        selectable_fields: &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
        columns: columns(
            "regarding",
            "note",
            "deprecatedFirstTimestamp",
            "deprecatedLastTimestamp",
            "deprecatedCount",
            "deprecatedSource",
        ),
        openapi: schema,
    }
    .into_kind_that_asks_for_its_fields();
    Kind { stored_as: Some(ResourceId { group: String::new(), plural: "events".to_owned() }), ..kind }
}

/// The structs and times that an Event always has.
pub(super) fn blank_core() -> Value {
    json!({
        "eventTime": null, "firstTimestamp": null, "involvedObject": {}, "lastTimestamp": null,
        "reportingComponent": "", "reportingInstance": "", "source": {},
    })
}

/// The same of `events.k8s.io/v1`.
pub(super) fn blank_new() -> Value {
    json!({
        "deprecatedFirstTimestamp": null, "deprecatedLastTimestamp": null, "deprecatedSource": {}, "eventTime": null,
        "regarding": {},
    })
}

/// Texts that say who acted and why are not longer.
const MAX_WORD: usize = 128;
const MAX_MESSAGE: usize = 1024;

/// What is wrong with an Event. One that says when it happened, to the microsecond, says everything; those of old need
/// not. Both are judged by the names of `v1`, as upstream judges them.
pub(super) fn validate(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let is_new_kind = kind.stored_as.is_some();
    let core = if is_new_kind { core_from_new(new.clone()) } else { new.clone() };
    let mut errors = Vec::new();
    rules_of_old(&core, is_new_kind, &mut errors);
    match old.filter(|_| is_new_kind) {
        Some(old) => rules_of_change(&core, &core_from_new(old.clone()), &mut errors),
        None if is_new_kind => rules_of_new(&core, &mut errors),
        None => {}
    }
    errors
}

/// What happened stays what happened: only how often it did since goes on.
fn rules_of_change(event: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    if event["series"] != old["series"] {
        series(event, errors);
    }
    // Upstream compares the reason twice, and shows what it has in memory.
    for field in [
        "involvedObject",
        "reason",
        "message",
        "source",
        "firstTimestamp",
        "lastTimestamp",
        "count",
        "reason",
        "type",
        "eventTime",
        "action",
        "related",
        "reportingComponent",
        "reportingInstance",
    ] {
        if event[field] == old[field] {
            continue;
        }
        let shown = match field {
            "involvedObject" | "related" => go_struct(&event[field], &REFERENCE),
            "source" => go_struct(&event[field], &["Component", "Host"]),
            "count" => words::shown(&event[field].as_i64().unwrap_or(0).into()),
            "firstTimestamp" | "lastTimestamp" | "eventTime" => words::shown(&event[field]),
            _ => words::quoted(event[field].as_str().unwrap_or_default()),
        };
        let name = if field == "reportingComponent" { "reportingController" } else { field };
        errors.push(words::invalid_shown(name, &shown, "field is immutable"));
    }
}

/// The fields of a reference, as Go has them.
const REFERENCE: [&str; 7] = ["Kind", "Namespace", "Name", "UID", "APIVersion", "ResourceVersion", "FieldPath"];

/// A struct of texts as Go writes it where it has no names for JSON.
fn go_struct(value: &Value, fields: &[&str]) -> String {
    let Some(object) = value.as_object() else { return "null".to_owned() };
    let text = |name: &str| {
        let found = object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map_or_else(|| Value::from(""), |(_, value)| value.clone())
    };
    let fields: Vec<String> = fields.iter().map(|name| format!("\"{name}\":{}", words::shown(&text(name)))).collect();
    format!("{{{}}}", fields.join(","))
}

fn series(event: &Value, errors: &mut Vec<FieldError>) {
    let series = &event["series"];
    if series.is_null() {
        return;
    }
    if series["count"].as_i64().unwrap_or(0) < 2 {
        errors.push(words::invalid("series.count", &"".into(), "should be at least 2"));
    }
    if series["lastObservedTime"].is_null() {
        errors.push(words::required("series.lastObservedTime", ""));
    }
}

fn rules_of_old(event: &Value, is_new_kind: bool, errors: &mut Vec<FieldError>) {
    let text = |field: &str| event[field].as_str().unwrap_or_default();
    let namespace = event["metadata"]["namespace"].as_str().unwrap_or_default();
    let about = event["involvedObject"]["namespace"].as_str().unwrap_or_default();
    let place = "involvedObject.namespace";
    let mut elsewhere = || errors.push(words::invalid(place, &about.into(), "does not match event.namespace"));
    if event["eventTime"].is_null() {
        if (about.is_empty() && namespace != "default") || (!about.is_empty() && about != namespace) {
            elsewhere();
        }
        return;
    }
    if about.is_empty() && !matches!(namespace, "default" | "kube-system") {
        elsewhere();
    }
    let reporter = if is_new_kind { "reportingController" } else { "reportingComponent" };
    if text("reportingComponent").is_empty() {
        errors.push(words::required(reporter, ""));
    }
    for detail in qualified_name_problems(text("reportingComponent")) {
        errors.push(words::invalid(reporter, &text("reportingComponent").into(), &detail));
    }
    for (field, max) in [("reportingInstance", MAX_WORD), ("action", MAX_WORD), ("reason", MAX_WORD)] {
        if text(field).is_empty() {
            errors.push(words::required(field, ""));
        }
        if text(field).len() > max {
            errors.push(words::invalid(field, &"".into(), &format!("can have at most {max} characters")));
        }
    }
    if text("message").len() > MAX_MESSAGE {
        errors.push(words::invalid("message", &"".into(), &format!("can have at most {MAX_MESSAGE} characters")));
    }
}

fn rules_of_new(event: &Value, errors: &mut Vec<FieldError>) {
    series(event, errors);
    if event["eventTime"].is_null() {
        errors.push(words::required("eventTime", ""));
    }
    let type_ = event["type"].as_str().unwrap_or_default();
    if !matches!(type_, "Normal" | "Warning") {
        errors.push(words::invalid("type", &"".into(), &format!("has invalid value: {type_}")));
    }
    for field in ["firstTimestamp", "lastTimestamp", "count", "source"] {
        let is_set = match &event[field] {
            Value::Null => false,
            Value::Object(parts) => !parts.is_empty(),
            Value::Number(number) => number.as_i64() != Some(0),
            _ => true,
        };
        if is_set {
            errors.push(words::invalid(field, &"".into(), "needs to be unset"));
        }
    }
}

/// The columns, for the names that the fields have in a version. What they say is always said of `v1`.
fn columns(object: &str, message: &str, first: &str, last: &str, count: &str, source: &str) -> Vec<Column> {
    let schema = openapi::schema::<core::v1::Event>();
    let said = |field: &str| openapi::description(&schema, &[field]);
    let text = |name, field, path: &str| column(name, CellForm::Text, &said(field), path);
    let reporter = if count == "count" { "reportingComponent" } else { "reportingController" };
    let part = openapi::description(&schema, &["involvedObject", "fieldPath"]);
    let seen = format!("=first .series.lastObservedTime .{last} .{first} .eventTime");
    let origin = format!("=origin .{source}.component .{reporter} .{source}.host .reportingInstance");
    let name = column("Name", CellForm::Text, crate::table::NAME_DESCRIPTION, ".metadata.name");
    vec![
        column("Last Seen", CellForm::Age, &said("lastTimestamp"), &seen),
        text("Type", "type", ".type"),
        text("Reason", "reason", ".reason"),
        text("Object", "involvedObject", &format!("=reference .{object}.kind .{object}.name")),
        wide(column("Subobject", CellForm::Text, &part, &format!(".{object}.fieldPath"))),
        wide(text("Source", "source", &origin)),
        text("Message", "message", &format!("=trimmed .{message}")),
        wide(column("First Seen", CellForm::Age, &said("firstTimestamp"), &format!("=first .{first} .eventTime"))),
        wide(column("Count", CellForm::Count, &said("count"), &format!("=times .series.count .{count}"))),
        wide(name),
    ]
}

/// An `events.k8s.io/v1` Event as `v1`.
pub(crate) fn core_from_new(mut value: Value) -> Value {
    rename(&mut value, |(core, new)| (new, core));
    value["apiVersion"] = "v1".into();
    for field in ["reportingComponent", "reportingInstance"] {
        if value[field].is_null() {
            value[field] = "".into();
        }
    }
    value
}

/// A `v1` Event as `events.k8s.io/v1`.
pub(crate) fn new_from_core(mut value: Value) -> Value {
    rename(&mut value, |(core, new)| (core, new));
    value["apiVersion"] = "events.k8s.io/v1".into();
    if let Some(event) = value.as_object_mut() {
        event
            .retain(|name, value| !matches!(name.as_str(), "reportingController" | "reportingInstance") || value != "");
    }
    value
}

fn rename(value: &mut Value, direction: impl Fn((&'static str, &'static str)) -> (&'static str, &'static str)) {
    let Some(event) = value.as_object_mut() else { return };
    for (from, to) in RENAMED.map(direction) {
        if let Some(field) = event.remove(from) {
            event.insert(to.to_owned(), field);
        }
    }
}
