//! Finds the newest lines of a log that fit what is asked.

use std::collections::{BTreeMap, VecDeque};
use std::io;

use bytes::{Bytes, BytesMut};
use jiff::Timestamp;
use serde::Deserialize;

use super::files::Folder;
use crate::access::CREDENTIAL;
use crate::error::ApiError;
use crate::query::Query;

/// The most lines, and their bytes, that one answer has.
const LINES: usize = 10_000;
const BYTES: usize = 16 << 20;
/// The lines of an answer where nobody says.
const USUAL: usize = 100;

/// Which lines are wanted. What is empty fits all.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    user: String,
    /// What names it, or how that begins; the type before `=` may be left away.
    credential: String,
    verb: String,
    resource: String,
    namespace: String,
    name: String,
    code: Option<u16>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    limit: usize,
}

impl Filter {
    /// # Errors
    /// 400 for what is no time, code or number, and for a parameter that isn't known: it would go unheard.
    pub(crate) fn parse(query: &Query) -> Result<Self, ApiError> {
        const KNOWN: [&str; 10] =
            ["user", "credential", "verb", "resource", "namespace", "name", "code", "since", "until", "limit"];
        if let Some(unknown) = query.names().find(|name| !KNOWN.contains(name)) {
            let known = KNOWN.join(", ");
            return Err(ApiError::bad_request(format!(
                "the audit log can't be asked for {unknown:?}, only for {known}"
            )));
        }
        let text = |name: &str| query.text(name).unwrap_or_default().to_owned();
        Ok(Self {
            user: text("user"),
            credential: text("credential"),
            verb: text("verb"),
            resource: text("resource"),
            namespace: text("namespace"),
            name: text("name"),
            code: parsed(query, "code", "a status code such as 403")?,
            since: parsed(query, "since", "a time such as 2026-01-02T03:04:05Z")?,
            until: parsed(query, "until", "a time such as 2026-01-02T03:04:05Z")?,
            limit: parsed(query, "limit", "a number")?.unwrap_or(USUAL).clamp(1, LINES),
        })
    }

    fn fits(&self, line: &[u8]) -> bool {
        let Ok(seen) = serde_json::from_slice::<Seen>(line) else { return false };
        let of = seen.object_ref.unwrap_or_default();
        let is = |wanted: &str, value: &str| wanted.is_empty() || wanted == value;
        let resource = || {
            let whole =
                if of.api_group.is_empty() { of.resource.clone() } else { format!("{}.{}", of.resource, of.api_group) };
            self.resource.is_empty() || self.resource == of.resource || self.resource == whole
        };
        is(&self.verb, &seen.verb)
            && (self.credential.is_empty() || seen.user.has(&self.credential))
            && (is(&self.user, &seen.user.username)
                || seen.impersonated_user.is_some_and(|user| self.user == user.username))
            && is(&self.namespace, &of.namespace)
            && is(&self.name, &of.name)
            && self.code.is_none_or(|code| code == seen.response_status.code)
            && resource()
            && self.since.is_none_or(|since| seen.request_received_timestamp >= since)
            && self.until.is_none_or(|until| seen.request_received_timestamp <= until)
    }
}

fn parsed<T: std::str::FromStr>(query: &Query, name: &str, what: &str) -> Result<Option<T>, ApiError> {
    let Some(text) = query.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    text.parse().map(Some).map_err(|_| ApiError::bad_request(format!("{name}: {text:?} is not {what}")))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Seen {
    verb: String,
    user: Name,
    impersonated_user: Option<Name>,
    object_ref: Option<Of>,
    #[serde(default)]
    response_status: Code,
    request_received_timestamp: Timestamp,
}

#[derive(Deserialize)]
struct Name {
    username: String,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

impl Name {
    fn has(&self, wanted: &str) -> bool {
        let known = self.extra.get(CREDENTIAL).into_iter().flatten();
        known.into_iter().any(|known| {
            let bare = known.split_once('=').map_or(known.as_str(), |(_, bare)| bare);
            known.starts_with(wanted) || bare.starts_with(wanted)
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Of {
    resource: String,
    api_group: String,
    namespace: String,
    name: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Code {
    code: u16,
}

/// The newest lines that fit, oldest first.
pub(super) fn find(folder: &Folder, filter: &Filter) -> io::Result<Bytes> {
    // Of one file at a time, so that no more is read than is needed.
    let mut parts: Vec<VecDeque<Vec<u8>>> = Vec::new();
    let (mut wanted, mut room) = (filter.limit, BYTES);
    for file in folder.list()?.into_iter().rev() {
        let is_older = |since: Timestamp| {
            let changed = file.path.metadata().and_then(|about| about.modified()).map(Timestamp::try_from);
            matches!(changed, Ok(Ok(changed)) if changed < since)
        };
        if wanted == 0 || filter.since.is_some_and(is_older) {
            break;
        }
        let (mut found, mut bytes, mut line, mut lines) = (VecDeque::new(), 0, Vec::new(), file.lines()?);
        while lines.read(&mut line)? {
            if !filter.fits(&line) {
                continue;
            }
            bytes += line.len() + 1;
            found.push_back(std::mem::take(&mut line));
            while found.len() > wanted || bytes > room {
                bytes -= found.pop_front().map_or(0, |line| line.len() + 1);
            }
        }
        wanted -= found.len();
        room -= bytes;
        parts.push(found);
    }
    let mut text = BytesMut::new();
    for line in parts.iter().rev().flatten() {
        text.extend_from_slice(line);
        text.extend_from_slice(b"\n");
    }
    Ok(text.freeze())
}
