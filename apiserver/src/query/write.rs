//! How a create, update or patch is meant.

use super::{Query, dry_run, invalid_options};
use crate::error::{ApiError, FieldErrorKind};

/// What becomes of unknown and duplicate fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// The request fails.
    Strict,
    /// They are dropped, with a warning each.
    #[default]
    Warn,
    /// They are dropped.
    Ignore,
}

/// Checked options of a write.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) validation: FieldValidation,
    /// The name under which the client owns what it writes.
    pub(crate) manager: Option<String>,
    /// Whether an apply takes fields of others.
    pub(crate) force: Option<bool>,
}

/// The longest name of a field manager, in bytes.
pub(crate) const MANAGER_MAX_LENGTH: usize = 128;

impl WriteOptions {
    /// Reads them; `kind` is `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    pub(crate) fn parse(query: &Query, kind: &str) -> Result<Self, ApiError> {
        let validation = match query.text("fieldValidation") {
            Some("Strict") => FieldValidation::Strict,
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some(other) => {
                let message = format!(
                    "Unsupported value: {}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
                    serde_json::Value::from(other)
                );
                return Err(invalid_options(kind, "fieldValidation", FieldErrorKind::NotSupported, &message));
            }
        };
        let manager = query.text("fieldManager");
        if manager.is_some_and(|manager| manager.len() > MANAGER_MAX_LENGTH) {
            let message = format!("Too long: may not be more than {MANAGER_MAX_LENGTH} bytes");
            return Err(invalid_options(kind, "fieldManager", FieldErrorKind::TooLong, &message));
        }
        if let Some(manager) = manager.filter(|manager| manager.chars().any(char::is_control)) {
            let message = format!(
                "Invalid value: {}: should only contain printable characters",
                serde_json::Value::from(manager)
            );
            return Err(invalid_options(kind, "fieldManager", FieldErrorKind::Invalid, &message));
        }
        Ok(Self {
            dry_run: dry_run(query.all("dryRun"), kind)?,
            validation,
            manager: manager.map(str::to_owned),
            force: query.optional_flag("force"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_are_short_and_printable() {
        let parse = |query: &str| WriteOptions::parse(&Query::parse(Some(query)), "PatchOptions");
        assert_eq!(parse("fieldManager=me").unwrap().manager.as_deref(), Some("me"));
        assert!(parse(&format!("fieldManager={}", "m".repeat(129))).is_err());
        assert_eq!(
            parse("fieldManager=a%07").unwrap_err().message,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\u0007\": should only contain \
             printable characters"
        );
    }

    #[test]
    fn dry_run_takes_all_and_nothing_else() {
        let parse = |query| WriteOptions::parse(&Query::parse(Some(query)), "CreateOptions");
        assert!(parse("dryRun=All").unwrap().dry_run);
        assert!(!parse("").unwrap().dry_run);
        assert_eq!(
            parse("dryRun=Some").unwrap_err().message,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""
        );
        assert_eq!(parse("fieldValidation=Loose").unwrap_err().reason.code(), 422);
    }
}
