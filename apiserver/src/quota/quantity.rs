//! Decides what a quantity such as `500m` or `1Gi` is worth and how an amount is written, to the letter of
//! `k8s.io/apimachinery/pkg/api/resource`: people compare what quotas say with what they know.

use std::fmt;
use std::ops::{Add, Sub};

use serde_json::Value;

/// Billionths in one.
const NANO: i128 = 1_000_000_000;
/// Upstream caps amounts here.
const MAX: i128 = i64::MAX as i128 * NANO;

/// What upstream's decoder says of a text that is no quantity.
pub(crate) const MALFORMED: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/// An amount of something, and the style in which it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quantity {
    nanos: i128,
    style: Style,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// `500m`, `2k`
    Decimal,
    /// `1Gi`
    Binary,
    /// `2e3`
    Exponent,
}

impl Quantity {
    pub(crate) const ZERO: Self = Self { nanos: 0, style: Style::Decimal };

    /// So many whole ones.
    pub(crate) fn whole(count: usize) -> Self {
        Self { nanos: i128::try_from(count).unwrap_or(MAX).saturating_mul(NANO).min(MAX), style: Style::Decimal }
    }

    /// A quantity in an object: a text, or a number where somebody wrote one.
    pub(crate) fn of(value: &Value) -> Option<Self> {
        match value {
            Value::String(text) => Self::parse(text),
            Value::Number(number) => Self::parse(&number.to_string()),
            _ => None,
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (is_negative, rest) = match text.as_bytes().first()? {
            b'-' => (true, &text[1..]),
            b'+' => (false, &text[1..]),
            _ => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if fraction.contains('.') || (whole.is_empty() && fraction.is_empty()) {
            return None;
        }
        let (style, base, power) = scale(suffix)?;
        let nanos = magnitude(whole, fraction, base, power);
        Some(Self { nanos: if is_negative { -nanos } else { nanos }, style })
    }

    pub(crate) fn is_negative(self) -> bool {
        self.nanos < 0
    }

    pub(crate) fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub(crate) fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// Nothing instead of less than nothing.
    pub(crate) fn at_least_zero(self) -> Self {
        if self.is_negative() { Self { nanos: 0, ..self } } else { self }
    }

    /// What is nothing takes the other's style.
    fn style_with(self, other: Self) -> Style {
        if self.is_zero() { other.style } else { self.style }
    }
}

/// What a suffix means: the style, and a base to a power.
fn scale(suffix: &str) -> Option<(Style, i128, i32)> {
    let decimal = |power| Some((Style::Decimal, 10, power));
    let binary = |power| Some((Style::Binary, 2, power));
    match suffix {
        "n" => decimal(-9),
        "u" => decimal(-6),
        "m" => decimal(-3),
        "" => decimal(0),
        "k" => decimal(3),
        "M" => decimal(6),
        "G" => decimal(9),
        "T" => decimal(12),
        "P" => decimal(15),
        "E" => decimal(18),
        "Ki" => binary(10),
        "Mi" => binary(20),
        "Gi" => binary(30),
        "Ti" => binary(40),
        "Pi" => binary(50),
        "Ei" => binary(60),
        _ => Some((Style::Exponent, 10, suffix.strip_prefix(['e', 'E'])?.parse().ok()?)),
    }
}

/// The amount in billionths, rounded up, at most [`MAX`].
fn magnitude(whole: &str, fraction: &str, base: i128, power: i32) -> i128 {
    let digits: Vec<i128> = whole.bytes().chain(fraction.bytes()).map(|digit| i128::from(digit - b'0')).collect();
    let Some(first) = digits.iter().position(|digit| *digit != 0) else { return 0 };
    // So many digits can be multiplied by any suffix; further ones decide only how it is rounded.
    let kept = if base == 2 { 18 } else { 36 };
    let (kept, cut) = digits[first..].split_at((digits.len() - first).min(kept));
    let mut value = kept.iter().fold(0_i128, |value, digit| value * 10 + digit);
    let mut has_rest = cut.iter().any(|digit| *digit != 0);
    let length = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
    let mut exponent = 9 + length(cut.len()) - length(fraction.len());
    if base == 2 {
        value <<= power;
    } else {
        exponent = exponent.saturating_add(i64::from(power));
    }
    while exponent > 0 {
        value = value.saturating_mul(10);
        if value >= MAX {
            return MAX;
        }
        exponent -= 1;
    }
    while exponent < 0 && value > 0 {
        has_rest |= value % 10 != 0;
        value /= 10;
        exponent += 1;
    }
    (value + i128::from(has_rest)).min(MAX)
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const BINARY: [&str; 7] = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
        const DECIMAL: [&str; 10] = ["n", "u", "m", "", "k", "M", "G", "T", "P", "E"];
        if self.is_zero() {
            return f.write_str("0");
        }
        // Small amounts and fractions of bytes are written without rounding.
        if self.style == Style::Binary && self.is_whole() && self.nanos.abs() >= 1024 * NANO {
            let mut units = self.nanos / NANO;
            let mut step = 0;
            while units % 1024 == 0 && step + 1 < BINARY.len() {
                units /= 1024;
                step += 1;
            }
            return write!(f, "{units}{}", BINARY[step]);
        }
        let mut units = self.nanos;
        let mut step = 0;
        while units % 1000 == 0 && step + 1 < DECIMAL.len() {
            units /= 1000;
            step += 1;
        }
        match (self.style, step) {
            (Style::Exponent, 3) => write!(f, "{units}"),
            (Style::Exponent, step) => write!(f, "{units}e{}", i64::try_from(step).unwrap_or_default() * 3 - 9),
            _ => write!(f, "{units}{}", DECIMAL[step]),
        }
    }
}

impl Add for Quantity {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_add(other.nanos), style: self.style_with(other) }
    }
}

