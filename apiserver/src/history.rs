//! What an object held before, for the kinds that keep it: each change of `data` leaves the older content as a version.
//!
//! In: a write and the object that it changes. Out: the write of the object's history, which is committed with it or not
//! at all. A history is an object in the store that no API serves as such; it goes with its object. The newest older
//! version always stays; of the others ten at most, and as many as fit into a MiB together.

use std::borrow::Cow;

use apiserver_store::{Change, Entry, Expect, Key, ResourceId, Storage, Write};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::registry::Kind;
use crate::response::to_bytes;

/// Older versions of an object that are kept at most.
const VERSIONS: usize = 10;
/// What they may add up to, unless it is a single one.
const BYTES: usize = 1 << 20;

/// Where the older versions of Secrets are: an object a Secret, named after its uid, so that another Secret of the same
/// name has none of them.
#[must_use]
pub fn secret_versions() -> ResourceId {
    ResourceId::new("internal.thecloud.dev", "secretversions")
}

/// The older versions of one object, oldest first.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct History {
    versions: Vec<Older>,
}

/// What an object held until it was changed.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Older {
    /// Its number; the first content has 1.
    pub(crate) version: u64,
    /// Since when the object held it.
    pub(crate) created: String,
    /// Until when.
    replaced: String,
    data: Box<RawValue>,
}

impl Older {
    /// The content.
    pub(crate) fn data(&self) -> Map<String, Value> {
        serde_json::from_str(self.data.get()).unwrap_or_default()
    }
}

/// Where a stored history is none.
#[derive(Debug)]
struct Unreadable {
    line: usize,
    column: usize,
}

impl History {
    /// What an object held before.
    ///
    /// # Errors
    /// 500 where what is stored of that is none.
    pub(crate) fn of(storage: &Storage, object: &Entry) -> Result<Self, ApiError> {
        let Some(entry) = storage.get(&key(object)) else { return Ok(Self::default()) };
        Self::read(&entry).map_err(|Unreadable { line, column }| {
            let Key { namespace, name, .. } = &object.key;
            ApiError::internal(format!(
                "the older versions of `{namespace}/{name}` can't be read (line {line} column {column} of what is stored): the \
                 next change begins them anew, a backup may have them"
            ))
        })
    }

    fn read(entry: &Entry) -> Result<Self, Unreadable> {
        // The error's own words may show what is there.
        serde_json::from_slice(&entry.body).map_err(|error| Unreadable { line: error.line(), column: error.column() })
    }

    /// The older versions, oldest first.
    pub(crate) fn older(&self) -> &[Older] {
        &self.versions
    }

    /// The number of what the object holds now.
    pub(crate) fn current(&self) -> u64 {
        self.versions.last().map_or(0, |newest| newest.version) + 1
    }

    /// Since when it holds that; `made` is when the object was made.
    pub(crate) fn current_since<'a>(&'a self, made: &'a str) -> &'a str {
        self.versions.last().map_or(made, |newest| newest.replaced.as_str())
    }

    fn add(&mut self, data: &RawValue, made: &str, now: &str) {
        let (version, created) = (self.current(), self.current_since(made).to_owned());
        self.versions.push(Older { version, created, replaced: now.to_owned(), data: data.to_owned() });
        let mut bytes = 0;
        let kept = self.versions.iter().rev().take(VERSIONS).take_while(|older| {
            let is_newest = bytes == 0;
            bytes += older.data.get().len();
            is_newest || bytes <= BYTES
        });
        let dropped = self.versions.len() - kept.count();
        self.versions.drain(..dropped);
    }
}

/// The part of an object that versions are about.
#[derive(Deserialize)]
struct Content<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(borrow)]
    metadata: Made<'a>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Made<'a> {
    #[serde(borrow)]
    creation_timestamp: Option<Cow<'a, str>>,
}

impl<'a> Content<'a> {
    fn of(body: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// Without any, it is an empty map.
    fn text(&self) -> &str {
        self.data.map(RawValue::get).filter(|text| *text != "null").unwrap_or("{}")
    }
}

/// What is to be written together with a write of an object: nothing, unless its kind keeps versions and its content
/// changes or goes.
pub(crate) fn bound_to(
    storage: &Storage,
    kind: &Kind,
    old: Option<&Entry>,
    write: &Write,
    now: impl FnOnce() -> String,
) -> Option<Write> {
    let old = old.filter(|_| kind.behaviour.keeps_versions)?;
    let key = key(old);
    let known = storage.get(&key);
    let expect = known.as_ref().map_or(Expect::Absent, |entry| Expect::Revision(entry.revision));
    let body = match &write.change {
        Change::Delete { .. } => {
            known?;
            return Some(Write { key, expect, change: Change::Delete { body: b"{}".to_vec() } });
        }
        Change::Put { body, .. } => body,
    };
    let (before, after) = (Content::of(&old.body)?, Content::of(body)?);
    if before.text() == after.text() {
        return None;
    }
    let read = known.map_or_else(|| Ok(History::default()), |entry| History::read(&entry));
    let mut history = read.unwrap_or_else(|Unreadable { line, column }| {
        let Key { namespace, name, .. } = &old.key;
        tracing::warn!(namespace, name, line, column, "the older versions can't be read and are begun anew");
        History::default()
    });
    let made = before.metadata.creation_timestamp.unwrap_or_default();
    let empty = RawValue::from_string("{}".to_owned()).ok();
    history.add(before.data.or(empty.as_deref())?, &made, &now());
    let metadata = json!({"name": key.name, "namespace": key.namespace, "uid": old.uid});
    let body = to_bytes(&json!({"metadata": metadata, "versions": history.versions}));
    Some(Write { key, expect, change: Change::Put { uid: old.uid, body } })
}

/// Where the history of an object is.
fn key(object: &Entry) -> Key {
    Key::new(secret_versions(), &object.key.namespace, object.uid.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(sizes: &[usize]) -> Vec<u64> {
        let mut history = History::default();
        for size in sizes {
            let data = format!("{{\"k\":\"{}\"}}", "x".repeat(*size));
            history.add(&RawValue::from_string(data).unwrap(), "made", "now");
        }
        history.older().iter().map(|older| older.version).collect()
    }

    #[test]
    fn the_last_ten_are_kept_and_numbers_go_on() {
        assert_eq!(after(&[1; 13]), (4..=13).collect::<Vec<_>>());
    }

    #[test]
    fn large_ones_push_out_what_is_older_but_never_the_newest() {
        assert_eq!(after(&[10, BYTES / 2, BYTES / 2 - 20]), [2, 3]);
        assert_eq!(after(&[10, BYTES + 1]), [2]);
        assert_eq!(after(&[10, BYTES + 1, 10]), [3]);
    }

    #[test]
    fn each_version_begins_when_the_one_before_ended() {
        let mut history = History::default();
        let data = RawValue::from_string("{}".to_owned()).unwrap();
        assert_eq!((history.current(), history.current_since("made")), (1, "made"));
        history.add(&data, "made", "then");
        history.add(&data, "made", "later");
        let created: Vec<&str> = history.older().iter().map(|older| older.created.as_str()).collect();
        assert_eq!((created, history.current(), history.current_since("made")), (vec!["made", "then"], 3, "later"));
    }
}
