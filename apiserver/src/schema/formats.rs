//! Decides which `format`s are enforced and what fits them: Kubernetes' list. Formats off the list mean nothing.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use regex::Regex;

use super::node::Type;

/// An enforced format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Byte,
    Cidr,
    CreditCard,
    Date,
    DateTime,
    Double,
    Duration,
    Email,
    Float,
    HexColor,
    Hostname,
    Int32,
    Int64,
    Ipv4,
    Ipv6,
    Isbn,
    Isbn10,
    Isbn13,
    LongName,
    Mac,
    ObjectId,
    RgbColor,
    ShortName,
    Ssn,
    Uri,
    Uuid,
    Uuid3,
    Uuid4,
    Uuid5,
}

impl Format {
    /// The format of this name, if it is enforced on values of a type. Upstream drops dashes before it compares.
    pub(crate) fn parse(name: &str, kind: Option<Type>) -> Option<Self> {
        match (kind, name) {
            (Some(Type::Integer), "int32") => return Some(Self::Int32),
            (Some(Type::Integer), "int64") => return Some(Self::Int64),
            (Some(Type::Number), "float") => return Some(Self::Float),
            (Some(Type::Number), "double") => return Some(Self::Double),
            (None | Some(Type::String), _) => {}
            _ => return None,
        }
        Some(match name.replace('-', "").as_str() {
            "byte" => Self::Byte,
            "cidr" => Self::Cidr,
            "creditcard" => Self::CreditCard,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "duration" => Self::Duration,
            "email" => Self::Email,
            "hexcolor" => Self::HexColor,
            "hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "isbn" => Self::Isbn,
            "isbn10" => Self::Isbn10,
            "isbn13" => Self::Isbn13,
            "k8slongname" => Self::LongName,
            "mac" => Self::Mac,
            "bsonobjectid" => Self::ObjectId,
            "rgbcolor" => Self::RgbColor,
            "k8sshortname" => Self::ShortName,
            "ssn" => Self::Ssn,
            "uri" => Self::Uri,
            "uuid" => Self::Uuid,
            "uuid3" => Self::Uuid3,
            "uuid4" => Self::Uuid4,
            "uuid5" => Self::Uuid5,
            _ => return None,
        })
    }

    /// Whether a format means anything on values of a type, enforced or not. A type that is empty is any.
    pub(crate) fn is_recognized(name: &str, type_: &str) -> bool {
        let kind = match type_ {
            "" => None,
            "string" if name.replace('-', "") == "password" => return true,
            "string" => Some(Type::String),
            "integer" => Some(Type::Integer),
            "number" => Some(Type::Number),
            _ => return false,
        };
        Self::parse(name, kind).is_some()
    }

    /// The name in a type error.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Byte => "byte",
            Self::Cidr => "cidr",
            Self::CreditCard => "creditcard",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Double => "double",
            Self::Duration => "duration",
            Self::Email => "email",
            Self::Float => "float",
            Self::HexColor => "hexcolor",
            Self::Hostname => "hostname",
            Self::Int32 => "int32",
            Self::Int64 => "int64",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Isbn => "isbn",
            Self::Isbn10 => "isbn10",
            Self::Isbn13 => "isbn13",
            Self::LongName => "k8s-long-name",
            Self::Mac => "mac",
            Self::ObjectId => "bsonobjectid",
            Self::RgbColor => "rgbcolor",
            Self::ShortName => "k8s-short-name",
            Self::Ssn => "ssn",
            Self::Uri => "uri",
            Self::Uuid => "uuid",
            Self::Uuid3 => "uuid3",
            Self::Uuid4 => "uuid4",
            Self::Uuid5 => "uuid5",
        }
    }

    /// Whether a text fits. What numbers have room for is looked at with their limits.
    pub(crate) fn fits(self, text: &str) -> bool {
        match self {
            Self::Byte => STANDARD.decode(text.replace(['\r', '\n'], "")).is_ok(),
            Self::Cidr => is_cidr(text),
            Self::CreditCard => is_credit_card(text),
            Self::Date => text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok(),
            Self::DateTime => is_date_time(text),
            Self::Duration => is_duration(text),
            Self::Email => matches(&EMAIL, text),
            Self::HexColor => matches(&HEX_COLOR, text),
            Self::Hostname => text.len() <= 255 && matches(&HOSTNAME, text),
            Self::Double | Self::Float | Self::Int32 | Self::Int64 => true,
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Isbn => is_isbn10(text) || is_isbn13(text),
            Self::Isbn10 => is_isbn10(text),
            Self::Isbn13 => is_isbn13(text),
            Self::LongName => text.len() <= 253 && matches(&LONG_NAME, text),
            Self::Mac => matches(&MAC, text),
            Self::ObjectId => text.len() == 24 && text.bytes().all(|b| b.is_ascii_hexdigit()),
            Self::RgbColor => matches(&RGB_COLOR, text),
            Self::ShortName => text.len() <= 63 && matches(&SHORT_NAME, text),
            Self::Ssn => matches(&SSN, text),
            Self::Uri => text.starts_with('/') || url::Url::parse(text).is_ok(),
            Self::Uuid => is_uuid(text, None),
            Self::Uuid3 => is_uuid(text, Some('3')),
            Self::Uuid4 => is_uuid(text, Some('4')),
            Self::Uuid5 => is_uuid(text, Some('5')),
        }
    }
}

