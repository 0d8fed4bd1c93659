//! What must hold of bytes that anybody may send, whatever they are: a function a fuzz target, which panics where it doesn't.
//!
//! The targets in `fuzz/` call them with what libFuzzer makes up, the tests here with what is kept in `fuzz/corpus/`. Nothing
//! of it is part of an ordinary build.

mod bodies;
mod patches;
mod requests;
mod seals;
mod selectors;
mod tokens;

use serde_json::Value;

pub use self::bodies::body;
pub use self::patches::{apply, json_patch, merge_patch};
pub use self::requests::request;
pub use self::seals::envelope;
pub use self::selectors::{field_selector, label_selector};
pub use self::tokens::token;

/// The text before the first line break, and what follows it.
fn first_line(data: &[u8]) -> Option<(&str, &[u8])> {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let rest = data.get(end + 1..).unwrap_or_default();
    Some((std::str::from_utf8(&data[..end]).ok()?, rest))
}

/// How many containers lie inside each other.
fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A target: its name, and what must hold of its input.
    type Target = (&'static str, fn(&[u8]));

    #[test]
    fn what_is_kept_in_the_corpus_holds() {
        let targets: [Target; 9] = [
            ("request", request),
            ("body", body),
            ("json_patch", json_patch),
            ("merge_patch", merge_patch),
            ("apply", apply),
            ("label_selector", label_selector),
            ("field_selector", field_selector),
            ("token", token),
            ("envelope", envelope),
        ];
        for (name, holds) in targets {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(name);
            let files: Vec<_> = std::fs::read_dir(&folder).unwrap().collect::<Result<_, _>>().unwrap();
            assert!(!files.is_empty(), "{name} has no corpus");
            for file in files {
                println!("{}", file.path().display());
                holds(&std::fs::read(file.path()).unwrap());
            }
        }
    }
}
