//! Walks one value along its type: which fields it sets, and whether it fits.

use std::collections::BTreeMap;

use serde_json::Value;

use super::element::{display, field, of_item};
use super::set::Set;
use crate::schema::merging::{List, Map, Relationship, Scalar, Shape, TypeId, Types};
use crate::schema::words;

/// The fields that a value sets. What is wrong with it is passed over.
pub(crate) fn field_set(types: &Types, of: TypeId, value: &Value) -> Set {
    let mut set = Set::default();
    match types.get(of).shape(Some(value)) {
        Shape::Map(map) => {
            if let Value::Object(fields) = value {
                add_fields(types, map, fields, &mut set);
            }
        }
        Shape::List(list) => {
            if let Value::Array(items) = value {
                add_items(types, list, items, &mut set);
            }
        }
        Shape::Scalar(_) | Shape::None => {}
    }
    set
}

/// Adds the element of a value that its type doesn't look into, or what is below it.
fn add_value(types: &Types, of: TypeId, value: &Value, element: String, set: &mut Set) {
    match types.get(of).shape(Some(value)) {
        Shape::Map(map) if !map.atomic => {
            if let Value::Object(fields) = value {
                let mut below = Set::default();
                add_fields(types, map, fields, &mut below);
                set.insert_below(element, below);
            }
        }
        Shape::List(list) if list.relationship != Relationship::Atomic => {
            if let Value::Array(items) = value {
                let mut below = Set::default();
                add_items(types, list, items, &mut below);
                set.insert_below(element, below);
            }
        }
        Shape::None => {}
        _ => set.insert(element),
    }
}

fn add_fields(types: &Types, map: &Map, fields: &serde_json::Map<String, Value>, set: &mut Set) {
    for (key, value) in fields {
        let element = field(key);
        let is_hollow = value.is_null() || value.as_object().is_some_and(serde_json::Map::is_empty);
        if is_hollow || !map.fields.contains_key(key) {
            set.insert(element.clone());
        }
        if let Some(of) = map.of(key) {
            add_value(types, of, value, element, set);
        }
    }
}

fn add_items(types: &Types, list: &List, items: &[Value], set: &mut Set) {
    let mut seen: BTreeMap<String, (usize, &Value)> = BTreeMap::new();
    for item in items {
        let Ok(element) = of_item(types, list, item) else { continue };
        seen.entry(element).or_insert((0, item)).0 += 1;
    }
    for (element, (times, item)) in seen {
        set.insert(element.clone());
        // Of items that can't be told apart, only that there are some is owned.
        if times == 1 {
            add_value(types, list.element, item, element, set);
        }
    }
}

/// What doesn't fit the type, with its path; every list that merges must have items that can be told apart.
pub(crate) fn misfits(types: &Types, of: TypeId, value: &Value) -> Vec<String> {
    let mut checker = Checker { types, path: String::new(), found: Vec::new() };
    checker.check(of, value);
    checker.found
}

struct Checker<'a> {
    types: &'a Types,
    path: String,
    found: Vec<String>,
}

impl Checker<'_> {
    fn say(&mut self, what: &str) {
        self.found.push(format!("{}: {what}", self.path));
    }

    fn inside(&mut self, element: &str, check: impl FnOnce(&mut Self)) {
        let length = self.path.len();
        display(element, &mut self.path);
        check(self);
        self.path.truncate(length);
    }

    fn check(&mut self, of: TypeId, value: &Value) {
        let types = self.types;
        match (types.get(of).shape(Some(value)), value) {
            (_, Value::Null) => {}
            (Shape::Scalar(scalar), value) => self.check_scalar(scalar, value),
            (Shape::Map(map), Value::Object(fields)) => {
                for (key, value) in fields {
                    self.inside(&field(key), |checker| match map.of(key) {
                        Some(of) => checker.check(of, value),
                        None => checker.say("field not declared in schema"),
                    });
                }
            }
            (Shape::Map(_), other) => self.say(&format!("expected map, got {}", shown(other))),
            (Shape::List(list), Value::Array(items)) => self.check_items(list, items),
            (Shape::List(_), other) => self.say(&format!("expected list, got {}", shown(other))),
            (Shape::None, _) => self.say("schema error: invalid atom"),
        }
    }

    fn check_items(&mut self, list: &List, items: &[Value]) {
        let mut seen = std::collections::BTreeSet::new();
        for (place, item) in items.iter().enumerate() {
            let element = if list.relationship == Relationship::Atomic {
                format!("i:{place}")
            } else {
                match of_item(self.types, list, item) {
                    Ok(element) => element,
                    Err(what) => {
                        self.say(&format!("element {place}: {what}"));
                        return;
                    }
                }
            };
            if !seen.insert(element.clone()) {
                let mut shown = String::new();
                display(&element, &mut shown);
                self.say(&format!("duplicate entries for key {shown}"));
            }
            self.inside(&element, |checker| checker.check(list.element, item));
        }
    }

    fn check_scalar(&mut self, scalar: Scalar, value: &Value) {
        match scalar {
            Scalar::String if !value.is_string() => {
                self.say(&format!("expected string, got &value.valueUnstructured{{Value:{}}}", go_syntax(value)));
            }
            Scalar::Number if !value.is_number() => {
                self.say(&format!("expected numeric (int or float), got {}", words::go_type(value)));
            }
            Scalar::Boolean if !value.is_boolean() => self.say(&format!("expected boolean, got {}", shown(value))),
            Scalar::Untyped if value.is_object() || value.is_array() => {
                self.say(&format!("expected any scalar, got {}", shown(value)));
            }
            _ => {}
        }
    }
}

/// A value as Go prints a pointer to one.
fn shown(value: &Value) -> String {
    format!("&{{{}}}", words::go_value(value))
}

/// Go's `%#v` of what stands in a JSON document.
fn go_syntax(value: &Value) -> String {
    let listed = |parts: Vec<String>| parts.join(", ");
    match value {
        Value::Null => "interface {}(nil)".to_owned(),
        Value::Bool(flag) => flag.to_string(),
        Value::Number(number) => words::go_number(number),
        Value::String(text) => words::quoted(text),
        Value::Array(items) => {
            format!("{}{{{}}}", words::go_type(value), listed(items.iter().map(go_syntax).collect()))
        }
        Value::Object(map) => {
            let fields = map.iter().map(|(key, value)| format!("{}:{}", words::quoted(key), go_syntax(value)));
            format!("{}{{{}}}", words::go_type(value), listed(fields.collect()))
        }
    }
}
