//! How long ago, in the few characters that kubectl prints.

use jiff::Timestamp;

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// The time between two moments as `5s`, `2m30s`, `3h`, `4d6h`, `2y10d`: two units while the first is small.
#[must_use]
pub fn human_duration(since: Timestamp, now: Timestamp) -> String {
    let seconds = (now - since).total(jiff::Unit::Second).unwrap_or_default();
    #[expect(clippy::cast_possible_truncation, reason = "timestamps span 20,000 years, in seconds well inside i64")]
    let seconds = seconds as i64;
    match seconds {
        // Clocks of two machines may differ a little; further ahead is a mistake.
        i64::MIN..=-2 => "<invalid>".to_owned(),
        -1 => "0s".to_owned(),
        0..120 => format!("{seconds}s"),
        _ if seconds < 10 * MINUTE => two_units(seconds, (MINUTE, "m"), (1, "s")),
        _ if seconds < 3 * HOUR => format!("{}m", seconds / MINUTE),
        _ if seconds < 8 * HOUR => two_units(seconds, (HOUR, "h"), (MINUTE, "m")),
        _ if seconds < 2 * DAY => format!("{}h", seconds / HOUR),
        _ if seconds < 8 * DAY => two_units(seconds, (DAY, "d"), (HOUR, "h")),
        _ if seconds < 2 * YEAR => format!("{}d", seconds / DAY),
        _ if seconds < 8 * YEAR => two_units(seconds, (YEAR, "y"), (DAY, "d")),
        _ => format!("{}y", seconds / YEAR),
    }
}

fn two_units(seconds: i64, (large, large_name): (i64, &str), (small, small_name): (i64, &str)) -> String {
    let rest = seconds % large / small;
    if rest == 0 {
        format!("{}{large_name}", seconds / large)
    } else {
        format!("{}{large_name}{rest}{small_name}", seconds / large)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_reads_as_kubectl_prints_it() {
        for (seconds, expected) in [
            (-2, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (599, "9m59s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (3 * HOUR + 5 * MINUTE, "3h5m"),
            (8 * HOUR + 59 * MINUTE, "8h"),
            (47 * HOUR, "47h"),
            (48 * HOUR, "2d"),
            (3 * DAY + 4 * HOUR, "3d4h"),
            (8 * DAY + 4 * HOUR, "8d"),
            (2 * YEAR, "2y"),
            (2 * YEAR + 10 * DAY, "2y10d"),
            (9 * YEAR + 10 * DAY, "9y"),
        ] {
            let since = Timestamp::from_second(1_800_000_000).unwrap();
            let now = Timestamp::from_second(1_800_000_000 + seconds).unwrap();
            assert_eq!(human_duration(since, now), expected, "{seconds}");
        }
    }

    #[test]
    fn half_a_second_ahead_is_now() {
        let since = Timestamp::from_millisecond(1_500).unwrap();
        assert_eq!(human_duration(since, Timestamp::from_second(1).unwrap()), "0s");
    }
}