impl Sub for Quantity {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self { nanos: self.nanos.saturating_sub(other.nanos), style: self.style_with(other) }
    }
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(text: &str) -> String {
        Quantity::parse(text).unwrap_or_else(|| panic!("{text} is a quantity")).to_string()
    }

    #[test]
    fn quantities_are_written_as_kubernetes_writes_them() {
        for (text, expected) in [
            ("0", "0"),
            ("0.0Gi", "0"),
            ("1", "1"),
            ("+1", "1"),
            ("-1.5", "-1500m"),
            ("1000", "1k"),
            ("1500", "1500"),
            ("0.5", "500m"),
            (".5", "500m"),
            ("1.", "1"),
            ("500m", "500m"),
            ("2000m", "2"),
            ("1024Mi", "1Gi"),
            ("1.5Gi", "1536Mi"),
            ("0.5Ki", "512"),
            ("1000Ki", "1000Ki"),
            ("0.1Ki", "102400m"),
            ("1e3", "1e3"),
            ("5E-1", "500e-3"),
            ("12e2", "1200"),
            ("1E", "1E"),
            ("1n", "1n"),
            ("0.1n", "1n"),
            ("9Ei", "9223372036854775807"),
            ("99999999999999999999999999999999999999999999999999", "9223372036854775807"),
            ("1.0000000001", "1000000001n"),
        ] {
            assert_eq!(written(text), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_quantity_is_refused() {
        for text in ["", "abc", "1.2.3", "1 Gi", "1GiB", "Mi", ".", "+", "1e", "1mi", "0x1", "١"] {
            assert!(Quantity::parse(text).is_none(), "{text}");
        }
        assert!(Quantity::of(&serde_json::json!(true)).is_none());
        assert_eq!(Quantity::of(&serde_json::json!(3)), Some(Quantity::whole(3)));
    }

    #[test]
    fn sum_is_written_in_the_style_of_its_first_amount() {
        let sum = |a: &str, b: &str| (Quantity::parse(a).unwrap() + Quantity::parse(b).unwrap()).to_string();
        assert_eq!(sum("512Mi", "1G"), "1536870912");
        assert_eq!(sum("0", "512Mi"), "512Mi");
        assert_eq!(sum("1", "500m"), "1500m");
    }

    proptest! {
        #[test]
        fn what_is_written_reads_the_same(nanos in -MAX..=MAX, style in 0..3_u8) {
            let style = [Style::Decimal, Style::Binary, Style::Exponent][usize::from(style)];
            let quantity = Quantity { nanos, style };
            prop_assert_eq!(Quantity::parse(&quantity.to_string()), Some(quantity));
        }

        #[test]
        fn nothing_that_is_sent_panics(text in "[-+]?[0-9.]{0,60}[eEinumkKMGTP]{0,3}[-+]?[0-9]{0,12}") {
            if let Some(quantity) = Quantity::parse(&text) {
                prop_assert!(Quantity::parse(&quantity.to_string()).is_some());
            }
        }
    }
}
