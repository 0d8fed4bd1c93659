//! Reads durations as Go writes them: `1m30s`, `-1.5h`, `0`.

use std::time::Duration;

use crate::error::ApiError;
use crate::schema::words;

const UNITS: [(&str, f64); 8] =
    [("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("μs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9)];
/// What an `i64` holds in nanoseconds.
const LONGEST: f64 = 9_223_372_036_854_775_807.0;

/// The `timeout` of a request; nothing for zero and below, which mean none.
///
/// # Errors
/// 400 in the words of Go's parser.
pub(crate) fn timeout(text: &str) -> Result<Option<Duration>, ApiError> {
    let nanoseconds = parse(text)
        .map_err(|why| ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}")))?;
    Ok((nanoseconds > 0.0).then(|| Duration::from_secs_f64(nanoseconds / 1e9)))
}

/// The duration in nanoseconds.
fn parse(text: &str) -> Result<f64, String> {
    let quoted = words::quoted(text);
    let invalid = || format!("time: invalid duration {quoted}");
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return Ok(0.0);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut sum = 0.0;
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(number);
        let amount: f64 = digits.parse().map_err(|_| invalid())?;
        let end = behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        if unit.is_empty() {
            return Err(format!("time: missing unit in duration {quoted}"));
        }
        let Some((_, length)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(format!("time: unknown unit {} in duration {quoted}", words::quoted(unit)));
        };
        sum += amount * length;
        if sum > LONGEST {
            return Err(invalid());
        }
        rest = behind;
    }
    Ok(if text.starts_with('-') { -sum } else { sum })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        let seconds = |text| timeout(text).unwrap().map(|timeout| timeout.as_secs_f64());
        assert_eq!(seconds("1m30s"), Some(90.0));
        assert_eq!(seconds("+1.5ms"), Some(0.0015));
        assert_eq!(seconds("10µs"), Some(0.000_01));
        assert_eq!(seconds("1.s.5s"), Some(1.5));
        for none in ["0", "-0", "0s", "-1.5h"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_as_go_refuses_it() {
        let why = |text| parse(text).unwrap_err();
        assert_eq!(why("abc"), "time: invalid duration \"abc\"");
        assert_eq!(why("5"), "time: missing unit in duration \"5\"");
        assert_eq!(why("5x"), "time: unknown unit \"x\" in duration \"5x\"");
        for none in ["-", ".s", "1..2s", "9999999h", "1e3s1", "99999999999999999999999999999999h"] {
            assert!(parse(none).is_err(), "{none}");
        }
        assert!(timeout("-").unwrap_err().message.starts_with("invalid timeout specified in the request URL - "));
    }
}
