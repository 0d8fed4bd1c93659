//! What a list or watch asks for.

use std::time::Duration;

use apiserver_store::Revision;

use super::{Query, refuse};
use crate::error::{ApiError, FieldError};
use crate::schema::words;
use crate::selector::{field, label};

/// How `resourceVersion` of a list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// The state at exactly this revision.
    Exact,
    /// A state at least as new.
    NotOlderThan,
}

/// Checked list options. Whether the fields can be selected by, and whether the revision is one, is found out where
/// they are used.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: label::Selector,
    pub(crate) fields: field::Terms,
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) initial_events: Option<bool>,
    /// As it came.
    pub(crate) revision: Option<String>,
    pub(crate) matching: Option<Match>,
    pub(crate) limit: Option<usize>,
    pub(crate) token: Option<String>,
    /// How long a watch may last; nothing for zero.
    pub(crate) timeout: Option<Duration>,
}

impl ListOptions {
    pub(crate) fn parse(query: &Query) -> Result<Self, ApiError> {
        let timeout = query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
        let mut options = Self {
            labels: label::Selector::parse(query.text("labelSelector").unwrap_or_default())?,
            fields: field::Terms::parse(query.text("fieldSelector").unwrap_or_default())?,
            watch: query.flag("watch"),
            bookmarks: query.flag("allowWatchBookmarks"),
            initial_events: query.optional_flag("sendInitialEvents"),
            revision: query.text("resourceVersion").map(str::to_owned),
            matching: None,
            limit,
            token: query.text("continue").map(str::to_owned),
            timeout,
        };
        let mut matching = query.text("resourceVersionMatch");
        let begins_now = options.revision.as_deref().is_none_or(|revision| revision == "0");
        if options.watch && begins_now && options.initial_events.is_none() && matching.is_none() {
            // A watch from nowhere begins with what is there.
            options.initial_events = Some(true);
            matching = Some("NotOlderThan");
        }
        let errors = if options.watch { options.watch_errors(matching) } else { options.list_errors(matching) };
        refuse("ListOptions", &errors)?;
        options.matching = match matching {
            Some("Exact") => Some(Match::Exact),
            Some(_) => Some(Match::NotOlderThan),
            None => None,
        };
        Ok(options)
    }

    fn list_errors(&self, matching: Option<&str>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if let Some(matching) = matching {
            if self.revision.is_none() {
                errors.push(forbidden("resourceVersionMatch is forbidden unless resourceVersion is provided"));
            }
            if self.token.is_some() {
                errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
            }
            if !matches!(matching, "Exact" | "NotOlderThan") {
                errors.push(unsupported(matching, &["Exact", "NotOlderThan", ""]));
            }
            if matching == "Exact" && self.revision.as_deref() == Some("0") {
                errors.push(forbidden("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""));
            }
        }
        if self.initial_events.is_some() {
            errors.push(words::forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        errors
    }

    fn watch_errors(&self, matching: Option<&str>) -> Vec<FieldError> {
        let mut errors = Vec::new();
        if self.initial_events.is_some() && matching != Some("NotOlderThan") {
            errors.push(forbidden("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
        }
        if let Some(matching) = matching {
            if self.initial_events.is_none() {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                errors.push(forbidden(why));
            }
            if matching != "NotOlderThan" {
                errors.push(unsupported(matching, &["NotOlderThan"]));
            }
            if self.token.is_some() {
                errors.push(forbidden("resourceVersionMatch is forbidden when continue is provided"));
            }
        }
        errors
    }

    /// The revision that a list is asked for.
    ///
    /// # Errors
    /// 400 for what is none, and beside a `continue`, which has its own.
    pub(crate) fn list_revision(&self) -> Result<Option<Revision>, ApiError> {
        let Some(text) = self.revision.as_deref() else { return Ok(None) };
        if self.token.is_some() && text != "0" {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let parsed =
            revision(text).map_err(|error| ApiError::bad_request(format!("invalid resource version: {error}")));
        parsed.map(Some)
    }
}

/// Reads a `resourceVersion`.
///
/// # Errors
/// What upstream says of one that can't be read.
pub(crate) fn revision(text: &str) -> Result<Revision, FieldError> {
    text.parse().map(Revision).map_err(|error: std::num::ParseIntError| {
        let why = match error.kind() {
            std::num::IntErrorKind::PosOverflow => "value out of range",
            _ => "invalid syntax",
        };
        let quoted = words::quoted(text);
        words::invalid("resourceVersion", &text.into(), &format!("strconv.ParseUint: parsing {quoted}: {why}"))
    })
}

fn forbidden(why: &str) -> FieldError {
    words::forbidden("resourceVersionMatch", why)
}

fn unsupported(found: &str, supported: &[&str]) -> FieldError {
    words::not_supported("resourceVersionMatch", &found.into(), supported)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(query: &str) -> Result<ListOptions, ApiError> {
        ListOptions::parse(&Query::parse(Some(query)))
    }

    #[test]
    fn exact_needs_a_revision_other_than_zero() {
        assert_eq!(parse("resourceVersion=5&resourceVersionMatch=Exact").unwrap().matching, Some(Match::Exact));
        assert_eq!(parse("resourceVersion=0&resourceVersionMatch=Exact").unwrap_err().reason.code(), 422);
        assert_eq!(parse("resourceVersionMatch=Exact").unwrap_err().reason.code(), 422);
        let error = parse("resourceVersionMatch=Newest&continue=x&sendInitialEvents=false").unwrap_err();
        assert_eq!(error.details["causes"].as_array().unwrap().len(), 4, "all that is wrong is told");
    }

    #[test]
    fn initial_events_need_a_watch_and_not_older_than() {
        assert!(parse("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan").is_ok());
        assert_eq!(parse("watch=1&sendInitialEvents=true").unwrap_err().reason.code(), 422);
        assert_eq!(parse("sendInitialEvents=true").unwrap_err().reason.code(), 422);
    }

    #[test]
    fn a_watch_from_nowhere_begins_with_initial_events() {
        assert_eq!(parse("watch=1").unwrap().initial_events, Some(true));
        assert_eq!(parse("watch=1&resourceVersion=0").unwrap().initial_events, Some(true));
        assert_eq!(parse("watch=1&resourceVersion=5").unwrap().initial_events, None);
        let not = "watch=1&sendInitialEvents=false&resourceVersionMatch=NotOlderThan";
        assert_eq!(parse(not).unwrap().initial_events, Some(false));
    }

    #[test]
    fn unreadable_revision_is_a_bad_request() {
        let error = parse("resourceVersion=abc").unwrap().list_revision().unwrap_err();
        assert_eq!(
            error.message,
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": \
             invalid syntax"
        );
        assert!(parse("resourceVersion=5&continue=x").unwrap().list_revision().is_err());
        assert_eq!(parse("limit=").unwrap_err().message, "strconv.ParseInt: parsing \"\": invalid syntax");
    }

    #[test]
    fn false_in_any_spelling_is_no_watch() {
        for text in ["watch=false", "watch=0", "watch=FaLsE"] {
            assert!(!parse(text).unwrap().watch, "{text}");
        }
        for text in ["watch=", "watch=1", "watch=f"] {
            assert!(parse(text).unwrap().watch, "{text}");
        }
    }
}
