//! The house rules as a test. Each rule is a function from the checkout to findings; it changes nothing.

mod arrows;
mod kinds;
mod sources;

use std::fs;
use std::path::{Path, PathBuf};

/// Every finding of every rule, each a line that names the place, the rule and the way out.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = arrows::check(root)?;
    findings.extend(kinds::check(root)?);
    findings.extend(sources::check(root)?);
    Ok(findings)
}

/// All files below a folder with this extension, sorted, paths relative to `root`. Build output is left out.
fn files(root: &Path, extension: &str) -> anyhow::Result<Vec<PathBuf>> {
    fn walk(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    walk(&path, extension, found)?;
                }
            } else if path.extension().is_some_and(|e| e == extension) {
                found.push(path);
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    walk(root, extension, &mut found)?;
    found.sort();
    Ok(found.into_iter().filter_map(|path| path.strip_prefix(root).map(Path::to_owned).ok()).collect())
}
