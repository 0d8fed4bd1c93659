//! Decides what the query of a request means: list, watch, write and delete options, with Kubernetes' own refusals.
//!
//! In: the raw query (and, for a deletion, the body). Out: checked options. It never looks at a kind or an object.

mod delete;
mod duration;
mod list;
mod write;

pub(crate) use delete::{DeleteOptions, Propagation};
pub(crate) use duration::timeout;
pub(crate) use list::{ListOptions, Match, revision};
pub(crate) use write::{FieldValidation, MANAGER_MAX_LENGTH, WriteKind, WriteOptions};

use crate::error::{ApiError, FieldError};
use crate::schema::words;

/// The parameters of a request in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// What is asked for.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|(name, _)| name.as_str())
    }

    /// The first value of a parameter, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// The first value of a parameter, even if it is empty.
    fn first(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Makes a watch of it, of one object where a name is given.
    pub(crate) fn make_watch(&mut self, name: &str) {
        self.0.retain(|(key, _)| key != "watch");
        self.0.push(("watch".into(), "true".into()));
        if !name.is_empty() {
            self.0.retain(|(key, _)| key != "fieldSelector");
            self.0.push(("fieldSelector".into(), format!("metadata.name={name}")));
        }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// Whether a parameter is there, whatever it says.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.first(name).is_some()
    }

    /// As upstream reads booleans: absent, `0` and `false` are false, anything else is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or(false)
    }

    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        let value = self.first(name)?;
        Some(value != "0" && !value.eq_ignore_ascii_case("false"))
    }

    /// A whole number; below zero there is none that means anything.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.first(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) => Ok(u64::try_from(number).ok()),
            Err(error) => {
                let quoted = words::quoted(text);
                let why = match error.kind() {
                    std::num::IntErrorKind::PosOverflow | std::num::IntErrorKind::NegOverflow => "value out of range",
                    _ => "invalid syntax",
                };
                Err(ApiError::bad_request(format!("strconv.ParseInt: parsing {quoted}: {why}")))
            }
        }
    }
}

/// Whether `dryRun` is said; its only value is `All`, and another is an error.
fn dry_run(values: &[&str], errors: &mut Vec<FieldError>) -> bool {
    if values.iter().any(|value| *value != "All") {
        errors.push(words::not_supported("dryRun", &values.to_vec().into(), &["All"]));
    }
    !values.is_empty()
}

/// 422 about the options, where something is wrong with them.
fn refuse(options: &str, errors: &[FieldError]) -> Result<(), ApiError> {
    if errors.is_empty() { Ok(()) } else { Err(ApiError::invalid("meta.k8s.io", options, "", errors)) }
}
