//! Decides whether a log is whole: every line names the one before it, none is missing but those that were removed for
//! their age, and the newest one that was noted elsewhere is there as it was.

use std::io;

use serde::{Deserialize, Serialize};

use super::chain::{Head, LineHash, Link};
use super::event::{FINDING, REMOVED_THROUGH, SELF};
use super::files::Folder;

/// More isn't told.
const PROBLEMS: usize = 20;

/// What somebody knows of a line.
#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) head: Head,
    /// Who knows it, for the sentence.
    pub(super) from: &'static str,
}

/// How a log was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Report {
    pub(crate) kind: &'static str,
    pub(crate) chain: String,
    /// Lines that were looked at.
    pub(crate) lines: u64,
    pub(crate) files: usize,
    /// The first line that is kept, and its time.
    pub(crate) first: u64,
    pub(crate) since: String,
    /// The newest line, its time and its hash.
    pub(crate) last: u64,
    pub(crate) until: String,
    pub(crate) hash: String,
    /// What is wrong. Nothing, where it is whole.
    pub(crate) problems: Vec<String>,
    /// The first of what is wrong that only somebody else's knowledge of a line shows.
    #[serde(skip)]
    pub(super) contradiction: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    stage_timestamp: String,
    #[serde(default)]
    user: User,
    #[serde(default)]
    annotations: serde_json::Map<String, serde_json::Value>,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

/// Looks at every line up to `until`, which is the newest.
pub(super) fn verify(folder: &Folder, until: Head, known: &[Known]) -> io::Result<Report> {
    let files = folder.list()?;
    let mut walk = Walk { known, last: None, removed_through: 0, report: Report::default() };
    let mut line = Vec::new();
    'files: for file in &files {
        let mut lines = file.lines()?;
        let name = file.path.file_name().unwrap_or_default().to_string_lossy();
        let mut number = 0_u64;
        while lines.read(&mut line)? {
            number += 1;
            walk.look_at(&line, &format!("{name} line {number}"));
            if walk.last.is_some_and(|last| last.sequence >= until.sequence) {
                break 'files;
            }
        }
    }
    walk.report.files = files.len();
    Ok(walk.end(until))
}

struct Walk<'a> {
    known: &'a [Known],
    last: Option<Head>,
    removed_through: u64,
    report: Report,
}

impl Walk<'_> {
    fn look_at(&mut self, line: &[u8], place: &str) {
        let hash = LineHash::of(line);
        let (Some(link), Ok(event)) = (Link::of(line), serde_json::from_slice::<Event>(line)) else {
            self.problem(format!("{place} is no line of the log"));
            return;
        };
        if let Some(last) = self.last {
            if link.sequence > last.sequence + 1 {
                self.problem(format!("{place}: lines {} to {} are missing", last.sequence + 1, link.sequence - 1));
            } else if link.sequence <= last.sequence {
                self.problem(format!("{place} is line {} again", link.sequence));
            } else if link.previous != last.hash {
                self.problem(format!("{place}: line {} is not what it was when this one was written", last.sequence));
            }
        } else {
            self.report.first = link.sequence;
            self.report.since.clone_from(&event.stage_timestamp);
        }
        for known in self.known {
            if known.head.sequence == link.sequence && known.head.hash != hash {
                self.contradict(format!("{place}: line {} is not what it was {}", link.sequence, known.from));
            }
        }
        if event.user.username == SELF {
            let text = |name: &str| event.annotations.get(name).and_then(|value| value.as_str()).map(str::to_owned);
            if let Some(through) = text(REMOVED_THROUGH).and_then(|text| text.parse().ok()) {
                self.removed_through = through;
            }
            if let Some(finding) = text(FINDING) {
                self.problem(format!("{place}, found when the server started: {finding}"));
            }
        }
        self.last = Some(Head { sequence: link.sequence, hash });
        self.report.lines += 1;
        self.report.until = event.stage_timestamp;
    }

    fn end(mut self, until: Head) -> Report {
        let last = self.last.unwrap_or(Head::NONE);
        if self.report.first > self.removed_through + 1 {
            let (from, to) = (self.removed_through + 1, self.report.first - 1);
            self.problem(format!(
                "lines {from} to {to} are missing at the beginning, and were not removed for their age"
            ));
        }
        if last.sequence < until.sequence {
            self.problem(format!("lines {} to {} are missing at the end", last.sequence + 1, until.sequence));
        } else if last != until {
            self.problem(format!("line {} is not what the server wrote", last.sequence));
        }
        for known in self.known {
            let Head { sequence, .. } = known.head;
            if sequence > until.sequence {
                self.contradict(format!("line {sequence} is missing, which was there {}", known.from));
            }
        }
        self.report.kind = "AuditReport";
        self.report.last = last.sequence;
        self.report.hash = last.hash.to_string();
        self.report
    }

    fn contradict(&mut self, text: String) {
        self.report.contradiction.get_or_insert_with(|| text.clone());
        self.problem(text);
    }

    fn problem(&mut self, text: String) {
        if self.report.problems.len() < PROBLEMS {
            self.report.problems.push(text);
        }
    }
}
