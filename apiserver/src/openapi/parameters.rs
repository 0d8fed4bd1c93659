//! The parameters of operations. Only what the server reads is listed.

use serde_json::{Value, json};

/// A query parameter: name, type, description.
type Query = (&'static str, &'static str, &'static str);

const DRY_RUN: Query = (
    "dryRun",
    "string",
    "When present, nothing is stored: the request goes through every stage and the result is returned. The only value is All.",
);
const FIELD_MANAGER: Query =
    ("fieldManager", "string", "The name of the actor that makes the change, at most 128 printable characters.");
const FIELD_VALIDATION: Query = (
    "fieldValidation",
    "string",
    "What happens to unknown and duplicate fields: Ignore drops them silently, Warn (the default) drops them and sends a \
     warning for each, Strict refuses the request and names them all.",
);
const RESOURCE_VERSION: Query = (
    "resourceVersion",
    "string",
    "Which versions may be served. See https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.",
);
const LABEL_SELECTOR: Query =
    ("labelSelector", "string", "Restricts the objects by their labels. Defaults to everything.");
const FIELD_SELECTOR: Query =
    ("fieldSelector", "string", "Restricts the objects by their fields. Defaults to everything.");
const LIMIT: Query =
    ("limit", "integer", "The most objects to return; `continue` in the answer's metadata leads to the next ones.");
const CONTINUE: Query =
    ("continue", "string", "The `continue` of the page before. The other parameters must be the same.");
const RESOURCE_VERSION_MATCH: Query = (
    "resourceVersionMatch",
    "string",
    "How resourceVersion is applied: NotOlderThan or Exact. See \
     https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions.",
);
const TIMEOUT: Query = ("timeoutSeconds", "integer", "Ends the list or watch after this time, whatever happens.");
const WATCH: Query = ("watch", "boolean", "Streams changes instead of listing.");
const BOOKMARKS: Query = (
    "allowWatchBookmarks",
    "boolean",
    "Asks for BOOKMARK events, which say up to which version a quiet watch is complete.",
);
const INITIAL_EVENTS: Query = (
    "sendInitialEvents",
    "boolean",
    "With watch=true: begins with an event for every object there is, then a bookmark with the annotation \
     `k8s.io/initial-events-end: \"true\"`, then goes on with changes. Needs resourceVersionMatch=NotOlderThan.",
);
const GRACE: Query = ("gracePeriodSeconds", "integer", "The time before the object is deleted. Zero means at once.");
const PROPAGATION: Query = (
    "propagationPolicy",
    "string",
    "What happens to dependents: Orphan leaves them, Background (the default) deletes them after the object, Foreground \
     deletes them before it.",
);

/// The parameters of an `x-kubernetes-action`.
pub(super) fn of(action: &str) -> Vec<Value> {
    let queries: &[Query] = match action {
        "get" => &[RESOURCE_VERSION],
        "list" => &[
            BOOKMARKS,
            CONTINUE,
            FIELD_SELECTOR,
            LABEL_SELECTOR,
            LIMIT,
            RESOURCE_VERSION,
            RESOURCE_VERSION_MATCH,
            INITIAL_EVENTS,
            TIMEOUT,
            WATCH,
        ],
        // kubectl trusts the server with validation where PATCH lists fieldValidation.
        "post" | "put" | "patch" => &[DRY_RUN, FIELD_MANAGER, FIELD_VALIDATION],
        "delete" => &[DRY_RUN, GRACE, PROPAGATION],
        "deletecollection" => &[DRY_RUN, FIELD_SELECTOR, GRACE, LABEL_SELECTOR, PROPAGATION],
        _ => &[],
    };
    queries.iter().map(|(name, type_, description)| in_query(name, type_, description)).collect()
}

/// A query parameter.
pub(super) fn in_query(name: &str, type_: &str, description: &str) -> Value {
    json!({"name": name, "in": "query", "description": description, "schema": {"type": type_}})
}

/// A path parameter.
pub(super) fn in_path(name: &str, description: &str) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": description, "schema": {"type": "string"}})
}
