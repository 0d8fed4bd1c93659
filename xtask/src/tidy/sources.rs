//! Rules for Rust files: a header, one job, a name that says it, and plans that are plain functions.

use std::fs;
use std::path::Path;

/// Names that name no job.
const VAGUE: [&str; 7] = ["common", "util", "utils", "helpers", "manager", "base", "misc"];

/// What a plan may not know: time, chance, the network, logs. Matched against code, not comments.
const IMPURE: [&str; 9] =
    ["async ", ".await", "tokio", "tracing", "kube::Client", "Timestamp::now", "SystemTime", "Instant::now", "rand::"];

/// The most lines before the tests.
const LONG: usize = 500;

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for path in super::files(root, "rs")? {
        let shown = path.display();
        let text = fs::read_to_string(root.join(&path))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        // A `tests.rs` is the foot of the file beside it.
        if stem != "tests" && !text.starts_with("//!") {
            findings.push(format!("{shown}: starts with a `//!` header that says what the file decides"));
        }
        let vague = |name: &str| VAGUE.contains(&name);
        if vague(&stem) || path.components().any(|part| vague(&part.as_os_str().to_string_lossy())) {
            findings.push(format!("{shown}: name the job"));
        }
        if stem != "mod" && stem != "lib" && stem != "main" && root.join(path.with_extension("")).is_dir() {
            findings.push(format!("{shown}: a folder is a unit; make it {}/mod.rs", path.with_extension("").display()));
        }
        let before_tests = text.split("#[cfg(test)]").next().unwrap_or_default();
        let lines = before_tests.lines().count();
        if lines > LONG
            && stem != "tests"
            && !path.components().any(|part| part.as_os_str() == "tests")
            && !is_words(&path)
        {
            findings.push(format!("{shown}: {lines} lines before its tests; split it by job (at most {LONG})"));
        }
        if stem == "plan" {
            for (number, line) in before_tests.lines().enumerate() {
                let code = line.split("//").next().unwrap_or_default();
                if let Some(word) = IMPURE.iter().find(|word| code.contains(*word)) {
                    findings.push(format!(
                        "{shown}:{}: a plan is a plain function; `{}` is not for it",
                        number + 1,
                        word.trim()
                    ));
                }
            }
        }
    }
    Ok(findings)
}

/// The kinds' types are one file a kind, however many fields it has.
fn is_words(path: &Path) -> bool {
    path.starts_with("crds/src")
}
