//! The conversions between versions that the shared cases use.

use serde_json::{Map, Value};

use crate::patch::apply::managers::Unconvertible;

/// How versions differ.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Conversion {
    /// Not at all.
    Same,
    /// Every field name ends with its version.
    Renaming,
    /// `required_field_bar` of v2 is `field_foo_rely_on_bar` in v1.
    Reliant,
    /// Names below the first level are one letter, repeated as often as the version says.
    Repeating,
}

impl Conversion {
    pub(super) fn named(name: &str) -> Conversion {
        match name {
            name if name.ends_with("dummyConverter") => Self::Same,
            name if name.ends_with("renamingConverter") => Self::Renaming,
            name if name.ends_with("reliantFieldsConverter") => Self::Reliant,
            name if name.ends_with("repeatingConverter") => Self::Repeating,
            other => panic!("an unknown conversion: {other}"),
        }
    }

    pub(super) fn convert(self, value: &Value, from: &str, to: &str) -> Result<Value, Unconvertible> {
        match self {
            Self::Same => Ok(value.clone()),
            Self::Renaming => Ok(rename(value, &format!("_{from}"), &format!("_{to}"))),
            Self::Reliant => reliant(value, from, to),
            Self::Repeating => repeat(value, to),
        }
    }
}

fn rename(value: &Value, from: &str, to: &str) -> Value {
    match value {
        Value::Object(fields) => fields
            .iter()
            .map(|(name, value)| {
                let name = name.strip_suffix(from).map_or_else(|| name.clone(), |stem| format!("{stem}{to}"));
                (name, rename(value, from, to))
            })
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(|item| rename(item, from, to)).collect(),
        other => other.clone(),
    }
}

fn reliant(value: &Value, from: &str, to: &str) -> Result<Value, Unconvertible> {
    const NEW: &str = "required_field_bar";
    const OLD: &str = "field_foo_rely_on_bar";
    let mut value = value.clone();
    let (before, after) = match (from, to) {
        (from, to) if from == to && matches!(to, "v1" | "v2") => return Ok(value),
        ("v2", "v1") => (NEW, OLD),
        ("v1", "v2") => (OLD, NEW),
        _ => return Err(Unconvertible::Gone),
    };
    let Some(fields) = value.as_object_mut() else { return Ok(value) };
    match fields.remove(before) {
        Some(field) => {
            fields.insert(after.to_owned(), field);
        }
        None if to == "v1" => return Err(Unconvertible::Impossible(format!("no {NEW}"))),
        None => {}
    }
    Ok(value)
}

fn repeat(value: &Value, to: &str) -> Result<Value, Unconvertible> {
    let times: usize = to.strip_prefix('v').and_then(|times| times.parse().ok()).ok_or(Unconvertible::Gone)?;
    let letter = |name: &String| name.chars().next().expect("a name").to_string().repeat(times);
    let mut value = value.clone();
    for outer in value.as_object_mut().into_iter().flat_map(|fields| fields.values_mut()) {
        *outer = renamed(outer, &letter);
    }
    Ok(value)
}

fn renamed(value: &Value, name: &impl Fn(&String) -> String) -> Value {
    match value {
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, inner)| (name(key), renamed(inner, name))).collect())
        }
        _ => Value::Null,
    }
}
