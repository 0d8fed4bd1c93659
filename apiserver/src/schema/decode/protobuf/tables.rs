//! Which fields the messages of the built-in kinds have: numbers, names and shapes, as tables of text.
//!
//! A line is `Message: number name shape, ...` and goes on where the next begins with a space. `[shape]` is a list,
//! `{shape}` a map from strings. `!` keeps a value that is zero; the others are left out then, as Go's `omitempty`
//! does (Go writes every scalar that is no pointer). A message with `=` for `:` is in JSON the value of its one field,
//! or of the highest that it has. Go's names, where they are others, stand behind a message's name and behind `:` in a
//! shape. A field named `-` is a message whose fields JSON has beside the others. `messages/kinds.txt` says which kind is which message.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::{Map, Value};

const MESSAGES: [&str; 5] = [
    include_str!("messages/meta.txt"),
    include_str!("messages/core.txt"),
    include_str!("messages/access.txt"),
    include_str!("messages/definition.txt"),
    include_str!("messages/registration.txt"),
];
const KINDS: &str = include_str!("messages/kinds.txt");

/// All messages, by their names.
#[derive(Debug)]
pub(in crate::schema::decode) struct Tables {
    messages: BTreeMap<&'static str, Message>,
    kinds: BTreeMap<(&'static str, &'static str), &'static str>,
}

/// One message.
#[derive(Debug)]
pub(in crate::schema::decode) struct Message {
    /// What Go calls it.
    pub(in crate::schema::decode) go_name: &'static str,
    fields: Vec<Field>,
    /// The fields of other messages that JSON has beside its own.
    inlined: Vec<Field>,
    /// Its JSON is the value of one field, not an object.
    pub(in crate::schema::decode) is_one_value: bool,
}

/// One field of a message.
#[derive(Debug, Clone)]
pub(in crate::schema::decode) struct Field {
    number: u64,
    pub(in crate::schema::decode) name: &'static str,
    pub(in crate::schema::decode) shape: Shape,
    pub(in crate::schema::decode) holds: Holds,
    pub(in crate::schema::decode) keeps_zero: bool,
    /// What Go calls a text that is of a type of its own.
    pub(in crate::schema::decode) go_type: Option<&'static str>,
}

/// The name of a field whose own fields stand beside it in JSON.
pub(super) const INLINE: &str = "-";

/// How many values a field has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schema::decode) enum Holds {
    One,
    List,
    Map,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schema::decode) enum Shape {
    Text,
    /// Base64 in JSON.
    Bytes,
    Bool,
    Int32,
    Int64,
    Double,
    /// Bytes that are JSON.
    Json,
    /// `metav1.Time`: whole seconds.
    Time,
    /// `metav1.MicroTime`
    MicroTime,
    Message(&'static str),
}

impl Tables {
    /// The tables, read once.
    pub(in crate::schema::decode) fn get() -> &'static Self {
        static TABLES: LazyLock<Tables> = LazyLock::new(Tables::read);
        &TABLES
    }

    /// The message of a kind. The options of a deletion come under the group of what is deleted.
    pub(in crate::schema::decode) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let api_version = if kind == "DeleteOptions" { "meta.k8s.io/v1" } else { api_version };
        self.kinds.get(&(api_version, kind)).and_then(|name| self.message(name))
    }

    pub(in crate::schema::decode) fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    fn read() -> Self {
        let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut messages: BTreeMap<&str, Message> = BTreeMap::new();
        let mut open = "";
        for line in MESSAGES.into_iter().flat_map(lines) {
            let mut fields = line;
            if !line.starts_with(' ') {
                let end = line.find([':', '=']).expect("a message has a name and its fields");
                let (name, go_name) = line[..end].trim().split_once(' ').unwrap_or_else(|| {
                    let name = line[..end].trim();
                    (name, name)
                });
                open = name;
                let is_one_value = line[end..].starts_with('=');
                messages.insert(open, Message { go_name, fields: Vec::new(), inlined: Vec::new(), is_one_value });
                fields = &line[end + 1..];
            }
            let message = messages.get_mut(open).expect("a table begins with a name");
            message.fields.extend(fields.split(',').map(str::trim).filter(|field| !field.is_empty()).map(Field::read));
        }
        let inlined: Vec<(&str, Vec<Field>)> =
            messages.iter().map(|(name, message)| (*name, message.inlined_from(&messages))).collect();
        for (name, fields) in inlined {
            messages.get_mut(name).expect("it was just there").inlined = fields;
        }
        let kinds = lines(KINDS).map(|line| {
            let mut words = line.split(' ');
            let (version, kind) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            ((version, kind), words.next().unwrap_or(kind))
        });
        Self { messages, kinds: kinds.collect() }
    }
}

