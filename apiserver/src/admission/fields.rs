//! Decides what becomes of fields that the schema does not know and of keys given twice.

use serde_json::Value;

use crate::error::ApiError;
use crate::query::FieldValidation;
use crate::schema::decode;
use crate::schema::words;
use crate::verbs::served::Served;

/// What a strict reader finds in an object.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings(Vec<String>);

/// Drops what the schema does not know, and tells what that was. `body` is where it came from, as far as it is JSON.
pub(crate) fn prune(served: &Served, value: &mut Value, duplicates: &[String], body: &[u8]) -> Findings {
    let unknown = served.version().schema.prune(value);
    let mut found: Vec<(&'static str, String)> = duplicates.iter().map(|path| ("duplicate", path.clone())).collect();
    found.extend(unknown.into_iter().map(|path| ("unknown", path)));
    // Upstream reads its own kinds field by field, and other kinds first and compares then.
    if found.len() > 1 && served.kind.is_built_in() {
        let order = decode::places(body, found.iter().map(|(_, path)| path.as_str()));
        found.sort_by_key(|(_, path)| order.get(path).copied().unwrap_or(usize::MAX));
    }
    Findings(found.into_iter().map(|(what, path)| format!("{what} field \"{path}\"")).collect())
}

impl Findings {
    /// Puts what was found in the patch itself in front.
    pub(crate) fn precede(&mut self, found: &[String]) {
        self.0.splice(..0, found.iter().cloned());
    }

    /// The sentence of a strict refusal.
    fn sentence(&self) -> String {
        format!("strict decoding error: {}", self.0.join(", "))
    }

    /// The warnings that the client asked for, or a refusal where it is strict.
    ///
    /// # Errors
    /// 400, as for what can't be decoded.
    pub(crate) fn judge(self, served: &Served, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
        match validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Strict if !self.0.is_empty() => {
                let kind = &served.kind.kind;
                Err(ApiError::bad_request(format!(
                    "{kind} in version \"{}\" cannot be handled as a {kind}: {}",
                    served.version().name,
                    self.sentence()
                )))
            }
            FieldValidation::Warn | FieldValidation::Strict => Ok(self.0),
        }
    }

    /// The same of what a patch made.
    ///
    /// # Errors
    /// 422 about the patch.
    pub(crate) fn judge_patch(self, patched: &str, validation: FieldValidation) -> Result<Vec<String>, ApiError> {
        match validation {
            FieldValidation::Ignore => Ok(Vec::new()),
            FieldValidation::Strict if !self.0.is_empty() => Err(unfit(patched, &self.sentence())),
            FieldValidation::Warn | FieldValidation::Strict => Ok(self.0),
        }
    }
}

/// What a refused patch is shown by: a strategic one itself, of others what they made.
pub(crate) fn shown(made: &Value, patch: Option<&Value>) -> String {
    patch.map_or_else(|| made.to_string(), words::go_value)
}

/// 422 for a patch after which the object is none of its kind. `patched` shows what the patch made, or the patch.
pub(crate) fn unfit(patched: &str, why: &str) -> ApiError {
    ApiError::invalid("", "", "", &[words::invalid("patch", &patched.into(), why)])
}
