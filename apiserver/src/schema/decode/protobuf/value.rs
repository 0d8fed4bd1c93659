//! Decides how one message becomes JSON, field by field, as its table says.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Number, Value};

use super::super::MAX_DEPTH;
use super::super::json::any_value;
use super::tables::{Field, Holds, INLINE, Message, Shape, Tables};
use super::wire::{Malformed, Reader, Wire};

/// Reads messages by tables.
#[derive(Clone, Copy)]
pub(super) struct Decoder<'t> {
    pub(super) tables: &'t Tables,
}

impl Decoder<'_> {
    /// Adds what a message holds to an object. What stands there twice counts as protobuf has it: lists are
    /// continued, messages merged, of the rest the last is right.
    pub(super) fn message(
        self,
        message: &Message,
        bytes: &[u8],
        into: &mut Map<String, Value>,
    ) -> Result<(), Malformed> {
        // Some steps of the message are none of the JSON, so this only keeps the stack from growing; the caller
        // looks at the depth of the whole.
        self.below(message, bytes, into, 2 * MAX_DEPTH)
    }

    fn below(
        self,
        message: &Message,
        bytes: &[u8],
        into: &mut Map<String, Value>,
        left: usize,
    ) -> Result<(), Malformed> {
        let left = left.checked_sub(1).ok_or(Malformed::TooDeep)?;
        for part in Reader(bytes) {
            let part = part?;
            let Some(field) = message.field(part.number) else { continue };
            match field.holds {
                Holds::One if field.name == INLINE => match (field.shape, part.value) {
                    (Shape::Message(name), Wire::Bytes(bytes)) => {
                        self.below(self.known(name), bytes, into, left)?;
                    }
                    (_, other) => return Err(wrong_type(field, other)),
                },
                Holds::One => {
                    let before = into.remove(field.name);
                    let value = self.value(field, part.value, before, left)?;
                    if !value.is_null() && (field.keeps_zero || !is_zero(&value)) {
                        into.insert(field.name.to_owned(), value);
                    }
                }
                Holds::List => {
                    let value = self.value(field, part.value, None, left)?;
                    let list = into.entry(field.name).or_insert_with(|| Value::Array(Vec::new()));
                    if let Value::Array(list) = list {
                        list.push(value);
                    }
                }
                Holds::Map => {
                    let (key, value) = self.pair(field, part.value, left)?;
                    let map = into.entry(field.name).or_insert_with(|| Value::Object(Map::new()));
                    if let Value::Object(map) = map {
                        map.insert(key, value);
                    }
                }
            }
        }
        Ok(())
    }

    fn known(&self, name: &str) -> &Message {
        self.tables.message(name).expect("a test has looked up every name in the tables")
    }

    /// An entry of a map: a message of a key and a value, of which either may be left out.
    fn pair(self, field: &Field, entry: Wire<'_>, left: usize) -> Result<(String, Value), Malformed> {
        let Wire::Bytes(entry) = entry else { return Err(wrong_type(field, entry)) };
        let mut key = String::new();
        let mut value = Value::Null;
        for part in Reader(entry) {
            let part = part?;
            match (part.number, part.value) {
                (1, Wire::Bytes(bytes)) => key = text(field.name, bytes)?,
                (1, other) => return Err(wrong_type(field, other)),
                (2, found) => value = self.value(field, found, None, left)?,
                _ => {}
            }
        }
        if value.is_null() && matches!(field.shape, Shape::Text | Shape::Bytes) {
            value = Value::String(String::new());
        }
        Ok((key, value))
    }

    fn value(self, field: &Field, found: Wire<'_>, before: Option<Value>, left: usize) -> Result<Value, Malformed> {
        match (field.shape, found) {
            (Shape::Text, Wire::Bytes(bytes)) => text(field.name, bytes).map(Value::String),
            (Shape::Bytes, Wire::Bytes(bytes)) => Ok(Value::String(STANDARD.encode(bytes))),
            (Shape::Bool, Wire::Varint(number)) => Ok(Value::Bool(number != 0)),
            (Shape::Int32 | Shape::Int64, Wire::Varint(number)) => Ok(number.cast_signed().into()),
            (Shape::Double, Wire::Fixed64(bits)) => double(field, f64::from_bits(bits)),
            (Shape::Json, Wire::Bytes(bytes)) => any_value(bytes).map_err(|error| bad_value(field, error.message)),
            (Shape::Time, Wire::Bytes(bytes)) => time(field, bytes, Precision::Seconds),
            (Shape::MicroTime, Wire::Bytes(bytes)) => time(field, bytes, Precision::Microseconds),
            (Shape::Message(name), Wire::Bytes(bytes)) => {
                let message = self.known(name);
                let mut fields = match before {
                    Some(Value::Object(fields)) => fields,
                    _ => Map::new(),
                };
                self.below(message, bytes, &mut fields, left)?;
                Ok(if message.is_one_value { message.one_of(fields) } else { Value::Object(fields) })
            }
            (_, other) => Err(wrong_type(field, other)),
        }
    }
}

/// Text, which must be UTF-8.
pub(super) fn text(name: &str, bytes: &[u8]) -> Result<String, Malformed> {
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| Malformed::NoText { name: name.to_owned() })
}

#[derive(Clone, Copy)]
enum Precision {
    Seconds,
    Microseconds,
}

/// A message of seconds and nanoseconds; an empty one is no time.
fn time(field: &Field, bytes: &[u8], precision: Precision) -> Result<Value, Malformed> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    let (mut seconds, mut nanos) = (0, 0);
    for part in Reader(bytes) {
        let part = part?;
        match (part.number, part.value) {
            (1, Wire::Varint(number)) => seconds = number.cast_signed(),
            (2, Wire::Varint(number)) => nanos = number.cast_signed(),
            (1 | 2, other) => return Err(wrong_type(field, other)),
            _ => {}
        }
    }
    let nanos = match precision {
        Precision::Seconds => 0,
        Precision::Microseconds => nanos,
    };
    let out_of_range = || bad_value(field, "the time is out of range");
    let nanos = i32::try_from(nanos).map_err(|_| out_of_range())?;
    let at = Timestamp::new(seconds, nanos).map_err(|_| out_of_range())?;
    // Beyond these, RFC 3339 has no words.
    if at < Timestamp::constant(-62_135_596_800, 0) {
        return Err(out_of_range());
    }
    Ok(match precision {
        Precision::Seconds => at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        Precision::Microseconds => at.strftime("%Y-%m-%dT%H:%M:%S.%6fZ"),
    }
    .to_string()
    .into())
}

fn double(field: &Field, number: f64) -> Result<Value, Malformed> {
    if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        return Ok((number as i64).into());
    }
    Number::from_f64(number).map(Value::Number).ok_or_else(|| bad_value(field, "a number must be finite"))
}

fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Bool(flag) => !flag,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
    }
}

fn wrong_type(field: &Field, found: Wire<'_>) -> Malformed {
    Malformed::WrongType { found: found.type_number(), name: field.name.to_owned() }
}

fn bad_value(field: &Field, why: impl Into<String>) -> Malformed {
    Malformed::BadValue { name: field.name.to_owned(), why: why.into() }
}