impl Message {
    pub(in crate::schema::decode) fn field(&self, number: u64) -> Option<&Field> {
        self.fields.iter().find(|field| field.number == number)
    }

    pub(in crate::schema::decode) fn named(&self, name: &str) -> Option<&Field> {
        self.fields.iter().chain(&self.inlined).find(|field| field.name == name)
    }

    fn inlined_from(&self, messages: &BTreeMap<&'static str, Message>) -> Vec<Field> {
        let inner = self.fields.iter().filter(|field| field.name == INLINE).filter_map(|field| match field.shape {
            Shape::Message(name) => messages.get(name),
            _ => None,
        });
        inner.flat_map(|inner| inner.fields.iter().cloned().chain(inner.inlined_from(messages))).collect()
    }

    /// The one value that these fields stand for.
    pub(in crate::schema::decode) fn one_of(&self, mut fields: Map<String, Value>) -> Value {
        let highest = self.fields.iter().rev().find_map(|field| fields.remove(field.name));
        highest.unwrap_or(Value::Null)
    }
}

impl Field {
    fn read(text: &'static str) -> Self {
        let (text, keeps_zero) = text.strip_suffix('!').map_or((text, false), |text| (text, true));
        let mut words = text.split(' ');
        let number = words.next().and_then(|number| number.parse().ok()).expect("a field begins with its number");
        let name = words.next().expect("a field has a name");
        let shape = words.next().expect("a field has a shape");
        let inside = |open, close| shape.strip_prefix(open).and_then(|rest: &'static str| rest.strip_suffix(close));
        let (shape, holds) = match (inside('[', ']'), inside('{', '}')) {
            (Some(shape), _) => (shape, Holds::List),
            (_, Some(shape)) => (shape, Holds::Map),
            _ => (shape, Holds::One),
        };
        let (shape, go_type) = shape.split_once(':').map_or((shape, None), |(shape, name)| (shape, Some(name)));
        let shape = match shape {
            "string" => Shape::Text,
            "bytes" => Shape::Bytes,
            "bool" => Shape::Bool,
            "int32" => Shape::Int32,
            "int64" => Shape::Int64,
            "double" => Shape::Double,
            "json" => Shape::Json,
            "Time" => Shape::Time,
            "MicroTime" => Shape::MicroTime,
            message => Shape::Message(message),
        };
        Self { number, name, shape, holds, keeps_zero, go_type }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_that_is_named_is_there() {
        let tables = Tables::get();
        for (name, message) in &tables.messages {
            let mut numbers: Vec<u64> = message.fields.iter().map(|field| field.number).collect();
            for field in &message.fields {
                if let Shape::Message(inner) = field.shape {
                    assert!(tables.message(inner).is_some(), "{name}.{} is a {inner}", field.name);
                }
            }
            numbers.sort_unstable();
            numbers.dedup();
            assert_eq!(numbers.len(), message.fields.len(), "{name} has a number twice");
        }
        for ((version, kind), name) in &tables.kinds {
            let message = tables.message(name).unwrap_or_else(|| panic!("{version} {kind} is a {name}"));
            assert!(!message.is_one_value);
        }
    }

    #[test]
    fn every_built_in_kind_has_its_message() {
        for kind in crate::registry::builtin::kinds() {
            for version in &kind.versions {
                let api_version = kind.api_version(&version.name);
                assert!(Tables::get().of_kind(&api_version, &kind.kind).is_some(), "{api_version} {}", kind.kind);
            }
        }
    }
}
