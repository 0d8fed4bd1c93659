//! Path elements, in the canonical text that FieldsV1 uses: `f:name`, `k:{"port":80}`, `v:"a"`, `i:0`.
//!
//! Text is what sets are keyed by, so that two elements are equal exactly when their texts are. The keys of a `k:`
//! element are sorted and its JSON is compact.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use crate::schema::merging::{List, Relationship, Types};

/// The element of a field.
pub(crate) fn field(name: &str) -> String {
    let mut element = String::with_capacity(name.len() + 2);
    element.push_str("f:");
    element.push_str(name);
    element
}

/// The name of a field's element.
pub(crate) fn field_name(element: &str) -> Option<&str> {
    element.strip_prefix("f:")
}

/// Brings the text of somebody else into canonical form; `None` if it is no element.
pub(crate) fn canonical(text: &str) -> Option<String> {
    let (kind, rest) = text.split_once(':')?;
    match kind {
        "f" => Some(text.to_owned()),
        "i" => rest.parse::<i64>().ok().map(|index| format!("i:{index}")),
        "v" => serde_json::from_str(rest).ok().map(|value| of_value(&value)),
        "k" => match serde_json::from_str(rest).ok()? {
            Value::Object(keys) => Some(of_keys(keys)),
            _ => None,
        },
        _ => None,
    }
}

/// The element of an item of a set.
fn of_value(value: &Value) -> String {
    format!("v:{}", whole(value))
}

fn of_keys(keys: Map<String, Value>) -> String {
    let keys: Map<String, Value> = keys.into_iter().map(|(key, value)| (key, whole(&value))).collect();
    format!("k:{}", Value::Object(keys))
}

/// A whole float is the integer that it equals.
fn whole(value: &Value) -> Value {
    match value.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        Some(number) if value.is_f64() && number.fract() == 0.0 && number.abs() < 9e15 => Value::from(number as i64),
        _ => value.clone(),
    }
}

/// The element of an item of an associative list. The error says what is wrong with the item.
pub(crate) fn of_item(types: &Types, list: &List, item: &Value) -> Result<String, String> {
    let keys = match &list.relationship {
        Relationship::Atomic => return Err("invalid indexing of non-associative list".into()),
        Relationship::Set => {
            return match item {
                Value::Object(_) => Err("associative list without keys has an element that's a map type".into()),
                Value::Array(_) => Err("not supported: associative list with lists as elements".into()),
                Value::Null => Err("associative list without keys has an element that's an explicit null".into()),
                scalar => Ok(of_value(scalar)),
            };
        }
        Relationship::Map(keys) => keys,
    };
    let fields = match item {
        Value::Object(fields) => fields,
        Value::Null => return Err("associative list with keys may not have a null element".into()),
        _ => return Err("associative list with keys may not have non-map elements".into()),
    };
    let mut found = Map::new();
    for key in keys {
        let default = || types.get(list.element).map.as_ref()?.fields.get(key)?.default.clone();
        if let Some(value) = fields.get(key).map(whole).or_else(default) {
            found.insert(key.clone(), value);
        }
    }
    if found.is_empty() {
        return Err(format!(
            "associative list with keys has an element that omits all key fields {keys:?} (and doesn't have default \
             values for any key fields)"
        ));
    }
    Ok(format!("k:{}", Value::Object(found)))
}

/// An element as messages show it: `.name`, `[port=80,protocol="TCP"]`, `[="a"]`, `[0]`.
pub(crate) fn display(element: &str, into: &mut String) {
    let (kind, rest) = element.split_once(':').unwrap_or(("f", element));
    let written = match kind {
        "f" => write!(into, ".{rest}"),
        "i" => write!(into, "[{rest}]"),
        "v" => write!(into, "[={rest}]"),
        _ => {
            let keys: Map<String, Value> = serde_json::from_str(rest).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            write!(into, "[{}]", keys.join(","))
        }
    };
    written.expect("writing to a string cannot fail");
}
