//! Decides how lines hang together: each names the SHA-256 of the line before it, so that whoever changes, adds or
//! takes out one has to make anew all that follow, and the newest is written down elsewhere ([`super::anchor`]).
//!
//! The last field of a line is `"chain":{"sequence":7,"previous":"<64 hexadecimal digits>"}`. The hash is of the line's
//! bytes without its end, so `sed -n 7p FILE | tr -d '\n' | sha256sum` says what line 8 has to name.

use std::fmt;

use serde::Deserialize;
use sha2::{Digest, Sha256};

/// The SHA-256 of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct LineHash([u8; 32]);

impl LineHash {
    /// What the first line of all names.
    pub(super) const NONE: Self = Self([0; 32]);

    pub(super) fn of(line: &[u8]) -> Self {
        Self(Sha256::digest(line).into())
    }

    /// Reads what [`fmt::Display`] wrote.
    pub(super) fn parse(text: &str) -> Option<Self> {
        if text.len() != 64 || !text.is_ascii() {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for LineHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The newest line of a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// Its number; 0 where there is no line yet.
    pub(super) sequence: u64,
    pub(super) hash: LineHash,
}

impl Head {
    /// Of a chain without a line.
    pub(super) const NONE: Self = Self { sequence: 0, hash: LineHash::NONE };

    /// Appends `event`, a JSON object, to `text` as the next line with its end, and becomes that line.
    pub(super) fn append(&mut self, event: &str, text: &mut Vec<u8>) {
        let begin = text.len();
        let sequence = self.sequence + 1;
        text.extend_from_slice(event.strip_suffix('}').unwrap_or(event).as_bytes());
        text.extend_from_slice(
            format!(r#","chain":{{"sequence":{sequence},"previous":"{}"}}}}"#, self.hash).as_bytes(),
        );
        *self = Self { sequence, hash: LineHash::of(&text[begin..]) };
        text.push(b'\n');
    }
}

/// What a line says of its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) sequence: u64,
    pub(super) previous: LineHash,
}

impl Link {
    /// `None` for what is no line of a chain.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Line {
            chain: Chain,
        }
        #[derive(Deserialize)]
        struct Chain {
            sequence: u64,
            previous: String,
        }
        let Line { chain } = serde_json::from_slice(line).ok()?;
        Some(Self { sequence: chain.sequence, previous: LineHash::parse(&chain.previous)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_names_the_hash_of_the_one_before() {
        let (mut head, mut text) = (Head::NONE, Vec::new());
        head.append(r#"{"verb":"create"}"#, &mut text);
        head.append(r#"{"verb":"delete"}"#, &mut text);
        let lines: Vec<&[u8]> = text.strip_suffix(b"\n").unwrap().split(|byte| *byte == b'\n').collect();
        assert_eq!(Link::of(lines[0]), Some(Link { sequence: 1, previous: LineHash::NONE }));
        assert_eq!(Link::of(lines[1]), Some(Link { sequence: 2, previous: LineHash::of(lines[0]) }));
        assert_eq!(head, Head { sequence: 2, hash: LineHash::of(lines[1]) });
        let event: serde_json::Value = serde_json::from_slice(lines[0]).unwrap();
        assert_eq!((&event["verb"], &event["chain"]["sequence"]), (&"create".into(), &1.into()));
    }

    #[test]
    fn hash_survives_being_written_down() {
        let hash = LineHash::of(b"x");
        assert_eq!(LineHash::parse(&hash.to_string()), Some(hash));
        assert_eq!(LineHash::parse("00"), None);
        assert_eq!(Link::of(b"{}"), None);
    }
}
