//! Turns objects into what people and metadata clients see: `Table` rows with the kind's printer columns, and
//! `PartialObjectMetadata`.
//!
//! In: a version's columns, objects as served, the time. Out: JSON values. A [`Printer`] reads the columns once for
//! a whole list or watch. It never decides which objects are shown.

mod age;
mod cell;
mod partial;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::jsonpath;
use crate::negotiate::MetaVersion;
use crate::registry::{Column, Version};
use crate::schema::words;

pub use age::human_duration;
pub use partial::partial;

use cell::Cell;

/// What is said of the column of names.
pub(crate) const NAME_DESCRIPTION: &str = "Name must be unique within a namespace. Is required when creating resources, although \
    some resources may allow a client to request the generation of an appropriate name automatically. Name is primarily \
    intended for creation idempotence and configuration definition. Cannot be updated. More info: \
    https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names";

/// What a row carries beside its cells, as `?includeObject=` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IncludeObject {
    /// Nothing.
    None,
    /// The object's metadata.
    #[default]
    Metadata,
    /// The whole object.
    Object,
}

impl IncludeObject {
    /// Reads the query parameter; absent and empty mean metadata.
    ///
    /// # Errors
    /// 400 for another word.
    pub fn parse(parameter: Option<&str>) -> Result<Self, ApiError> {
        match parameter {
            None | Some("" | "Metadata") => Ok(Self::Metadata),
            Some("None") => Ok(Self::None),
            Some("Object") => Ok(Self::Object),
            Some(other) => Err(ApiError::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', \
                 'Object', 'None', or empty",
                words::quoted(other)
            ))),
        }
    }
}

/// A version's columns, ready to print.
#[derive(Debug)]
pub struct Printer {
    headings: Vec<Value>,
    cells: Vec<Cell>,
    meta: MetaVersion,
}

/// Whether a column is the object's name. A version that has one decides where it stands (`kubectl get events` leads
/// with the time); all others begin with the name.
fn is_name(column: &Column) -> bool {
    column.name == "Name" && column.json_path == ".metadata.name"
}

impl Printer {
    /// Reads the columns of a version, up to the first whose path can't be read: a definition with such a one is taken,
    /// and its table ends there, as upstream's does.
    #[must_use]
    pub fn new(version: &Version, meta: MetaVersion) -> Self {
        let mut headings = Vec::new();
        let mut cells = Vec::new();
        if !version.columns.iter().any(is_name) {
            headings.push(heading("Name", "string", "name", NAME_DESCRIPTION, 0));
            cells.push(Cell::name());
        }
        for column in &version.columns {
            let format = if is_name(column) { "name" } else { &column.format };
            let computed = column.json_path.starts_with('=');
            if !computed && jsonpath::Path::parse(&column.json_path).is_err() {
                break;
            }
            let description = if column.description.is_empty() && !computed {
                format!("Custom resource definition column (in JSONPath format): {}", column.json_path)
            } else {
                column.description.clone()
            };
            headings.push(heading(&column.name, &column.type_, format, &description, column.priority));
            cells.push(Cell::new(column));
        }
        if version.columns.is_empty() {
            let description = "CreationTimestamp is a timestamp representing the server time when this object was created. \
                It is not guaranteed to be set in happens-before order across separate operations. Clients may not set this \
                value. It is represented in RFC3339 form and is in UTC.";
            headings.push(heading("Age", "date", "", description, 0));
            cells.push(Cell::age());
        }
        Self { headings, cells, meta }
    }

    /// The `columnDefinitions`.
    #[must_use]
    pub fn columns(&self) -> Value {
        Value::Array(self.headings.clone())
    }

    /// One row.
    #[must_use]
    pub fn row(&self, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
        let cells: Vec<Value> = self.cells.iter().map(|cell| cell.print(object, now)).collect();
        let shown = match include {
            IncludeObject::None => Value::Null,
            IncludeObject::Metadata => partial(object, self.meta),
            IncludeObject::Object => object.clone(),
        };
        json!({"cells": cells, "object": shown})
    }

    /// The Table of a list, or of one object as a list of one. `metadata` is the list's (`resourceVersion`,
    /// `continue`, `remainingItemCount`).
    #[must_use]
    pub fn table<'a>(
        &self,
        objects: impl IntoIterator<Item = &'a Value>,
        metadata: Map<String, Value>,
        include: IncludeObject,
        now: Timestamp,
    ) -> Value {
        let rows = objects.into_iter().map(|object| self.row(object, include, now)).collect();
        self.document(metadata, self.columns(), rows)
    }

    /// The Table of one object, for `get`.
    #[must_use]
    pub fn single(&self, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
        self.table([object], revision_of(object), include, now)
    }

    /// The `object` of a watch event. Only the first event of a watch repeats the headings.
    #[must_use]
    pub fn event(&self, position: EventPosition, object: &Value, include: IncludeObject, now: Timestamp) -> Value {
        let columns = match position {
            EventPosition::First => self.columns(),
            EventPosition::Later => Value::Null,
        };
        self.document(revision_of(object), columns, vec![self.row(object, include, now)])
    }

    fn document(&self, metadata: Map<String, Value>, columns: Value, rows: Vec<Value>) -> Value {
        json!({
            "kind": "Table",
            "apiVersion": self.meta.api_version(),
            "metadata": metadata,
            "columnDefinitions": columns,
            "rows": rows,
        })
    }
}

/// Where an event stands in its watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventPosition {
    /// Carries the headings.
    First,
    /// Carries none.
    Later,
}

fn heading(name: &str, type_: &str, format: &str, description: &str, priority: i64) -> Value {
    json!({"name": name, "type": type_, "format": format, "description": description, "priority": priority})
}

fn revision_of(object: &Value) -> Map<String, Value> {
    let revision = object.pointer("/metadata/resourceVersion").cloned();
    revision.map(|revision| ("resourceVersion".to_owned(), revision)).into_iter().collect()
}

#[cfg(test)]
mod tests;
