//! Decides how a span of time is written: `45s`, `3m20s`, `2h5m`, `3d`, as kubectl does it.

use std::time::Duration;

use jiff::Timestamp;

/// A span in at most two units.
pub(crate) fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |big: u64, unit: char, small: u64, small_unit: char| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, 'm', seconds % 60, 's'),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, 'h', minutes % 60, 'm'),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, 'd', hours % 24, 'h'),
        () if days < 730 => format!("{days}d"),
        () => two(days / 365, 'y', days % 365, 'd'),
    }
}

/// How long ago a timestamp of the API was; empty when it is none.
pub(crate) fn since(timestamp: &str, now: Timestamp) -> String {
    match timestamp.parse::<Timestamp>() {
        Ok(then) => span(Duration::try_from(now.duration_since(then)).unwrap_or_default()),
        Err(_) => String::new(),
    }
}

/// A measured span, with tenths: `0.3 s`, `12.0 s`.
pub(crate) fn measured(duration: Duration) -> String {
    format!("{:.2} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_use_at_most_two_units() {
        let written = [0, 119, 120, 200, 3599, 11_000, 20_000, 100_000, 200_000, 3_000_000, 70_000_000]
            .map(|seconds| span(Duration::from_secs(seconds)))
            .join(" ");
        assert_eq!(written, "0s 119s 2m 3m20s 59m 3h3m 5h33m 27h 2d7h 34d 2y80d");
    }

    #[test]
    fn future_is_now_and_nonsense_is_empty() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        assert_eq!(since("2026-01-01T00:00:05Z", now), "0s");
        assert_eq!(since("2025-12-31T23:59:00Z", now), "60s");
        assert_eq!(since("yesterday", now), "");
    }
}
