//! How a deletion is meant: from the body (`DeleteOptions`) or, without one, from the query.

use serde_json::Value;

use super::{Query, dry_run, refuse};
use crate::error::{ApiError, FieldError};
use crate::policy::Requester;
use crate::schema::words;
use crate::warnings::Warnings;

/// What becomes of the objects that the deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Propagation {
    /// They are collected after it is gone.
    Background,
    /// They go first.
    Foreground,
    /// They stay, without an owner.
    Orphan,
}

/// Checked delete options.
#[derive(Debug, Clone, Default)]
pub(crate) struct DeleteOptions {
    pub(crate) propagation: Option<Propagation>,
    pub(crate) uid: Option<String>,
    pub(crate) resource_version: Option<String>,
    pub(crate) dry_run: bool,
    /// Whether the client asked in words of old that nothing be orphaned: it is told where the deletion goes on.
    pub(crate) awaits_dependents: bool,
    /// Where the client is told what is doubtful.
    pub(crate) warnings: Warnings,
    /// Who deletes, and so is judged by policies; nobody where the server itself does.
    pub(crate) by: Option<Requester>,
}

impl DeleteOptions {
    /// Reads the decoded body where there is one; the query counts only without.
    pub(crate) fn parse(body: Option<&Value>, query: &Query) -> Result<Self, ApiError> {
        match body {
            Some(body) => Self::of_body(body),
            None => Self::of_query(query),
        }
    }

    fn of_body(body: &Value) -> Result<Self, ApiError> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let filled = |value: &Value| text(value).filter(|text| !text.is_empty());
        let dry_run: Vec<&str> = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let orphans = body["orphanDependents"].as_bool();
        let preconditions = &body["preconditions"];
        let options = Self {
            uid: filled(&preconditions["uid"]),
            resource_version: filled(&preconditions["resourceVersion"]),
            ..Self::default()
        };
        options.checked(text(&body["propagationPolicy"]).as_deref(), orphans, &dry_run)
    }

    fn of_query(query: &Query) -> Result<Self, ApiError> {
        query.number("gracePeriodSeconds")?;
        let dry_run: Vec<&str> = query.all("dryRun").collect();
        let options = Self {
            uid: query.text("uid").map(str::to_owned),
            resource_version: query.text("resourceVersion").map(str::to_owned),
            ..Self::default()
        };
        options.checked(query.first("propagationPolicy"), query.optional_flag("orphanDependents"), &dry_run)
    }

    fn checked(self, policy: Option<&str>, orphans: Option<bool>, dry: &[&str]) -> Result<Self, ApiError> {
        const POLICIES: [&str; 4] = ["Foreground", "Background", "Orphan", "nil"];
        let mut errors: Vec<FieldError> = Vec::new();
        let place = "propagationPolicy";
        if policy.is_some() && orphans.is_some() {
            let detail = "orphanDependents and deletionPropagation cannot be both set";
            errors.push(words::invalid(place, &policy.into(), detail));
        }
        let named = match policy {
            None => None,
            Some("Background") => Some(Propagation::Background),
            Some("Foreground") => Some(Propagation::Foreground),
            Some("Orphan") => Some(Propagation::Orphan),
            Some(other) => {
                errors.push(words::not_supported(place, &other.into(), &POLICIES));
                None
            }
        };
        let dry_run = dry_run(dry, &mut errors);
        refuse("DeleteOptions", &errors)?;
        let of_old = orphans.map(|orphans| if orphans { Propagation::Orphan } else { Propagation::Background });
        Ok(Self { propagation: named.or(of_old), dry_run, awaits_dependents: orphans == Some(false), ..self })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn body_and_query_say_the_same_things() {
        let body = json!({"propagationPolicy": "Orphan", "preconditions": {"uid": "u"}, "dryRun": ["All"]});
        let from_body = DeleteOptions::parse(Some(&body), &Query::default()).unwrap();
        assert_eq!(from_body.propagation, Some(Propagation::Orphan));
        assert_eq!((from_body.uid.as_deref(), from_body.dry_run), (Some("u"), true));
        let query = Query::parse(Some("propagationPolicy=Foreground&dryRun=All&uid=u&resourceVersion=5"));
        let from_query = DeleteOptions::parse(None, &query).unwrap();
        assert_eq!((from_query.propagation, from_query.dry_run), (Some(Propagation::Foreground), true));
        assert_eq!((from_query.uid.as_deref(), from_query.resource_version.as_deref()), (Some("u"), Some("5")));
    }

    #[test]
    fn a_body_leaves_nothing_to_the_query() {
        let query = Query::parse(Some("propagationPolicy=Sometimes&dryRun=All"));
        let options = DeleteOptions::parse(Some(&json!({})), &query).unwrap();
        assert_eq!((options.propagation, options.dry_run), (None, false));
    }

    #[test]
    fn unknown_policy_is_refused_with_the_known_ones() {
        let query = Query::parse(Some("propagationPolicy=Sometimes"));
        let error = DeleteOptions::parse(None, &query).unwrap_err();
        assert_eq!(
            error.message,
            "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value: \"Sometimes\": supported \
             values: \"Foreground\", \"Background\", \"Orphan\", \"nil\""
        );
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let query = Query::parse(Some("propagationPolicy=Orphan&orphanDependents=true&dryRun=Some"));
        let error = DeleteOptions::parse(None, &query).unwrap_err();
        assert_eq!(error.details["causes"].as_array().unwrap().len(), 2);
    }
}
