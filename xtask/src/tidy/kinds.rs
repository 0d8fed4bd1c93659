//! Rule: a kind has the same `<area>/<kind>` path everywhere, and an example.

use std::fs;
use std::path::Path;

/// The four steps of a controller, each a file, and their driver.
const STEPS: [&str; 5] = ["mod.rs", "observe.rs", "plan.rs", "apply.rs", "report.rs"];

/// Kinds that share the controller of another.
const SHARED: [(&str, &str); 1] = [("cluster_image", "image")];

/// Kinds whose status the server itself keeps.
const KEPT_BY_THE_SERVER: [&str; 1] = ["api_key"];

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut findings = Vec::new();
    for area in fs::read_dir(root.join("crds/src"))? {
        let area = area?.path();
        if !area.is_dir() {
            continue;
        }
        let area_name = area.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for file in fs::read_dir(&area)? {
            let file = file?.path();
            let kind = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if kind == "mod" {
                continue;
            }
            let source = fs::read_to_string(if file.is_dir() { file.join("mod.rs") } else { file })?;
            let example = format!("examples/{area_name}/{kind}.yaml");
            if !root.join(&example).is_file() {
                findings.push(format!("{example}: the kind has no example"));
            }
            // A kind without a status describes something and has nothing to reconcile.
            if source.contains("status = \"") && !KEPT_BY_THE_SERVER.contains(&kind.as_str()) {
                let shared = SHARED.iter().find(|(one, _)| *one == kind);
                let folder = shared.map_or(kind.as_str(), |(_, other)| other);
                for step in STEPS {
                    let path = format!("controller/src/{area_name}/{folder}/{step}");
                    if !root.join(&path).is_file() {
                        findings.push(format!("{path}: a controller's steps are a file each"));
                    }
                }
            }
        }
    }
    Ok(findings)
}
