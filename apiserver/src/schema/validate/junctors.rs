//! Decides whether `allOf`, `anyOf`, `oneOf` and `not` hold.

use serde_json::{Value, json};

use super::{Checks, Node, Path, Validator, words};
use crate::error::FieldError;

impl Validator {
    pub(super) fn junctors(&mut self, checks: &Checks, value: &Value, path: &Path<'_>) {
        if !checks.any_of.is_empty() {
            let results = results(&checks.any_of, value, path);
            if !results.iter().any(Vec::is_empty) {
                self.junctor(path, "must validate at least one schema (anyOf)");
                self.errors.extend(closest(results));
            }
        }
        if !checks.one_of.is_empty() {
            let results = results(&checks.one_of, value, path);
            match results.iter().filter(|errors| errors.is_empty()).count() {
                1 => {}
                0 => {
                    self.junctor(path, "must validate one and only one schema (oneOf). Found none valid");
                    self.errors.extend(closest(results));
                }
                valid => {
                    let detail =
                        format!("must validate one and only one schema (oneOf). Found {valid} valid alternatives");
                    self.junctor(path, &detail);
                }
            }
        }
        if !checks.all_of.is_empty() {
            let results = results(&checks.all_of, value, path);
            let valid = results.iter().filter(|errors| errors.is_empty()).count();
            if valid < results.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                self.junctor(path, &format!("must validate all the schemas (allOf){none}"));
                self.errors.extend(results.into_iter().flatten());
            }
        }
        if let Some(not) = checks.not.as_deref()
            && results(std::slice::from_ref(not), value, path).iter().all(Vec::is_empty)
        {
            self.junctor(path, "must not validate the schema (not)");
        }
    }

    /// Upstream has no path for these errors, so the message names it.
    fn junctor(&mut self, path: &Path<'_>, what: &str) {
        let detail = format!("{} {what}", words::quoted(&path.in_message()));
        self.errors.push(words::invalid(Path::Root, &json!(""), &detail));
    }
}

fn results(nodes: &[Node], value: &Value, path: &Path<'_>) -> Vec<Vec<FieldError>> {
    let validate = |node| {
        let mut validator = Validator { errors: Vec::new() };
        validator.value(node, value, None, path);
        validator.errors
    };
    nodes.iter().map(validate).collect()
}

/// The alternative that came closest: what it lacks is what the author most likely wants to hear.
fn closest(results: Vec<Vec<FieldError>>) -> Vec<FieldError> {
    results.into_iter().min_by_key(Vec::len).unwrap_or_default()
}
