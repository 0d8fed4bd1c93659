//! Manifests as people get them right and wrong.

use std::fs;

use tempfile::TempDir;

use super::*;

fn failure(text: &str) -> String {
    parse("web.yaml", text).unwrap_err().to_string()
}

const WEB: &str =
    "apiVersion: thecloud.dev/v1alpha1\nkind: Instance\nmetadata:\n  name: web\nspec:\n  image: busybox\n";

#[test]
fn several_documents_and_lists_are_objects_in_order() {
    let text = format!(
        "{WEB}---\n# nothing\n---\napiVersion: v1\nkind: List\nitems:\n- {{apiVersion: v1, kind: Secret, metadata: {{name: a}}}}\n- {{apiVersion: v1, kind: Secret, metadata: {{name: b, namespace: shop}}}}\n"
    );
    let manifests = parse("web.yaml", &text).unwrap();
    let seen: Vec<_> = manifests
        .iter()
        .map(|manifest| (manifest.kind.as_str(), manifest.name.as_str(), manifest.origin.line))
        .collect();
    assert_eq!(seen, [("Instance", "web", 1), ("Secret", "a", 10), ("Secret", "b", 10)]);
    assert_eq!(manifests[2].namespace.as_deref(), Some("shop"));
}

#[test]
fn json_is_read_too() {
    let text = "{\n\t\"apiVersion\": \"v1\",\n\t\"kind\": \"Secret\",\n\t\"metadata\": {\"name\": \"a\"},\n\t\"n\": [1, 2.5, true, null]\n}\n";
    let manifests = parse("a.json", text).unwrap();
    assert_eq!(manifests[0].object["n"], serde_json::json!([1, 2.5, true, null]));
}

#[test]
fn scalars_mean_what_kubernetes_makes_of_them() {
    let text = format!(
        "{WEB}  yes: yes\n  off: off\n  quoted: \"yes\"\n  octal: 0644\n  version: 1.0\n  date: 2026-01-01\n  none:\n  tilde: ~\n  big: 18446744073709551615\n  text: 10.128.0.0/16\n  size: 10Gi\n"
    );
    let spec = &parse("f", &text).unwrap()[0].object["spec"];
    insta::assert_json_snapshot!(spec, @r#"
    {
      "big": 18446744073709551615,
      "date": "2026-01-01",
      "image": "busybox",
      "none": null,
      "octal": 420,
      "off": false,
      "quoted": "yes",
      "size": "10Gi",
      "text": "10.128.0.0/16",
      "tilde": null,
      "version": 1.0,
      "yes": true
    }
    "#);
}

#[test]
fn mistakes_name_file_document_and_line() {
    let texts = [
        format!("{WEB}---\nkind: Vpc\nmetadata: {{name: x}}\n"),
        format!("{WEB}---\napiVersion: v1\nmetadata: {{name: x}}\n"),
        format!("{WEB}---\napiVersion: v1\nkind: Vpc\n"),
        "apiVersion: v1\nkind: Vpc\nmetadata: {name: 12}\n".to_owned(),
        "apiVersion: v1\nkind: Vpc\nmetadata: {generateName: a-}\n".to_owned(),
        "just text\n".to_owned(),
        format!("{WEB}---\napiVersion: v1\nkind: Vpc\nmetadata:\n  name: x\n name: y\n"),
        format!("{WEB}---\na: [1, 2\n"),
        "apiVersion: v1\nkind: Vpc\nkind: Volume\n".to_owned(),
        "apiVersion: v1\n\tkind: Vpc\n".to_owned(),
        "a: *nowhere\n".to_owned(),
    ];
    let failures: Vec<_> = texts.iter().map(|text| failure(text)).collect();
    insta::assert_snapshot!(failures.join("\n"));
}

#[test]
fn alias_bomb_is_refused() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..9 {
        let before = format!("*a{}, ", level - 1).repeat(10);
        bomb.push_str(&format!("a{level}: &a{level} [{}]\n", before.trim_end_matches(", ")));
    }
    let text = failure(&bomb);
    assert!(text.starts_with("web.yaml, document 1, line "), "{text}");
    assert!(text.ends_with("its aliases repeat too much"), "{text}");
}

#[test]
fn long_text_repeated_by_aliases_is_refused() {
    let text = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(900).trim_end_matches(", "));
    let manifests = failure(&text);
    assert!(manifests.ends_with("its aliases repeat too much"), "{manifests}");
}

#[test]
fn anchors_that_people_use_are_read() {
    let shared = "a: &shared [p, q, r]\n".to_owned();
    let uses: String = (0..200).map(|number| format!("b{number}: *shared\n")).collect();
    let text = format!("{shared}{uses}apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: c}}\n");
    let object = &parse("f", &text).unwrap()[0].object;
    assert_eq!(object["b199"], serde_json::json!(["p", "q", "r"]));
}

#[test]
fn deep_nesting_is_refused() {
    let deep = "[".repeat(10_000);
    assert!(failure(&deep).starts_with("web.yaml, document 1"), "{}", failure(&deep));
}

#[test]
fn document_of_four_mebibytes_is_refused_with_its_size() {
    let text = format!("{WEB}  note: {}\n", "x".repeat(4 << 20));
    assert_eq!(
        failure(&text),
        "web.yaml, document 1 (line 1): the document has 4.0 MiB; the server takes at most 3 MiB"
    );
}

#[test]
fn folder_is_read_in_the_order_of_names_and_deeper_only_when_asked() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, object: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("apiVersion: v1\nkind: Secret\nmetadata: {{name: {object}}}\n")).unwrap();
    };
    write("b.yml", "b");
    write("a.yaml", "a");
    write("readme.md", "not-read");
    write("deep/c.json", "c");
    let names = |recursive| {
        let manifests = read(&[folder.path().to_path_buf()], recursive).unwrap();
        manifests.into_iter().map(|manifest| manifest.name).collect::<Vec<_>>()
    };
    assert_eq!(names(false), ["a", "b"]);
    assert_eq!(names(true), ["a", "b", "c"]);
}

#[test]
fn folder_without_manifests_says_so() {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("deep")).unwrap();
    let error = read(&[folder.path().to_path_buf()], false).unwrap_err().to_string();
    assert!(error.ends_with("holds no .yaml, .yml or .json file; -R reads the folders in it, too"), "{error}");
}

#[test]
fn missing_file_is_not_found_and_an_address_is_a_usage_error() {
    let error = read(&[PathBuf::from("/nowhere/at-all.yaml")], false).unwrap_err();
    assert_eq!(error.exit(), Exit::NotFound);
    assert!(error.to_string().starts_with("/nowhere/at-all.yaml cannot be read"), "{error}");
    let error = read(&[PathBuf::from("https://example.com/x.yaml")], false).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn file_without_objects_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("empty.yaml");
    fs::write(&path, "# nothing here\n---\n").unwrap();
    assert!(read(&[path], false).unwrap_err().to_string().ends_with("empty.yaml holds no object"));
}

#[test]
fn file_that_is_not_text_says_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("image.yaml");
    fs::write(&path, [0xff, 0xfe, 0x00]).unwrap();
    assert!(read(&[path], false).unwrap_err().to_string().contains("cannot be read: invalid utf-8"));
}
