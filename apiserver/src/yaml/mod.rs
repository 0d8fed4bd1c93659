//! Writes YAML as kube-apiserver writes it, byte for byte: block style, sequences not indented, quotes only where a
//! reader would otherwise see something else, lines folded at 80 columns.
//!
//! In: a JSON document. Out: text. It never reads YAML; [`crate::schema::decode`] does.

mod order;
mod plain;
mod scalar;

use serde_json::{Map, Value};

use self::scalar::Style;

/// Spaces that each level is indented by.
const INDENT: usize = 2;
/// Keys longer than this are written as `? key`.
const LONGEST_KEY: usize = 128;

/// The document as YAML.
#[must_use]
pub(crate) fn to_string(value: &Value) -> String {
    let mut writer = Writer { text: String::new(), column: 0 };
    match value {
        Value::Object(map) if !map.is_empty() => writer.mapping(map, 0),
        Value::Array(items) if !items.is_empty() => writer.sequence(items, 0),
        flat => {
            writer.flat(flat, 0);
            writer.end_line();
        }
    }
    writer.text
}

/// The text so far, and where its last line ends.
struct Writer {
    text: String,
    column: usize,
}

impl Writer {
    fn put(&mut self, text: &str) {
        self.text.push_str(text);
        self.column += text.chars().count();
    }

    /// Ends the line, unless it is empty.
    fn end_line(&mut self) {
        if self.column > 0 {
            self.break_line();
        }
    }

    fn break_line(&mut self) {
        self.text.push('\n');
        self.column = 0;
    }

    fn indent(&mut self, to: usize) {
        while self.column < to {
            self.put(" ");
        }
    }

    /// The entries of a mapping, each on its own line; the first goes on where the line stands.
    fn mapping(&mut self, map: &Map<String, Value>, indent: usize) {
        let mut entries: Vec<(&String, &Value)> = map.iter().collect();
        entries.sort_by(|(a, _), (b, _)| order::compare(a, b));
        for (key, value) in entries {
            self.indent(indent);
            let is_simple = key.len() <= LONGEST_KEY && !scalar::has_breaks(key);
            if is_simple {
                self.scalar(key, Style::of_key(key), indent + INDENT, false);
                self.put(":");
            } else {
                self.put("? ");
                self.scalar(key, Style::of(key), indent + INDENT, true);
                self.end_line();
                self.indent(indent);
                self.put(":");
            }
            match value {
                Value::Object(inner) if !inner.is_empty() => {
                    if is_simple {
                        self.break_line();
                    }
                    self.mapping(inner, indent + INDENT);
                }
                Value::Array(items) if !items.is_empty() && is_simple => {
                    self.break_line();
                    self.sequence(items, indent);
                }
                Value::Array(items) if !items.is_empty() => self.sequence(items, indent + INDENT),
                flat => {
                    self.put(" ");
                    self.flat(flat, indent);
                    self.end_line();
                }
            }
        }
    }

    /// The items of a sequence, each behind a dash; the first goes on where the line stands.
    fn sequence(&mut self, items: &[Value], indent: usize) {
        for item in items {
            self.indent(indent);
            self.put("-");
            match item {
                Value::Object(inner) if !inner.is_empty() => self.mapping(inner, indent + INDENT),
                Value::Array(inner) if !inner.is_empty() => self.sequence(inner, indent + INDENT),
                flat => {
                    self.put(" ");
                    self.flat(flat, indent);
                    self.end_line();
                }
            }
        }
    }

    /// What needs no lines of its own.
    fn flat(&mut self, value: &Value, indent: usize) {
        match value {
            Value::Null => self.put("null"),
            Value::Bool(flag) => self.put(if *flag { "true" } else { "false" }),
            Value::Number(number) => self.put(&plain::number(number)),
            Value::String(text) => self.scalar(text, Style::of(text), indent + INDENT, true),
            Value::Array(_) => self.put("[]"),
            Value::Object(_) => self.put("{}"),
        }
    }
}

#[cfg(test)]
mod tests;
