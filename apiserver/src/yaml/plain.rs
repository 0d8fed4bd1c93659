//! Decides which texts would be read as something else than text, and how numbers are written.

use std::sync::LazyLock;

use jiff::civil;
use regex::Regex;
use serde_json::Number;

/// From this power of ten on, fractions are written with an exponent.
const LARGE: i32 = 6;
/// Words that mean a boolean, nothing, or a special number.
const WORDS: [&str; 39] = [
    "", "y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON", "n", "N", "no", "No", "NO", "false",
    "False", "FALSE", "off", "Off", "OFF", "~", "null", "Null", "NULL", ".nan", ".NaN", ".NAN", ".inf", ".Inf", ".INF",
    "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF",
];

static FLOAT: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$"));
static BASE_60: LazyLock<Regex> = LazyLock::new(|| pattern(r"^[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?$"));
static TIME: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"^([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})(?:[Tt]([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,][0-9]+)?(?:Z|[-+][0-9]{2}:[0-9]{2})| ([0-9]{1,2}):([0-9]{1,2}):([0-9]{1,2})(?:[.,][0-9]+)?)?$",
    )
});

fn pattern(text: &str) -> Regex {
    Regex::new(text).expect("the pattern is written out here")
}

/// Whether a text without quotes would be read as text.
pub(super) fn is_text(text: &str) -> bool {
    !WORDS.contains(&text) && !is_number(text) && !is_time(text) && !BASE_60.is_match(text)
}

fn is_number(text: &str) -> bool {
    let Some(first) = text.chars().next().filter(|first| matches!(first, '+' | '-' | '.' | '0'..='9')) else {
        return false;
    };
    let bare = if first == '.' { text.to_owned() } else { text.replace('_', "") };
    if FLOAT.is_match(&bare) {
        return bare.parse::<f64>().is_ok_and(f64::is_finite);
    }
    let (is_signed, digits) = match bare.strip_prefix(['+', '-']) {
        Some(digits) => (true, digits),
        None => (false, bare.as_str()),
    };
    let radix = match digits.get(..2).map(str::to_ascii_lowercase).as_deref() {
        Some("0x") => 16,
        Some("0o") => 8,
        Some("0b") => 2,
        _ => return false,
    };
    let is_digits = digits.len() > 2 && digits[2..].chars().all(|digit| digit.is_digit(radix));
    let value = if is_digits { u64::from_str_radix(&digits[2..], radix).ok() } else { None };
    value.is_some_and(|value| !is_signed || i64::try_from(value).is_ok())
}

fn is_time(text: &str) -> bool {
    let Some(found) = TIME.captures(text) else { return false };
    let number = |place: usize| found.get(place).and_then(|part| part.as_str().parse::<i16>().ok());
    let small = |place: usize| number(place).and_then(|number| i8::try_from(number).ok());
    let (Some(year), Some(month), Some(day)) = (number(1), small(2), small(3)) else { return false };
    let is_day = civil::Date::new(year, month, day).is_ok();
    let is_hour = |places: [usize; 3]| match places.map(small) {
        [Some(hour), Some(minute), Some(second)] => hour < 24 && minute < 60 && second < 60,
        _ => true,
    };
    is_day && is_hour([4, 5, 6]) && is_hour([7, 8, 9])
}

/// A number: whole ones without a fraction, others with as few digits as tell them apart.
pub(super) fn number(number: &Number) -> String {
    if !number.is_f64() {
        return number.to_string();
    }
    let value = number.as_f64().unwrap_or_default();
    let scientific = format!("{value:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if !(-4..LARGE).contains(&exponent) {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{mantissa}e{sign}{:02}", exponent.abs())
    } else {
        format!("{value}")
    }
}
