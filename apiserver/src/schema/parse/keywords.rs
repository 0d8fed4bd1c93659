//! Decides how a schema keyword is read: a value of the wrong JSON type is an error, never a silent default.

use serde_json::{Map, Value};

use super::{Parser, Path, words};

impl Parser {
    pub(super) fn string<'a>(&mut self, schema: &'a Map<String, Value>, key: &str, path: &Path<'_>) -> Option<&'a str> {
        match schema.get(key)? {
            Value::Null => None,
            Value::String(text) => Some(text),
            other => {
                self.errors.push(words::invalid(path.field(key), other, "must be a string"));
                None
            }
        }
    }

    pub(super) fn flag(&mut self, schema: &Map<String, Value>, key: &str, path: &Path<'_>) -> bool {
        match schema.get(key) {
            None | Some(Value::Null) => false,
            Some(Value::Bool(flag)) => *flag,
            Some(other) => {
                self.errors.push(words::invalid(path.field(key), other, "must be a boolean"));
                false
            }
        }
    }

    pub(super) fn only_true(&mut self, schema: &Map<String, Value>, key: &str, path: &Path<'_>) -> bool {
        let flag = self.flag(schema, key, path);
        if schema.get(key) == Some(&Value::Bool(false)) {
            self.errors.push(words::invalid(path.field(key), &false.into(), "must be true or undefined"));
        }
        flag
    }

    pub(super) fn float(&mut self, schema: &Map<String, Value>, key: &str, path: &Path<'_>) -> Option<f64> {
        let value = schema.get(key).filter(|value| !value.is_null())?;
        let float = value.as_f64();
        if float.is_none() {
            self.errors.push(words::invalid(path.field(key), value, "must be a number"));
        }
        float
    }

    pub(super) fn count(&mut self, schema: &Map<String, Value>, key: &str, path: &Path<'_>) -> Option<u64> {
        let value = schema.get(key).filter(|value| !value.is_null())?;
        let whole = value.as_f64().filter(|float| *float >= 0.0 && float.fract() == 0.0 && *float < 9e15);
        if whole.is_none() {
            self.errors.push(words::invalid(path.field(key), value, "must be a non-negative integer"));
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be whole and in range")]
        whole.map(|float| float as u64)
    }

    pub(super) fn object<'a>(
        &mut self,
        schema: &'a Map<String, Value>,
        key: &str,
        path: &Path<'_>,
    ) -> Option<&'a Map<String, Value>> {
        match schema.get(key)? {
            Value::Null => None,
            Value::Object(map) => Some(map),
            other => {
                self.errors.push(words::invalid(path.field(key), other, "must be an object"));
                None
            }
        }
    }

    pub(super) fn list<'a>(&mut self, schema: &'a Map<String, Value>, key: &str, path: &Path<'_>) -> &'a [Value] {
        match schema.get(key) {
            None | Some(Value::Null) => &[],
            Some(Value::Array(list)) => list,
            Some(other) => {
                self.errors.push(words::invalid(path.field(key), other, "must be a list"));
                &[]
            }
        }
    }

    pub(super) fn strings(&mut self, schema: &Map<String, Value>, key: &str, path: &Path<'_>) -> Vec<String> {
        let place = path.field(key);
        let mut strings = Vec::new();
        for (index, value) in self.list(schema, key, path).iter().enumerate() {
            match value {
                Value::String(text) => strings.push(text.clone()),
                other => self.errors.push(words::invalid(place.index(index), other, "must be a string")),
            }
        }
        strings
    }
}
