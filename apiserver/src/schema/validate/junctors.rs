//! Decides whether `allOf`, `anyOf`, `oneOf` and `not` hold.

use serde_json::{Value, json};

use super::{Checks, Node, Path, Validator, words};
use crate::error::FieldError;

impl Validator {
    /// How much fits of the alternatives whose word counts.
    pub(super) fn junctors(&mut self, checks: &Checks, value: &Value, path: &Path<'_>) -> usize {
        let mut matches = 0;
        if !checks.any_of.is_empty() {
            let results = results(&checks.any_of, value, path);
            let chosen = match results.iter().position(Outcome::is_valid) {
                Some(first) => results.into_iter().nth(first),
                None => {
                    self.junctor(path, "must validate at least one schema (anyOf)");
                    closest(results)
                }
            };
            matches += self.keep(chosen);
        }
        if !checks.one_of.is_empty() {
            let results = results(&checks.one_of, value, path);
            match results.iter().filter(|result| result.is_valid()).count() {
                1 => matches += self.keep(results.into_iter().find(Outcome::is_valid)),
                0 => {
                    self.junctor(path, "must validate one and only one schema (oneOf). Found none valid");
                    matches += self.keep(closest(results));
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
            let valid = results.iter().filter(|result| result.is_valid()).count();
            if valid < results.len() {
                let none = if valid == 0 { ". None validated" } else { "" };
                self.junctor(path, &format!("must validate all the schemas (allOf){none}"));
            }
            for result in results {
                matches += self.keep(Some(result));
            }
        }
        if let Some(not) = checks.not.as_deref()
            && results(std::slice::from_ref(not), value, path).iter().all(Outcome::is_valid)
        {
            self.junctor(path, "must not validate the schema (not)");
        }
        matches
    }

    /// Takes over what an alternative found. What two of them say is told once.
    fn keep(&mut self, outcome: Option<Outcome>) -> usize {
        let Some(Outcome { errors, matches }) = outcome else { return 0 };
        for error in errors {
            if !self.errors.contains(&error) {
                self.errors.push(error);
            }
        }
        matches
    }

    /// Upstream has no path for these errors, so the message names it.
    fn junctor(&mut self, path: &Path<'_>, what: &str) {
        let detail = format!("{} {what}", words::quoted(&path.in_message()));
        self.errors.push(words::invalid(Path::Root, &json!(""), &detail));
    }
}

/// What an alternative says of a value.
struct Outcome {
    errors: Vec<FieldError>,
    matches: usize,
}

impl Outcome {
    fn is_valid(&self) -> bool {
        self.errors.is_empty()
    }
}

fn results(nodes: &[Node], value: &Value, path: &Path<'_>) -> Vec<Outcome> {
    let validate = |node| {
        let mut validator = Validator::default();
        let matches = validator.value(node, value, None, path);
        Outcome { errors: validator.errors, matches }
    };
    nodes.iter().map(validate).collect()
}

/// The alternative that came closest, the first of several: what it lacks is what the author most likely wants to hear.
fn closest(results: Vec<Outcome>) -> Option<Outcome> {
    results.into_iter().reduce(|best, next| if next.matches > best.matches { next } else { best })
}
