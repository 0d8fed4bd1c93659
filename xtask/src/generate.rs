//! Decides the content of the files that are made from the code: `manifests/crds/`,
//! `manifests/rbac/` and `docs/reference/`.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use serde_json::Value;

/// Every generated file: its path in the checkout, and its content.
fn files() -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    for crd in crds::all() {
        let name = crd.metadata.name.clone().context("a CustomResourceDefinition has a name")?;
        let value = serde_json::to_value(&crd)?;
        let manifest = format!("# Made by `just bless` from crds/; don't edit.\n{}", serde_saphyr::to_string(&value)?);
        files.push((PathBuf::from("manifests/crds").join(format!("{name}.yaml")), manifest));
        let page = format!("{}.md", crd.spec.names.singular.as_deref().unwrap_or(&crd.spec.names.plural));
        files.push((PathBuf::from("docs/reference").join(page), reference(&value)));
    }
    let mut roles = "# Made by `just bless` from crds/; don't edit.\n".to_owned();
    for object in crds::access::shipped() {
        let _ = write!(roles, "---\n{}", serde_saphyr::to_string(&object)?);
    }
    files.push(("manifests/rbac/shipped.yaml".into(), roles));
    Ok(files)
}

/// Writes every generated file.
pub(crate) fn write(root: &Path) -> anyhow::Result<()> {
    for (path, content) in files()? {
        let path = root.join(path);
        fs::create_dir_all(path.parent().context("a file has a folder")?)?;
        fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}

/// What is not as it would be generated now.
pub(crate) fn stale(root: &Path) -> anyhow::Result<Vec<String>> {
    Ok(files()?
        .into_iter()
        .filter(|(path, content)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(content))
        .map(|(path, _)| format!("{}: out of date; run `just bless`", path.display()))
        .collect())
}

/// The page of a kind: names, columns, and a table of every field.
fn reference(crd: &Value) -> String {
    let names = &crd["spec"]["names"];
    let version = &crd["spec"]["versions"][0];
    let schema = &version["schema"]["openAPIV3Schema"];
    let kind = names["kind"].as_str().unwrap_or_default();
    let mut page = format!("<!-- Made by `just bless` from crds/; don't edit. -->\n# {kind}\n\n");
    let _ = writeln!(page, "{}\n", schema["description"].as_str().unwrap_or_default());
    let short: Vec<&str> = names["shortNames"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let scope = if crd["spec"]["scope"] == "Namespaced" { "in a namespace" } else { "for the whole cloud" };
    let _ = writeln!(
        page,
        "`apiVersion: {}/{}`, {scope}; `cloudctl get {}`{}.\n",
        crd["spec"]["group"].as_str().unwrap_or_default(),
        version["name"].as_str().unwrap_or_default(),
        names["plural"].as_str().unwrap_or_default(),
        if short.is_empty() { String::new() } else { format!(", short `{}`", short.join("`, `")) },
    );
    for part in ["spec", "status"] {
        let fields = &schema["properties"][part];
        if fields.is_object() {
            let _ = writeln!(page, "## {part}\n\n| field | type | meaning |\n|---|---|---|");
            rows(&mut page, part, fields);
            page.push('\n');
        }
    }
    page
}

/// One row a field, depth first.
fn rows(page: &mut String, path: &str, schema: &Value) {
    let required: Vec<&str> = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let mut meaning = field["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        if let Some(values) = field["enum"].as_array() {
            let values: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
            let _ = write!(meaning, " One of `{}`.", values.join("`, `"));
        }
        if let Some(default) = field.get("default") {
            let _ = write!(meaning, " Default `{default}`.");
        }
        if required.contains(&name.as_str()) {
            meaning.push_str(" Required.");
        }
        let _ = writeln!(page, "| `{path}` | {} | {meaning} |", type_of(field));
        // The fields of a condition are Kubernetes' own.
        if name != "conditions" {
            rows(page, &path, field);
            rows(page, &format!("{path}[]"), &field["items"]);
        }
    }
}

fn type_of(field: &Value) -> &str {
    if field["x-kubernetes-int-or-string"] == true { "quantity" } else { field["type"].as_str().unwrap_or("any") }
}
