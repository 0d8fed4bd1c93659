//! Decides what a quantity such as `500m`, `256Mi` or `10Gi` is worth, as Kubernetes reads it
//! (<https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/>).
//!
//! In: the text (or whole number) a user wrote, which is kept as written. Out: millis or whole units.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// An amount of cpu, memory or disk, kept as the user wrote it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(transparent)]
pub struct Quantity(pub String);

/// The text is not a quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a quantity such as 500m, 256Mi or 10Gi")]
pub struct ParseQuantityError(String);

impl Quantity {
    /// The amount in thousandths, rounded up: `500m` cpu is 500.
    ///
    /// # Errors
    /// The text is not a quantity, or beyond 2^127 thousandths.
    pub fn millis(&self) -> Result<i128, ParseQuantityError> {
        self.scaled(1000).ok_or_else(|| ParseQuantityError(self.0.clone()))
    }

    /// The amount in whole units, rounded up: `1Ki` of memory is 1024 bytes.
    ///
    /// # Errors
    /// The text is not a quantity, or not between 0 and 2^63.
    pub fn units(&self) -> Result<u64, ParseQuantityError> {
        self.scaled(1)
            .and_then(|units| u64::try_from(units).ok())
            .filter(|units| i64::try_from(*units).is_ok())
            .ok_or_else(|| ParseQuantityError(self.0.clone()))
    }

    /// The amount times `factor`, rounded up to a whole number.
    fn scaled(&self, factor: i128) -> Option<i128> {
        let text = self.0.as_str();
        let (negative, text) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let (number, suffix) = text.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let digits: i128 = format!("0{whole}{fraction}").parse().ok()?;
        let divisor = 10_i128.checked_pow(u32::try_from(fraction.len()).ok()?)?;
        let (multiply, divide) = suffix_scale(suffix)?;
        let numerator = digits.checked_mul(multiply)?.checked_mul(factor)?;
        let denominator = divisor.checked_mul(divide)?;
        let rounded = numerator / denominator + i128::from(numerator % denominator != 0);
        Some(if negative { -rounded } else { rounded })
    }
}

/// What a suffix multiplies and divides by.
fn suffix_scale(suffix: &str) -> Option<(i128, i128)> {
    let power = |base: i128, exponent: u32| base.checked_pow(exponent);
    Some(match suffix {
        "" => (1, 1),
        "n" => (1, 1_000_000_000),
        "u" => (1, 1_000_000),
        "m" => (1, 1000),
        "k" => (power(1000, 1)?, 1),
        "M" => (power(1000, 2)?, 1),
        "G" => (power(1000, 3)?, 1),
        "T" => (power(1000, 4)?, 1),
        "P" => (power(1000, 5)?, 1),
        "E" => (power(1000, 6)?, 1),
        "Ki" => (power(1024, 1)?, 1),
        "Mi" => (power(1024, 2)?, 1),
        "Gi" => (power(1024, 3)?, 1),
        "Ti" => (power(1024, 4)?, 1),
        "Pi" => (power(1024, 5)?, 1),
        "Ei" => (power(1024, 6)?, 1),
        _ => {
            let exponent: i32 = suffix.strip_prefix(['e', 'E'])?.parse().ok()?;
            let scale = power(10, exponent.unsigned_abs())?;
            if exponent < 0 { (1, scale) } else { (scale, 1) }
        }
    })
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&str> for Quantity {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl<'de> Deserialize<'de> for Quantity {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Whole(i64),
            Text(String),
        }
        Ok(Self(match Written::deserialize(deserializer)? {
            Written::Whole(number) => number.to_string(),
            Written::Text(text) => text,
        }))
    }
}

impl JsonSchema for Quantity {
    fn schema_name() -> Cow<'static, str> {
        "Quantity".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "x-kubernetes-int-or-string": true,
            "x-kubernetes-validations": [{
                "rule": "isQuantity(string(self)) && quantity(string(self)).isGreaterThan(quantity('0'))",
                "message": "must be a quantity above zero, such as 500m, 256Mi or 10Gi",
            }],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_are_worth_what_kubernetes_says() {
        for (text, millis) in [
            ("0", 0),
            ("1", 1000),
            ("500m", 500),
            ("0.5", 500),
            (".5", 500),
            ("1.", 1000),
            ("1k", 1_000_000),
            ("1Ki", 1_024_000),
            ("128Mi", 134_217_728_000),
            ("1e3", 1_000_000),
            ("1E", 1_000_000_000_000_000_000_000),
            ("5e-1", 500),
            ("-2", -2000),
            ("100u", 1),
        ] {
            assert_eq!(Quantity::from(text).millis(), Ok(millis), "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in [
            "",
            "abc",
            "1.2.3",
            "1 Gi",
            "1GiB",
            "Mi",
            ".",
            "+",
            "1e",
            "1e999",
            "999999999999999999999999999999999999999999",
        ] {
            assert!(Quantity::from(text).millis().is_err(), "{text}");
        }
    }

    #[test]
    fn units_are_never_negative_nor_beyond_an_i64() {
        assert_eq!(Quantity::from("10Gi").units(), Ok(10 << 30));
        assert!(Quantity::from("-1").units().is_err());
        assert!(Quantity::from("9Ei").units().is_err());
    }

    #[test]
    fn a_whole_number_is_taken_as_written() {
        assert_eq!(serde_json::from_str::<Quantity>("2").unwrap(), Quantity::from("2"));
    }
}
