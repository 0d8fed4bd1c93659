//! Decides what the query of a request means: list, watch, write and delete options, with Kubernetes' own refusals.
//!
//! In: the raw query (and, for a deletion, the body). Out: checked options. It never looks at a kind or an object.

mod delete;
mod list;
mod write;

pub(crate) use delete::{DeleteOptions, Propagation};
pub(crate) use list::{ListOptions, Match, revision};
pub(crate) use write::{FieldValidation, MANAGER_MAX_LENGTH, WriteOptions};

use crate::error::{ApiError, FieldError, FieldErrorKind};

/// The parameters of a request in their order.
#[derive(Debug, Clone, Default)]
pub(crate) struct Query(Vec<(String, String)>);

impl Query {
    pub(crate) fn parse(raw: Option<&str>) -> Self {
        Self(url::form_urlencoded::parse(raw.unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// The first value of a parameter, unless it is empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
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

    /// As upstream reads booleans: absent, `0` and `false` are false, anything else is true.
    pub(crate) fn flag(&self, name: &str) -> bool {
        self.optional_flag(name).unwrap_or(false)
    }

    pub(crate) fn optional_flag(&self, name: &str) -> Option<bool> {
        let (_, value) = self.0.iter().find(|(key, _)| key == name)?;
        Some(!matches!(value.as_str(), "0" | "false" | "False" | "FALSE" | "f" | "F"))
    }

    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, ApiError> {
        let Some(text) = self.text(name) else { return Ok(None) };
        match text.parse::<i64>() {
            Ok(number) => Ok(u64::try_from(number).ok()),
            Err(_) => Err(ApiError::bad_request(format!(
                "strconv.ParseInt: parsing {}: invalid syntax",
                serde_json::Value::from(text)
            ))),
        }
    }
}

/// The only value of `dryRun` is `All`; any other is refused in the name of the options' kind.
pub(crate) fn dry_run<'a>(values: impl Iterator<Item = &'a str>, options: &str) -> Result<bool, ApiError> {
    let values: Vec<&str> = values.collect();
    if values.iter().all(|value| *value == "All") {
        return Ok(!values.is_empty());
    }
    let listed = serde_json::Value::from(values);
    Err(invalid_options(
        options,
        "dryRun",
        FieldErrorKind::NotSupported,
        &format!("Unsupported value: {listed}: supported values: \"All\""),
    ))
}

/// 422 about one of the options.
pub(crate) fn invalid_options(options: &str, field: &str, kind: FieldErrorKind, message: &str) -> ApiError {
    let error = FieldError { field: field.into(), kind, message: message.into() };
    ApiError::invalid("meta.k8s.io", options, "", &[error])
}
