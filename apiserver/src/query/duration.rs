//! Decides whether a text is a duration as Go writes them: `1m30s`, `-1.5h`, `0`.

use crate::error::ApiError;
use crate::schema::words;

const UNITS: [&str; 8] = ["ns", "us", "µs", "μs", "ms", "s", "m", "h"];

/// Refuses the `timeout` of a request that is no duration.
///
/// # Errors
/// 400 in the words of Go's parser.
pub(crate) fn check(text: &str) -> Result<(), ApiError> {
    problem(text).map_or(Ok(()), |why| {
        Err(ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}")))
    })
}

fn problem(text: &str) -> Option<String> {
    let quoted = words::quoted(text);
    let invalid = || Some(format!("time: invalid duration {quoted}"));
    let mut rest = text.strip_prefix(['+', '-']).unwrap_or(text);
    if rest == "0" {
        return None;
    }
    if rest.is_empty() {
        return invalid();
    }
    while !rest.is_empty() {
        let number = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(rest.len());
        let (digits, behind) = rest.split_at(number);
        if !digits.bytes().any(|byte| byte.is_ascii_digit()) || digits.matches('.').count() > 1 {
            return invalid();
        }
        let end = behind.find(|letter: char| letter.is_ascii_digit() || letter == '.').unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(end);
        if unit.is_empty() {
            return Some(format!("time: missing unit in duration {quoted}"));
        }
        if !UNITS.contains(&unit) {
            return Some(format!("time: unknown unit {} in duration {quoted}", words::quoted(unit)));
        }
        rest = behind;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_those_of_go() {
        for good in ["0", "1s", "1m30s", "-1.5h", "+2ms", "10µs"] {
            assert_eq!(problem(good), None, "{good}");
        }
        assert_eq!(problem("abc").unwrap(), "time: invalid duration \"abc\"");
        assert_eq!(problem("5").unwrap(), "time: missing unit in duration \"5\"");
        assert_eq!(problem("5x").unwrap(), "time: unknown unit \"x\" in duration \"5x\"");
        assert!(check("-").unwrap_err().message.starts_with("invalid timeout specified in the request URL - "));
    }
}
