//! Decides what an Event is. The same stored object is served twice: as `v1` and as `events.k8s.io/v1`, whose fields
//! have other names. It is stored as `v1`.

use apiserver_store::ResourceId;
use k8s_openapi::api::{core, events};
use serde_json::{Value, json};

use super::{Column, Declaration, Kind, column, openapi, wide};

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
            "source.component",
            "type",
        ],
        columns: columns("involvedObject", "message", "firstTimestamp", "lastTimestamp", "count", "source"),
        openapi: openapi::schema::<core::v1::Event>(),
    }
    .into_kind()
}

pub(super) fn new_kind() -> Kind {
    let mut schema = openapi::schema::<events::v1::Event>();
    // What was written as `v1` need not have a time of this kind; a new one gets it from its author anyway.
    if let Some(schema) = schema.as_object_mut() {
        schema.remove("required");
    }
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
    .into_kind();
    Kind { stored_as: Some(ResourceId { group: String::new(), plural: "events".to_owned() }), ..kind }
}

/// The structs and times that an Event always has.
pub(super) fn blank(kind: &Kind) -> Value {
    if kind.stored_as.is_some() {
        return json!({"deprecatedSource": {}, "eventTime": null, "regarding": {}});
    }
    json!({
        "eventTime": null, "firstTimestamp": null, "involvedObject": {}, "lastTimestamp": null,
        "reportingComponent": "", "reportingInstance": "", "source": {},
    })
}

fn columns(object: &str, message: &str, first: &str, last: &str, count: &str, source: &str) -> Vec<Column> {
    let seen = format!("=first .series.lastObservedTime .{last} .{first} .eventTime .metadata.creationTimestamp");
    let begun = format!("=first .{first} .eventTime .metadata.creationTimestamp");
    let reference = format!("=reference .{object}.kind .{object}.name");
    vec![
        column("Last Seen", "date", "When this was last observed.", &seen),
        column("Type", "string", "Normal or Warning.", ".type"),
        column("Reason", "string", "Why it happened, in one word.", ".reason"),
        column("Object", "string", "What the event is about.", &reference),
        wide(column("Subobject", "string", "Which part it is about.", &format!(".{object}.fieldPath"))),
        wide(column(
            "Source",
            "string",
            "Who reports it.",
            &format!("=first .{source}.component .reportingController .reportingComponent"),
        )),
        column("Message", "string", "What happened.", &format!(".{message}")),
        wide(column("First Seen", "date", "When this was first observed.", &begun)),
        wide(column("Count", "integer", "How often it was observed.", &format!("=first .series.count .{count}"))),
        wide(column("Name", "string", "The name of the event.", ".metadata.name")),
    ]
}

/// An `events.k8s.io/v1` Event as `v1`.
pub(crate) fn core_from_new(mut value: Value) -> Value {
    rename(&mut value, |(core, new)| (new, core));
    value["apiVersion"] = "v1".into();
    value
}

/// A `v1` Event as `events.k8s.io/v1`.
pub(crate) fn new_from_core(mut value: Value) -> Value {
    rename(&mut value, |(core, new)| (core, new));
    value["apiVersion"] = "events.k8s.io/v1".into();
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
