//! How a create, update or patch is meant.

use super::{Query, dry_run, refuse};
use crate::error::ApiError;
use crate::policy::Requester;
use crate::schema::words;
use crate::warnings::Warnings;

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

/// Which write the options are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriteKind {
    /// `POST`
    Create,
    /// `PUT`
    Update,
    /// `PATCH`, but for an apply.
    Patch,
    /// `PATCH` by which somebody owns fields.
    Apply,
}

impl WriteKind {
    fn options(self) -> &'static str {
        match self {
            Self::Create => "CreateOptions",
            Self::Update => "UpdateOptions",
            Self::Patch | Self::Apply => "PatchOptions",
        }
    }
}

/// Checked options of a write.
#[derive(Debug, Clone, Default)]
pub(crate) struct WriteOptions {
    pub(crate) dry_run: bool,
    pub(crate) validation: FieldValidation,
    /// The name under which the client owns what it writes.
    pub(crate) manager: Option<String>,
    /// Whether an apply takes fields of others.
    pub(crate) force: bool,
    /// Where the client is told what is doubtful.
    pub(crate) warnings: Warnings,
    /// Who writes, and so is judged by policies; nobody where the server itself does.
    pub(crate) by: Option<Requester>,
}

/// The longest name of a field manager, in bytes.
pub(crate) const MANAGER_MAX_LENGTH: usize = 128;

impl WriteOptions {
    /// Reads and checks them.
    pub(crate) fn parse(query: &Query, kind: WriteKind) -> Result<Self, ApiError> {
        let mut errors = Vec::new();
        let manager = query.text("fieldManager");
        let force = query.optional_flag("force");
        match kind {
            WriteKind::Apply if manager.is_none() => {
                errors.push(words::required("fieldManager", "is required for apply patch"));
            }
            WriteKind::Patch if force.is_some() => {
                errors.push(words::forbidden("force", "may not be specified for non-apply patch"));
            }
            _ => {}
        }
        let name = manager.unwrap_or_default();
        if name.len() > MANAGER_MAX_LENGTH {
            errors.push(words::too_long("fieldManager", MANAGER_MAX_LENGTH as u64));
        }
        for (place, letter) in name.char_indices().filter(|(_, letter)| !is_printable(*letter)) {
            let detail = format!("invalid character U+{:04X} (at position {place})", u32::from(letter));
            errors.push(words::invalid("fieldManager", &name.into(), &detail));
        }
        let dry: Vec<&str> = query.all("dryRun").collect();
        let dry_run = dry_run(&dry, &mut errors);
        let validation = match query.text("fieldValidation") {
            Some("Strict") => FieldValidation::Strict,
            None | Some("Warn") => FieldValidation::Warn,
            Some("Ignore") => FieldValidation::Ignore,
            Some(other) => {
                let known = ["", "Ignore", "Strict", "Warn"];
                errors.push(words::not_supported("fieldValidation", &other.into(), &known));
                FieldValidation::Warn
            }
        };
        refuse(kind.options(), &errors)?;
        let (manager, force) = (manager.map(str::to_owned), force.unwrap_or(false));
        Ok(Self { dry_run, validation, manager, force, ..Self::default() })
    }
}

/// Letters, marks, numbers, punctuation, symbols and the plain space: what shows.
fn is_printable(letter: char) -> bool {
    letter == ' ' || !(letter.is_control() || letter.is_whitespace())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn managers_are_short_and_printable() {
        let parse = |query: &str| WriteOptions::parse(&Query::parse(Some(query)), WriteKind::Patch);
        assert_eq!(parse("fieldManager=me").unwrap().manager.as_deref(), Some("me"));
        assert!(parse(&format!("fieldManager={}", "m".repeat(129))).is_err());
        assert_eq!(
            parse("fieldManager=a%07").unwrap_err().message,
            "PatchOptions.meta.k8s.io \"\" is invalid: fieldManager: Invalid value: \"a\\a\": invalid character U+0007 \
             (at position 1)"
        );
    }

    #[test]
    fn an_apply_says_whose_it_is_and_only_an_apply_takes_by_force() {
        let parse = |query, kind| WriteOptions::parse(&Query::parse(Some(query)), kind);
        assert!(parse("fieldManager=me&force=true", WriteKind::Apply).unwrap().force);
        let error = parse("", WriteKind::Apply).unwrap_err();
        assert!(error.message.ends_with("fieldManager: Required value: is required for apply patch"));
        let error = parse("force=false", WriteKind::Patch).unwrap_err();
        assert!(error.message.ends_with("force: Forbidden: may not be specified for non-apply patch"));
    }

    #[test]
    fn dry_run_takes_all_and_nothing_else() {
        let parse = |query| WriteOptions::parse(&Query::parse(Some(query)), WriteKind::Create);
        assert!(parse("dryRun=All").unwrap().dry_run);
        assert!(!parse("").unwrap().dry_run);
        assert_eq!(
            parse("dryRun=Some").unwrap_err().message,
            "CreateOptions.meta.k8s.io \"\" is invalid: dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""
        );
        assert_eq!(parse("fieldValidation=Loose").unwrap_err().reason.code(), 422);
        let both = parse("fieldValidation=Loose&dryRun=Some").unwrap_err();
        assert_eq!(both.details["causes"].as_array().unwrap().len(), 2);
    }
}
