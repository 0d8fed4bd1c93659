//! Says which resources are served, in both of Kubernetes' languages: one document a group (legacy) and all at once
//! (aggregated). Both are made from the registry alone, so they can't disagree and can't half fail.
//!
//! It advertises only what answers: a client that watches every listed kind would otherwise loop on errors.

mod aggregated;
mod legacy;
mod resources;

use bytes::Bytes;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::registry::{Kind, Registry};

pub use aggregated::{AGGREGATED_TYPE, aggregated_api, aggregated_apis};
pub use legacy::{api_versions, group, group_list, resource_list};

/// A document with the strong validator of its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// JSON.
    pub body: Bytes,
    /// The `ETag` header, quotes included.
    pub etag: String,
}

impl Document {
    fn of(value: &Value) -> Self {
        let body = Bytes::from(value.to_string());
        let etag = format!("\"{}\"", hex(&Sha256::digest(&body)));
        Self { body, etag }
    }
}

/// A group with the kinds and versions that are served of it.
struct Group<'a> {
    name: &'a str,
    kinds: Vec<&'a Kind>,
    /// In order of preference.
    versions: Vec<&'a str>,
}

/// All groups but the core one: ours and other declared ones last, as upstream orders them, by name within.
fn groups(registry: &Registry) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for kind in registry.kinds().filter(|kind| !kind.group.is_empty()) {
        match groups.iter_mut().find(|group| group.name == kind.group) {
            Some(group) => group.kinds.push(kind),
            None => groups.push(Group { name: &kind.group, kinds: vec![kind], versions: Vec::new() }),
        }
    }
    for group in &mut groups {
        group.versions = served_versions(&group.kinds);
    }
    groups.retain(|group| !group.versions.is_empty());
    groups.sort_by_key(|group| (!group.kinds.iter().any(|kind| kind.is_built_in()), group.name));
    groups
}

/// The served versions of a group, most preferred first.
fn served_versions<'a>(kinds: &[&'a Kind]) -> Vec<&'a str> {
    let mut versions: Vec<&str> =
        kinds.iter().flat_map(|kind| &kind.versions).filter(|v| v.served).map(|v| v.name.as_str()).collect();
    versions.sort_by_key(|name| std::cmp::Reverse(preference(name)));
    versions.dedup();
    versions
}

/// Kubernetes' order of versions: stable before beta before alpha, newer before older, all else after by name.
fn preference(version: &str) -> (u8, u64, u64, std::cmp::Reverse<&str>) {
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let (major, rest) = number(rest)?;
        let (stability, minor) = match rest {
            "" => (3, 0),
            _ => match (rest.strip_prefix("beta"), rest.strip_prefix("alpha")) {
                (Some(minor), _) => (2, number(minor).filter(|(_, rest)| rest.is_empty())?.0),
                (_, Some(minor)) => (1, number(minor).filter(|(_, rest)| rest.is_empty())?.0),
                _ => return None,
            },
        };
        Some((stability, major, minor))
    });
    let (stability, major, minor) = parsed.unwrap_or((0, 0, 0));
    (stability, major, minor, std::cmp::Reverse(version))
}

fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number = text[..end].parse().ok().filter(|number| *number > 0)?;
    Some((number, &text[end..]))
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02X}");
        text
    })
}

#[cfg(test)]
mod tests;
