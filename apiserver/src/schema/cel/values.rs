//! Decides how a JSON value looks to a rule: times and durations are CEL's own, names that CEL reserves are escaped, and
//! a declared field that is null is not there.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kube_cel::cel::objects::{Key, Map};
use kube_cel::cel::{Program, Value as CelValue};
use serde_json::{Number, Value};

use super::super::formats::Format;
use super::super::node::{Additional, Node, Type};

/// Words that are no names in CEL.
pub(crate) const RESERVED: [&str; 21] = [
    "true",
    "false",
    "null",
    "in",
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "package",
    "namespace",
    "return",
    "var",
    "void",
    "while",
];

/// The value as `self` or `oldSelf`.
pub(super) fn bind(value: &Value, node: &Node) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => bind_number(number, node),
        Value::String(text) => bind_text(text, node),
        Value::Array(list) => {
            let bind = |value| node.items.as_deref().map_or_else(|| bind_untyped(value), |items| bind(value, items));
            CelValue::List(Arc::new(list.iter().map(bind).collect()))
        }
        Value::Object(map) => {
            // The keys of a map are the author's data; only field names are escaped.
            let is_map = !matches!(node.additional, Additional::None);
            let declares_fields = node.embedded || !node.properties.is_empty();
            let mut bound = HashMap::with_capacity(map.len());
            for (key, value) in map.iter().filter(|(_, value)| !(declares_fields && value.is_null())) {
                let value = node.child(key).map_or_else(|| bind_untyped(value), |child| bind(value, child));
                let key = if is_map { key.clone() } else { escaped(key) };
                bound.insert(Key::String(Arc::new(key)), value);
            }
            CelValue::Map(Map { map: Arc::new(bound) })
        }
    }
}

/// The value as an expression about requests sees it: nothing is escaped, nothing left out.
pub(super) fn plain(value: &Value) -> CelValue {
    match value {
        Value::Null => CelValue::Null,
        Value::Bool(flag) => CelValue::Bool(*flag),
        Value::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(integer), _) => CelValue::Int(integer),
            (None, Some(integer)) => CelValue::UInt(integer),
            (None, None) => CelValue::Float(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => CelValue::String(Arc::new(text.clone())),
        Value::Array(list) => CelValue::List(Arc::new(list.iter().map(plain).collect())),
        Value::Object(map) => {
            let entries = map.iter().map(|(key, value)| (Key::String(Arc::new(key.clone())), plain(value)));
            CelValue::Map(Map { map: Arc::new(entries.collect()) })
        }
    }
}

fn bind_untyped(value: &Value) -> CelValue {
    static ANYTHING: LazyLock<Node> = LazyLock::new(Node::anything);
    bind(value, &ANYTHING)
}

fn bind_number(number: &Number, node: &Node) -> CelValue {
    let float = number.as_f64().unwrap_or(f64::NAN);
    match (node.kind, number.as_i64()) {
        (Some(Type::Number), _) => CelValue::Float(float),
        (_, Some(integer)) => CelValue::Int(integer),
        (Some(Type::Integer), None) if float.fract() == 0.0 && float.abs() < 9e18 =>
        {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            CelValue::Int(float as i64)
        }
        (_, None) => number.as_u64().map_or(CelValue::Float(float), CelValue::UInt),
    }
}

fn bind_text(text: &str, node: &Node) -> CelValue {
    let format = node.checks.as_ref().and_then(|checks| checks.format).filter(|_| node.kind == Some(Type::String));
    let plain = || CelValue::String(Arc::new(text.to_owned()));
    match format {
        Some(Format::DateTime) => through(&TIMESTAMP, text).unwrap_or_else(plain),
        Some(Format::Date) => through(&TIMESTAMP, &format!("{text}T00:00:00Z")).unwrap_or_else(plain),
        Some(Format::Duration) => through(&DURATION, text).unwrap_or_else(plain),
        Some(Format::Byte) => STANDARD.decode(text).map_or_else(|_| plain(), |bytes| CelValue::Bytes(Arc::new(bytes))),
        _ => plain(),
    }
}

static TIMESTAMP: LazyLock<Program> = LazyLock::new(|| conversion("timestamp(self)"));
static DURATION: LazyLock<Program> = LazyLock::new(|| conversion("duration(self)"));

fn conversion(source: &str) -> Program {
    Program::compile(source).expect("the conversion is written here and well formed")
}

/// CEL's own conversion, so that a bound time is the same type as one that the rule makes.
fn through(conversion: &Program, text: &str) -> Option<CelValue> {
    let text = CelValue::String(Arc::new(text.to_owned()));
    super::in_context(&text, None, |context| conversion.execute(context).ok())
}

/// A field name as CEL can spell it.
pub(super) fn escaped(name: &str) -> String {
    if RESERVED.contains(&name) {
        return format!("__{name}__");
    }
    if !name.contains("__") && !name.contains(['.', '-', '/']) {
        return name.to_owned();
    }
    name.replace("__", "__underscores__").replace('.', "__dot__").replace('-', "__dash__").replace('/', "__slash__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_upstream_escapes_them() {
        let cases = [
            ("namespace", "__namespace__"),
            ("x-prop", "x__dash__prop"),
            ("redact__d", "redact__underscores__d"),
            ("a_b", "a_b"),
            ("a.b/c", "a__dot__b__slash__c"),
            ("string", "string"),
        ];
        for (name, expected) in cases {
            assert_eq!(escaped(name), expected);
        }
    }
}
