//! One cell: the value at a column's path, forced into the column's type. What doesn't fit is null, which kubectl
//! shows as `<none>`.

use jiff::Timestamp;
use serde_json::Value;

use crate::jsonpath::Path;
use crate::registry::builtin::Computed;
use crate::registry::{CellForm, Column};

use super::age::human_duration;

/// A column, ready to print.
#[derive(Debug)]
pub(super) struct Cell {
    source: Source,
    type_: Type,
}

#[derive(Debug)]
enum Source {
    Path(Path),
    Computed(Computed),
    Nothing,
}

#[derive(Debug, Clone, Copy)]
enum Type {
    Text,
    Integer,
    Number,
    Boolean,
    Date,
    /// A text, empty where there is nothing.
    Filled,
    /// How long ago, also where nobody knows.
    Age,
}

impl Cell {
    pub(super) fn new(column: &Column) -> Self {
        let source = match Computed::of(column) {
            Some(computed) => Source::Computed(computed),
            None => Path::parse(&column.json_path).map_or(Source::Nothing, Source::Path),
        };
        let type_ = match (column.cell, column.type_.as_str()) {
            (CellForm::Text, _) => Type::Filled,
            (CellForm::Age, _) => Type::Age,
            (CellForm::Count, _) | (CellForm::Typed, "integer") => Type::Integer,
            (CellForm::Typed, "number") => Type::Number,
            (CellForm::Typed, "boolean") => Type::Boolean,
            (CellForm::Typed, "date") => Type::Date,
            (CellForm::Typed, _) => Type::Text,
        };
        Self { source, type_ }
    }

    /// The name of the object.
    pub(super) fn name() -> Self {
        let path = Path::parse(".metadata.name").expect("the path is well-formed");
        Self { source: Source::Path(path), type_: Type::Text }
    }

    /// The age of the object.
    pub(super) fn age() -> Self {
        let path = Path::parse(".metadata.creationTimestamp").expect("the path is well-formed");
        Self { source: Source::Path(path), type_: Type::Date }
    }

    pub(super) fn print(&self, object: &Value, now: Timestamp) -> Value {
        match &self.source {
            Source::Path(path) => self.coerce(path.first(object).unwrap_or(&Value::Null), now),
            Source::Computed(computed) => self.coerce(&computed.cell(object), now),
            Source::Nothing => Value::Null,
        }
    }

    fn coerce(&self, value: &Value, now: Timestamp) -> Value {
        match (self.type_, value) {
            (Type::Filled, Value::Null) => "".into(),
            (Type::Age, Value::Null) => "<unknown>".into(),
            (_, Value::Null) => Value::Null,
            (Type::Text | Type::Filled, value) => text(value).into(),
            (Type::Integer, Value::Number(number)) => integer(number),
            (Type::Number, Value::Number(number)) => number.as_f64().map_or(Value::Null, Value::from),
            (Type::Boolean, Value::Bool(_)) => value.clone(),
            (Type::Date | Type::Age, Value::String(written)) => date(written, now).into(),
            _ => Value::Null,
        }
    }
}

/// A value as text: strings bare, everything else as JSON.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn integer(number: &serde_json::Number) -> Value {
    if let Some(integer) = number.as_i64() {
        return integer.into();
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a column of type integer cuts fractions off, as upstream does"
    )]
    number.as_f64().map_or(Value::Null, |number| (number as i64).into())
}

/// A timestamp as an age.
fn date(written: &str, now: Timestamp) -> String {
    match written.parse::<Timestamp>() {
        Ok(since) => human_duration(since, now),
        Err(_) => "<invalid>".to_owned(),
    }
}
