//! Decides what is remembered while a body is read: the value, the place, and the keys seen before.

use std::collections::HashMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::MAX_DEPTH;

/// What a reader keeps while it reads.
#[derive(Default)]
pub(super) struct Reader {
    /// Where it is, as `.spec.ports[0]`.
    path: String,
    depth: usize,
    /// What was read so far takes so much memory, roughly, in units of a number.
    weight: usize,
    pub(super) duplicates: Vec<String>,
    /// How many keys were read.
    keys: usize,
    /// After how many keys these paths come first, where somebody wants to know.
    pub(super) places: HashMap<String, Option<usize>>,
}

/// Reads one value.
pub(super) struct Read<'r>(pub(super) &'r mut Reader);

impl<'de> DeserializeSeed<'de> for Read<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Reader {
    /// One that also notes where these paths stand.
    pub(super) fn looking_for<'p>(paths: impl Iterator<Item = &'p str>) -> Self {
        let places = paths.filter(|path| path.len() <= MAX_SOUGHT).map(|path| (path.to_owned(), None));
        Self { places: places.collect(), ..Self::default() }
    }

    /// Notes where the present path stands.
    fn note(&mut self) {
        self.keys += 1;
        let path = self.path.trim_start_matches('.');
        if self.places.is_empty() || path.len() > MAX_SOUGHT {
            return;
        }
        if let Some(place) = self.places.get_mut(path) {
            place.get_or_insert(self.keys);
        }
    }

    fn heavier<E: Error>(&mut self, weight: usize) -> Result<(), E> {
        self.weight += weight;
        if self.weight > MAX_WEIGHT { Err(E::custom(TOO_MANY)) } else { Ok(()) }
    }

    /// Notes that a key is there twice. Upstream tells of the first hundred, too.
    fn duplicate(&mut self) {
        if self.duplicates.len() < MAX_DUPLICATES {
            let path = self.path.trim_start_matches('.');
            if self.duplicates.iter().all(|known| known != path) {
                self.duplicates.push(path.to_owned());
            }
        }
    }

    fn deeper<E: Error>(&mut self) -> Result<(), E> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(E::custom(TOO_DEEP));
        }
        Ok(())
    }
}

/// A body of three megabytes could hold values that take a hundred times that.
const MAX_WEIGHT: usize = 1_500_000;
/// A map with one entry takes as much as so many numbers.
const MAP: usize = 16;
const MAX_DUPLICATES: usize = 100;
/// Longer paths are not looked for: every key of the body would have to be compared with them.
const MAX_SOUGHT: usize = 1_024;
const TOO_MANY: &str = "the object holds too many values";

pub(super) const TOO_DEEP: &str = "exceeded max depth";

impl<'de> Visitor<'de> for Read<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(number.into())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        Ok(number.into())
    }

    /// A whole float is an integer, as Go prints it: `1e3` is stored as `1000`.
    fn visit_f64<E: Error>(self, number: f64) -> Result<Value, E> {
        if number.fract() == 0.0 && number.abs() < 9_007_199_254_740_992.0 {
            #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
            return Ok((number as i64).into());
        }
        Number::from_f64(number).map(Value::Number).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::String(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::String(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Read(reader) = self;
        reader.deeper()?;
        let length = reader.path.len();
        let mut list = Vec::new();
        loop {
            fmt::Write::write_fmt(&mut reader.path, format_args!("[{}]", list.len()))
                .expect("writing to a string cannot fail");
            let element = access.next_element_seed(Read(reader))?;
            reader.path.truncate(length);
            let Some(element) = element else { break };
            reader.heavier(1)?;
            list.push(element);
        }
        reader.depth -= 1;
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let Read(reader) = self;
        reader.deeper()?;
        reader.heavier(MAP)?;
        let length = reader.path.len();
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            reader.path.push('.');
            reader.path.push_str(&key);
            reader.heavier(1)?;
            if map.contains_key(&key) {
                reader.duplicate();
            }
            reader.note();
            let value = access.next_value_seed(Read(reader))?;
            reader.path.truncate(length);
            map.insert(key, value);
        }
        reader.depth -= 1;
        Ok(Value::Object(map))
    }
}