macro_rules! pattern {
    ($name:ident, $pattern:literal) => {
        static $name: LazyLock<Regex> =
            LazyLock::new(|| Regex::new($pattern).expect("the pattern is written here and well formed"));
    };
}

pattern!(EMAIL, r#"^[^@\s<>()\[\],;:\\"]+@[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?$"#);
pattern!(HEX_COLOR, r"^#?([0-9a-fA-F]{3}|[0-9a-fA-F]{6})$");
pattern!(
    HOSTNAME,
    r"^([A-Za-z0-9_]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}[A-Za-z0-9_])?\.?$"
);
pattern!(LONG_NAME, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$");
pattern!(MAC, r"^([0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5,7}|[0-9a-fA-F]{4}(\.[0-9a-fA-F]{4}){2,3})$");
pattern!(
    RGB_COLOR,
    r"^rgb\(\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\s*(,\s*(\d|[1-9]\d|1\d\d|2[0-4]\d|25[0-5])\s*){2}\)$"
);
pattern!(SHORT_NAME, r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$");
pattern!(SSN, r"^\d{3}[- ]?\d{2}[- ]?\d{4}$");
pattern!(GO_DURATION, r"^[-+]?(0|((\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h))+)$");
pattern!(
    WORD_DURATION,
    r"^\s*(\d+\s*(nanoseconds?|nanos?|ns|microseconds?|micros?|us|µs|milliseconds?|millis?|ms|seconds?|secs?|s|minutes?|mins?|m|hours?|hrs?|h|days?|d|weeks?|wks?|w)\s*)+$"
);

fn matches(pattern: &LazyLock<Regex>, text: &str) -> bool {
    pattern.is_match(text)
}

fn is_date_time(text: &str) -> bool {
    // A `T` and an offset are required; without them a local time would pass.
    let upper = text.to_ascii_uppercase();
    upper.contains('T') && !upper.contains('[') && upper.parse::<jiff::Timestamp>().is_ok()
}

/// Go's durations (`1h30m`) and words (`3 days`), as upstream's parser takes both.
fn is_duration(text: &str) -> bool {
    matches(&GO_DURATION, text) || matches(&WORD_DURATION, text)
}

fn is_cidr(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else { return false };
    let Ok(address) = address.parse::<IpAddr>() else { return false };
    let digits = !length.is_empty() && length.bytes().all(|b| b.is_ascii_digit());
    digits && length.parse::<u8>().is_ok_and(|length| length <= if address.is_ipv4() { 32 } else { 128 })
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    let bare = text.replace('-', "");
    bare.len() == 32
        && bare.bytes().all(|b| b.is_ascii_hexdigit())
        && version.is_none_or(|version| bare.chars().nth(12) == Some(version))
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(10)).collect()
}

fn is_credit_card(text: &str) -> bool {
    let digits = digits(text);
    if !(13..=19).contains(&digits.len()) || text.chars().any(|c| !c.is_ascii_digit() && c != '-' && c != ' ') {
        return false;
    }
    let luhn = |(index, digit): (usize, &u32)| match (index % 2, digit * 2) {
        (0, _) => *digit,
        (_, doubled) if doubled > 9 => doubled - 9,
        (_, doubled) => doubled,
    };
    digits.iter().rev().enumerate().map(luhn).sum::<u32>() % 10 == 0
}

fn is_isbn10(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let Some((last, first)) = bare.as_bytes().split_last() else { return false };
    if bare.len() != 10 || !first.iter().all(u8::is_ascii_digit) || !(last.is_ascii_digit() || *last == b'X') {
        return false;
    }
    let value = |b: u8| if b == b'X' { 10 } else { u32::from(b - b'0') };
    bare.bytes().zip((1..=10).rev()).map(|(b, weight)| value(b) * weight).sum::<u32>() % 11 == 0
}

fn is_isbn13(text: &str) -> bool {
    let bare: String = text.chars().filter(|c| !matches!(c, '-' | ' ')).collect();
    let digits = digits(&bare);
    bare.len() == 13
        && digits.len() == 13
        && digits.iter().zip([1, 3].iter().cycle()).map(|(digit, weight)| digit * weight).sum::<u32>() % 10 == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(format: &str, text: &str) -> bool {
        Format::parse(format, Some(Type::String)).is_none_or(|format| format.fits(text))
    }

    #[test]
    fn enforced_formats_take_what_fits_and_refuse_the_rest() {
        let cases = [
            ("date-time", "2026-01-02T03:04:05Z", "2026-01-02"),
            ("date-time", "2026-01-02T03:04:05.5+01:00", "2026-01-02 03:04:05"),
            ("date", "2026-01-02", "2026-13-02"),
            ("duration", "1h30m", "soon"),
            ("duration", "3 days", "days"),
            ("byte", "aGk=", "h!"),
            ("ipv4", "10.0.0.1", "10.0.0.256"),
            ("ipv6", "::1", "10.0.0.1"),
            ("cidr", "10.0.0.0/8", "10.0.0.0/33"),
            ("mac", "00:11:22:33:44:55", "00:11"),
            ("uuid", "123e4567-e89b-12d3-a456-426614174000", "123e"),
            ("uuid4", "123e4567-e89b-42d3-a456-426614174000", "123e4567-e89b-12d3-a456-426614174000"),
            ("email", "a@example.com", "a"),
            ("hostname", "a.example.com", "a b"),
            ("uri", "https://example.com/x", "not a uri"),
            ("hexcolor", "#fff", "#ff"),
            ("rgbcolor", "rgb(1, 2, 255)", "rgb(1, 2, 256)"),
            ("creditcard", "4111 1111 1111 1111", "4111 1111 1111 1112"),
            ("isbn", "978-3-16-148410-0", "978-3-16-148410-1"),
            ("isbn10", "0-306-40615-2", "0-306-40615-3"),
            ("k8s-short-name", "a-b", "a.b"),
            ("k8s-long-name", "a.b", "a_b"),
        ];
        for (format, good, bad) in cases {
            assert!(fits(format, good), "`{good}` is a {format}");
            assert!(!fits(format, bad), "`{bad}` is no {format}");
        }
    }

    #[test]
    fn unknown_formats_mean_nothing() {
        assert!(fits("int-or-what", "anything"));
        assert!(Format::parse("password", None).is_none());
    }

    #[test]
    fn formats_are_those_of_their_types() {
        assert_eq!(Format::parse("int32", Some(Type::Integer)), Some(Format::Int32));
        assert_eq!(Format::parse("double", Some(Type::Number)), Some(Format::Double));
        assert_eq!(Format::parse("int32", Some(Type::String)), None);
        assert_eq!(Format::parse("date", Some(Type::Integer)), None);
        assert_eq!(Format::parse("date", Some(Type::Object)), None);
    }
}
