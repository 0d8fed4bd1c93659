//! What a list or watch asks for.

use std::time::Duration;

use apiserver_store::Revision;

use super::{Query, invalid_options};
use crate::error::{ApiError, FieldErrorKind};

/// How `resourceVersion` of a list is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Match {
    /// The state at exactly this revision.
    Exact,
    /// A state at least as new.
    NotOlderThan,
}

/// Checked list options.
#[derive(Debug, Clone, Default)]
pub(crate) struct ListOptions {
    pub(crate) labels: Option<String>,
    pub(crate) fields: Option<String>,
    pub(crate) watch: bool,
    pub(crate) bookmarks: bool,
    pub(crate) initial_events: Option<bool>,
    pub(crate) revision: Option<Revision>,
    pub(crate) matching: Option<Match>,
    pub(crate) limit: Option<usize>,
    pub(crate) token: Option<String>,
    pub(crate) timeout: Option<Duration>,
}

impl ListOptions {
    pub(crate) fn parse(query: &Query) -> Result<Self, ApiError> {
        let options = Self {
            labels: query.text("labelSelector").map(str::to_owned),
            fields: query.text("fieldSelector").map(str::to_owned),
            watch: query.flag("watch"),
            bookmarks: query.flag("allowWatchBookmarks"),
            initial_events: query.optional_flag("sendInitialEvents"),
            revision: query.text("resourceVersion").map(revision).transpose()?,
            matching: None,
            limit: query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0),
            token: query.text("continue").map(str::to_owned),
            timeout: query.number("timeoutSeconds")?.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        };
        let matching = query.text("resourceVersionMatch");
        if options.watch {
            options.check_watch(matching)?
        } else {
            options.check_list(matching)?
        }
        let matching = match matching {
            Some("Exact") => Some(Match::Exact),
            Some(_) => Some(Match::NotOlderThan),
            None => None,
        };
        Ok(Self { matching, ..options })
    }

    fn check_list(&self, matching: Option<&str>) -> Result<(), ApiError> {
        if self.initial_events.is_some() {
            return Err(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        if self.token.is_some() && self.revision.is_some_and(|revision| revision.0 > 0) {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let Some(matching) = matching else { return Ok(()) };
        let refused = |why| Err(forbidden("resourceVersionMatch", why));
        if self.revision.is_none() {
            return refused("resourceVersionMatch is forbidden unless resourceVersion is provided");
        }
        if self.token.is_some() {
            return refused("resourceVersionMatch is forbidden when continue is provided");
        }
        if !matches!(matching, "Exact" | "NotOlderThan") {
            return Err(unsupported(matching, "\"Exact\", \"NotOlderThan\", \"\""));
        }
        if matching == "Exact" && self.revision == Some(Revision::ZERO) {
            return refused("resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"");
        }
        Ok(())
    }

    fn check_watch(&self, matching: Option<&str>) -> Result<(), ApiError> {
        let refused = |why| Err(forbidden("resourceVersionMatch", why));
        if self.initial_events.is_some() && matching != Some("NotOlderThan") {
            return refused("sendInitialEvents requires setting resourceVersionMatch to NotOlderThan");
        }
        let Some(matching) = matching else { return Ok(()) };
        if self.initial_events.is_none() {
            return refused("resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided");
        }
        if matching != "NotOlderThan" {
            return Err(unsupported(matching, "\"NotOlderThan\""));
        }
        if self.token.is_some() {
            return refused("resourceVersionMatch is forbidden when continue is provided");
        }
        Ok(())
    }
}

/// Reads a `resourceVersion`.
pub(crate) fn revision(text: &str) -> Result<Revision, ApiError> {
    text.parse().map(Revision).map_err(|_| {
        let quoted = serde_json::Value::from(text);
        ApiError::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {quoted}: strconv.ParseUint: parsing {quoted}: \
             invalid syntax"
        ))
    })
}

fn forbidden(field: &str, why: &str) -> ApiError {
    invalid_options("ListOptions", field, FieldErrorKind::Forbidden, &format!("Forbidden: {why}"))
}

fn unsupported(found: &str, supported: &str) -> ApiError {
    let message = format!("Unsupported value: {}: supported values: {supported}", serde_json::Value::from(found));
    invalid_options("ListOptions", "resourceVersionMatch", FieldErrorKind::NotSupported, &message)
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
        assert_eq!(parse("resourceVersion=5&resourceVersionMatch=Newest").unwrap_err().reason.code(), 422);
    }

    #[test]
    fn initial_events_need_a_watch_and_not_older_than() {
        assert!(parse("watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan").is_ok());
        assert_eq!(parse("watch=1&sendInitialEvents=true").unwrap_err().reason.code(), 422);
        assert_eq!(parse("sendInitialEvents=true").unwrap_err().reason.code(), 422);
    }

    #[test]
    fn unreadable_revision_is_a_bad_request() {
        let error = parse("resourceVersion=abc").unwrap_err();
        assert_eq!(
            error.message,
            "invalid resource version: resourceVersion: Invalid value: \"abc\": strconv.ParseUint: parsing \"abc\": \
             invalid syntax"
        );
    }

    #[test]
    fn false_in_any_spelling_is_no_watch() {
        assert!(!parse("watch=false").unwrap().watch);
        assert!(!parse("watch=0").unwrap().watch);
        assert!(parse("watch=").unwrap().watch);
    }
}
