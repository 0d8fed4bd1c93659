//! How a deletion is meant: from the body (`DeleteOptions`) or, without one, from the query.

use serde_json::Value;

use super::{Query, dry_run, invalid_options};
use crate::error::{ApiError, FieldErrorKind};

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
}

impl DeleteOptions {
    /// Reads the decoded body where there is one, and the query for what the body leaves open.
    pub(crate) fn parse(body: Option<&Value>, query: &Query) -> Result<Self, ApiError> {
        let empty = Value::Null;
        let body = body.unwrap_or(&empty);
        let kind = body["kind"].as_str().unwrap_or("DeleteOptions");
        if kind != "DeleteOptions" {
            return Err(ApiError::bad_request(format!(
                "the object provided is unrecognized (must be of type DeleteOptions): no kind \"{kind}\" is registered"
            )));
        }
        let body_dry_run = body["dryRun"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        let policy = text(&body["propagationPolicy"]).or_else(|| query.text("propagationPolicy").map(str::to_owned));
        let orphans = body["orphanDependents"].as_bool().or_else(|| query.optional_flag("orphanDependents"));
        let propagation = match (policy.as_deref(), orphans) {
            (Some(_), Some(_)) => {
                return Err(invalid_options(
                    "DeleteOptions",
                    "propagationPolicy",
                    FieldErrorKind::Invalid,
                    &format!(
                        "Invalid value: {}: orphanDependents and deletionPropagation cannot be both set",
                        Value::from(policy)
                    ),
                ));
            }
            (Some("Background"), None) | (None, Some(false)) => Some(Propagation::Background),
            (Some("Foreground"), None) => Some(Propagation::Foreground),
            (Some("Orphan"), None) | (None, Some(true)) => Some(Propagation::Orphan),
            (None, None) => None,
            (Some(other), None) => {
                let message = format!(
                    "Unsupported value: {}: supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"",
                    Value::from(other)
                );
                return Err(invalid_options(
                    "DeleteOptions",
                    "propagationPolicy",
                    FieldErrorKind::NotSupported,
                    &message,
                ));
            }
        };
        Ok(Self {
            propagation,
            uid: text(&body["preconditions"]["uid"]),
            resource_version: text(&body["preconditions"]["resourceVersion"]),
            dry_run: dry_run(body_dry_run.chain(query.all("dryRun")), "DeleteOptions")?,
        })
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
        let query = Query::parse(Some("propagationPolicy=Foreground&dryRun=All"));
        let from_query = DeleteOptions::parse(None, &query).unwrap();
        assert_eq!((from_query.propagation, from_query.dry_run), (Some(Propagation::Foreground), true));
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
}
