//! Rule: a crate depends only on the crates that docs/architecture.md draws an arrow to.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;
use serde_json::Value;

/// What each crate may depend on, of the workspace, outside its tests.
const ARROWS: &[(&str, &[&str])] = &[
    ("crds", &[]),
    ("apiserver-store", &[]),
    ("apiserver-store-sqlite", &["apiserver-store"]),
    ("apiserver-store-postgres", &["apiserver-store"]),
    ("apiserver", &["apiserver-store"]),
    ("controller-backend", &[]),
    ("controller-backend-docker", &["controller-backend"]),
    ("controller-backend-libvirt", &["controller-backend"]),
    ("controller-backend-host", &["controller-backend"]),
    ("controller", &["controller-backend", "crds"]),
    ("controller-simulation", &["apiserver", "apiserver-store", "controller", "controller-backend", "crds"]),
    (
        "cloudd",
        &[
            "apiserver",
            "apiserver-store",
            "apiserver-store-postgres",
            "apiserver-store-sqlite",
            "controller",
            "controller-backend",
            "controller-backend-docker",
            "controller-backend-libvirt",
            "controller-backend-host",
            "crds",
        ],
    ),
    ("cloudctl", &["crds"]),
    ("e2e", &["apiserver-store-postgres", "crds"]),
    ("fuzz", &["apiserver", "cloudctl"]),
    ("xtask", &["crds"]),
];

pub(super) fn check(root: &Path) -> anyhow::Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1"])
        .current_dir(root)
        .output()
        .context("run `cargo metadata`")?;
    anyhow::ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout)?;
    let allowed: BTreeMap<&str, &[&str]> = ARROWS.iter().copied().collect();

    let mut findings = Vec::new();
    for package in metadata["packages"].as_array().into_iter().flatten() {
        let name = package["name"].as_str().unwrap_or_default();
        let manifest = Path::new(package["manifest_path"].as_str().unwrap_or_default());
        let folder = manifest.parent().and_then(|p| p.strip_prefix(root).ok()).unwrap_or(manifest);
        if folder.to_string_lossy().replace('/', "-") != name {
            findings.push(format!(
                "{}: the package is called `{name}`; its name is its path with dashes",
                folder.display()
            ));
        }
        let Some(targets) = allowed.get(name) else {
            findings.push(format!("{name}: no arrows are drawn for this crate; add it to xtask/src/tidy/arrows.rs and docs/architecture.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().into_iter().flatten() {
            let target = dependency["name"].as_str().unwrap_or_default();
            if dependency["kind"].is_null() && allowed.contains_key(target) && !targets.contains(&target) {
                findings.push(format!("{name} -> {target}: no such arrow in docs/architecture.md"));
            }
        }
    }
    Ok(findings)
}
