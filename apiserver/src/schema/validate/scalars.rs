//! Decides whether strings, numbers, enums and sizes keep their limits.

use serde_json::{Map, Number, Value};

use super::{Checks, Path, Validator, words};

impl Validator {
    pub(super) fn text(&mut self, checks: &Checks, text: &str, path: &Path<'_>) {
        let length = || text.chars().count() as u64;
        if let Some(max) = checks.max_length
            && text.len() as u64 > max
            && length() > max
        {
            self.errors.push(words::too_long(path, max));
        }
        if let Some(min) = checks.min_length
            && length() < min
        {
            self.wrong(path, &text.into(), &format!("should be at least {min} chars long"));
        }
        if let Some(pattern) = &checks.pattern
            && !pattern.is_match(text)
        {
            self.wrong(path, &text.into(), &format!("should match '{}'", pattern.as_str()));
        }
    }

    pub(super) fn number(&mut self, checks: &Checks, number: &Number, path: &Path<'_>) {
        let float = number.as_f64().unwrap_or(f64::NAN);
        let value = || Value::Number(number.clone());
        if let Some(factor) = checks.multiple_of {
            let quotient = float / factor;
            if (quotient - quotient.round()).abs() > 1e-9 {
                self.wrong(path, &value(), &format!("should be a multiple of {}", words::go_float(factor)));
            }
        }
        if let Some(bound) = checks.maximum {
            let limit = words::go_float(bound.value);
            if bound.exclusive && float >= bound.value {
                self.wrong(path, &value(), &format!("should be less than {limit}"));
            } else if float > bound.value {
                self.wrong(path, &value(), &format!("should be less than or equal to {limit}"));
            }
        }
        if let Some(bound) = checks.minimum {
            let limit = words::go_float(bound.value);
            if bound.exclusive && float <= bound.value {
                self.wrong(path, &value(), &format!("should be greater than {limit}"));
            } else if float < bound.value {
                self.wrong(path, &value(), &format!("should be greater than or equal to {limit}"));
            }
        }
    }

    pub(super) fn format(&mut self, checks: &Checks, value: &Value, path: &Path<'_>) {
        let Some(format) = checks.format else { return };
        if format.fits(value) {
            return;
        }
        let shown = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let detail =
            format!("{} in body must be of type {}: {}", path.in_message(), format.name(), words::quoted(&shown));
        self.errors.push(words::type_invalid(path, &shown, &detail));
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

/// Equality of JSON values, where `1` and `1.0` are one number.
fn same(a: &Value, b: &Value) -> bool {
    a == b || matches!((a, b), (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64())
}
