//! Decides whether strings, numbers, enums and sizes keep their limits.

use serde_json::{Map, Number, Value};

use super::{Checks, Format, Path, Type, Validator, words};

impl Validator {
    /// Checks a string. Of its limits only the first that is broken is told, as upstream has it.
    pub(super) fn text(&mut self, checks: &Checks, text: &str, path: &Path<'_>) {
        let length = || text.chars().count() as u64;
        if let Some(max) = checks.max_length
            && text.len() as u64 > max
            && length() > max
        {
            self.errors.push(words::too_long(path, max));
        } else if let Some(min) = checks.min_length
            && length() < min
        {
            self.wrong(path, &text.into(), &format!("should be at least {min} chars long"));
        } else if let Some(pattern) = &checks.pattern
            && !pattern.is_match(text)
        {
            self.wrong(path, &text.into(), &format!("should match '{}'", pattern.as_str()));
        }
        if let Some(format) = checks.format
            && !format.fits(text)
        {
            let detail =
                format!("{} in body must be of type {}: {}", path.in_message(), format.name(), words::quoted(text));
            self.errors.push(words::type_invalid(path, text, &detail));
        }
    }

    pub(super) fn number(&mut self, kind: Option<Type>, checks: &Checks, number: &Number, path: &Path<'_>) {
        let float = number.as_f64().unwrap_or(f64::NAN);
        let value = || Value::Number(number.clone());
        let range = Range::of(kind, checks.format);
        if let Some(factor) = checks.multiple_of {
            self.bound_in_range(range, factor, "MultipleOf", path);
            let quotient = float / factor;
            if (quotient - quotient.round()).abs() > 1e-9 {
                self.wrong(path, &value(), &format!("should be a multiple of {}", words::go_float(factor)));
            }
        }
        if let Some(bound) = checks.maximum {
            self.bound_in_range(range, bound.value, "Maximum boundary", path);
            let limit = words::go_float(bound.value);
            if bound.exclusive && float >= bound.value {
                self.wrong(path, &value(), &format!("should be less than {limit}"));
            } else if float > bound.value {
                self.wrong(path, &value(), &format!("should be less than or equal to {limit}"));
            }
        }
        if let Some(bound) = checks.minimum {
            self.bound_in_range(range, bound.value, "Minimum boundary", path);
            let limit = words::go_float(bound.value);
            if bound.exclusive && float <= bound.value {
                self.wrong(path, &value(), &format!("should be greater than {limit}"));
            } else if float < bound.value {
                self.wrong(path, &value(), &format!("should be greater than or equal to {limit}"));
            }
        }
    }

    fn bound_in_range(&mut self, range: Range, bound: f64, what: &str, path: &Path<'_>) {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        let number = match bound.fract() == 0.0 && bound.abs() < 9.2e18 {
            true => Some(Number::from(bound as i64)),
            false => Number::from_f64(bound),
        };
        if let Some(number) = number {
            self.in_range(range, &number, what, path);
        }
    }

    /// Upstream has no path for these errors, so the message names it.
    pub(super) fn in_range(&mut self, range: Range, number: &Number, what: &str, path: &Path<'_>) {
        if range.holds(number) {
            return;
        }
        let path = path.in_message();
        let detail = match range.format() {
            Some(format) => format!("{what} value must be of type {} with format {format} in {path}", range.kind()),
            None => format!("{what} value must be of type {} (default format) in {path}", range.kind()),
        };
        self.errors.push(words::invalid(Path::Root, &"".into(), &detail));
    }

    pub(super) fn one_of_values(&mut self, checks: &Checks, value: &Value, path: &Path<'_>) {
        let Some(supported) = &checks.one_of_values else { return };
        if supported.iter().any(|candidate| same(candidate, value)) {
            return;
        }
        let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let supported: Vec<String> = supported.iter().map(text).collect();
        self.errors.push(words::not_supported(path, value, &supported));
    }

    pub(super) fn list_size(&mut self, checks: &Checks, list: &[Value], path: &Path<'_>) {
        if let Some(min) = checks.min_items
            && (list.len() as u64) < min
        {
            self.wrong(path, &list.len().into(), &format!("should have at least {min} items"));
        }
        if let Some(max) = checks.max_items
            && list.len() as u64 > max
        {
            self.errors.push(words::too_many(path, list.len(), max));
        }
    }

    pub(super) fn map_size(&mut self, checks: &Checks, map: &Map<String, Value>, path: &Path<'_>) {
        if let Some(min) = checks.min_properties
            && (map.len() as u64) < min
        {
            self.wrong(path, &map.len().into(), &format!("should have at least {min} properties"));
        }
        if let Some(max) = checks.max_properties
            && map.len() as u64 > max
        {
            self.errors.push(words::too_many(path, map.len(), max));
        }
    }

    pub(super) fn required(&mut self, checks: &Checks, map: &Map<String, Value>, path: &Path<'_>) {
        for name in &checks.required {
            if !map.contains_key(name) {
                self.errors.push(words::required(path.field(name), ""));
            }
        }
    }

    fn wrong(&mut self, path: &Path<'_>, value: &Value, what: &str) {
        self.errors.push(words::invalid(path, value, &format!("{} in body {what}", path.in_message())));
    }
}

/// Which numbers a type and a format have room for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Range {
    Any,
    Integer,
    Int32,
    Int64,
    Float,
}

impl Range {
    pub(super) fn of(kind: Option<Type>, format: Option<Format>) -> Self {
        match (kind, format) {
            (Some(Type::Integer), Some(Format::Int32)) => Self::Int32,
            (Some(Type::Integer), Some(Format::Int64)) => Self::Int64,
            (Some(Type::Integer), _) => Self::Integer,
            (Some(Type::Number), Some(Format::Float)) => Self::Float,
            _ => Self::Any,
        }
    }

    fn holds(self, number: &Number) -> bool {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and in range")]
        let whole = |float: f64| (float.fract() == 0.0 && float.abs() < 9.2e18).then_some(float as i64);
        let integer = || number.as_i64().or_else(|| number.as_f64().filter(|_| number.is_f64()).and_then(whole));
        match self {
            Self::Any => true,
            Self::Integer | Self::Int64 => integer().is_some(),
            Self::Int32 => integer().is_some_and(|number| i32::try_from(number).is_ok()),
            Self::Float => number.as_f64().is_some_and(|number| number.abs() <= f64::from(f32::MAX)),
        }
    }

    fn kind(self) -> &'static str {
        if matches!(self, Self::Float | Self::Any) { "number" } else { "integer" }
    }

    fn format(self) -> Option<&'static str> {
        match self {
            Self::Any | Self::Integer => None,
            Self::Int32 => Some("int32"),
            Self::Int64 => Some("int64"),
            Self::Float => Some("float"),
        }
    }
}

/// Equality of JSON values, where `1` and `1.0` are one number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a, b), (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64())
}
