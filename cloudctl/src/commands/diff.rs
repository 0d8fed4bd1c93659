//! `diff`: shows what `apply` would change, by asking the server to try it without keeping it. Ends with 1 when there is a
//! difference. Values of a Secret are never shown.

use serde_json::{Value, json};
use similar::{ChangeTag, TextDiff};

use super::apply::{Failures, wanted};
use super::targets::{self, Named};
use crate::api::{ApiError, Catalog, FIELD_MANAGER, Query, Session};
use crate::args::Global;
use crate::args::manifests::DiffArgs;
use crate::connect;
use crate::error::{Error, Exit};
use crate::manifests::Manifest;
use crate::merge;
use crate::output::{Colour, Paint, Screen, yaml};

/// Lines around a change.
const CONTEXT: usize = 3;

/// Fields of an Instance that Docker changes without a new container.
const IN_PLACE: [&str; 8] = [
    "resources",
    "instanceType",
    "powerState",
    "restartPolicy",
    "healthCheck",
    "terminationGracePeriodSeconds",
    "deletionProtection",
    "host",
];

/// Shows the differences.
pub(super) async fn run(args: &DiffArgs, global: &Global, screen: &Screen) -> Result<(), Error> {
    let manifests = targets::of_files(&args.filenames, args.recursive, global.namespace.as_deref())?;
    let session = connect::connect(global, screen).await?;
    let catalog = Catalog::fetch(&session).await?;
    let mut failures = Failures::new(screen);
    let mut differs = false;
    for manifest in &manifests {
        let Some(named) = targets::of_manifest(manifest, &catalog, &session) else {
            if defined_in(&manifests, manifest) {
                let name = format!("{}/{}", manifest.kind.to_lowercase(), manifest.name);
                screen.text(&difference(&name, None, &manifest.object, screen.paint()))?;
                differs = true;
            } else {
                failures.add(manifest, targets::no_such_kind(manifest));
            }
            continue;
        };
        match try_out(&session, &named, &wanted(manifest, &named)).await {
            Ok(None) => {}
            Ok(Some((live, merged))) => {
                let text = difference(&named.full(), live.as_ref(), &merged, screen.paint());
                differs |= !text.is_empty();
                screen.text(&text)?;
            }
            Err(error) => failures.add(manifest, Error::Api(error)),
        }
    }
    failures.end()?;
    if differs { Err(Error::Silent(Exit::Failed)) } else { Ok(()) }
}

/// Whether the definition of a manifest's kind is among the manifests, so that `apply` makes it first.
fn defined_in(manifests: &[Manifest], manifest: &Manifest) -> bool {
    let group = manifest.api_version.split_once('/').map_or("", |(group, _)| group);
    manifests.iter().any(|other| {
        let spec = &other.object["spec"];
        other.kind == "CustomResourceDefinition" && spec["group"] == group && spec["names"]["kind"] == manifest.kind
    })
}

/// The object as it is and as it would be; `None` when nothing would be sent.
async fn try_out(session: &Session, named: &Named, wanted: &Value) -> Result<Option<(Option<Value>, Value)>, ApiError> {
    let query =
        Query::new().with("fieldManager", FIELD_MANAGER).with("fieldValidation", "Strict").with("dryRun", "All");
    let live = match session.get(&named.path()).await {
        Ok(live) => live,
        Err(error) if error.is_not_found() => {
            let path = named.resource.collection(Some(&named.namespace));
            return match session.post(&query.on(&path), &merge::without_nulls(wanted)).await {
                Ok(created) => Ok(Some((None, created))),
                // Its namespace may be in the same files, and not there yet.
                Err(error) if error.is_not_found() => Ok(Some((None, wanted.clone()))),
                Err(error) => Err(error),
            };
        }
        Err(error) => return Err(error),
    };
    let patch = merge::three_way(merge::recorded(&live).as_ref(), wanted, &live);
    if patch == json!({}) {
        return Ok(None);
    }
    let merged = session.merge_patch(&query.on(&named.path()), &patch).await?;
    Ok(Some((Some(live), merged)))
}

/// The difference as text; empty when only bookkeeping differs.
fn difference(name: &str, live: Option<&Value>, merged: &Value, paint: Paint) -> String {
    let mut before = live.cloned().unwrap_or(Value::Null);
    let mut after = merged.clone();
    mask(&mut before, &mut after);
    let before_text = if before.is_null() { String::new() } else { yaml::yaml(&tidied(&before)) };
    let after_text = yaml::yaml(&tidied(&after));
    if before_text == after_text {
        return String::new();
    }
    let mut text = String::new();
    let mut line = |colour: Option<Colour>, words: &str| {
        text.push_str(&colour.map_or_else(|| words.to_owned(), |colour| paint.colour(colour, words)));
        text.push('\n');
    };
    line(Some(Colour::Bold), &format!("--- {name} (live)"));
    line(Some(Colour::Bold), &format!("+++ {name} (applied)"));
    let diff = TextDiff::from_lines(&before_text, &after_text);
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        line(Some(Colour::Cyan), hunk.header().to_string().trim_end());
        for change in hunk.iter_changes() {
            let (sign, colour) = match change.tag() {
                ChangeTag::Delete => ('-', Some(Colour::Red)),
                ChangeTag::Insert => ('+', Some(Colour::Green)),
                ChangeTag::Equal => (' ', None),
            };
            line(colour, &format!("{sign}{}", change.value().trim_end_matches('\n')));
        }
    }
    if let Some(note) = consequence(live, merged) {
        line(Some(Colour::Yellow), &format!("# {note}"));
    }
    text
}

/// What changing an Instance means for its container.
fn consequence(live: Option<&Value>, merged: &Value) -> Option<String> {
    let live = live?;
    if merged["kind"] != "Instance" || !merged["apiVersion"].as_str()?.starts_with("thecloud.dev/") {
        return None;
    }
    let (before, after) = (live["spec"].as_object()?, merged["spec"].as_object()?);
    let mut changed: Vec<&str> = before.keys().chain(after.keys()).map(String::as_str).collect();
    changed.sort_unstable();
    changed.dedup();
    changed.retain(|key| before.get(*key) != after.get(*key));
    let replacing: Vec<_> =
        changed.iter().copied().filter(|key| replaces(key, before.get(*key), after.get(*key))).collect();
    if !replacing.is_empty() {
        return Some(format!(
            "replaces the container ({}); its name, address and Volumes are kept",
            replacing.join(", ")
        ));
    }
    (!changed.is_empty()).then(|| format!("applies in place ({})", changed.join(", ")))
}

/// Whether a changed field needs a new container.
fn replaces(key: &str, before: Option<&Value>, after: Option<&Value>) -> bool {
    match key {
        // Inside its Vpc every port is reachable anyhow: only the published ones concern the container.
        "ports" => {
            entries(before, |port| port["publish"].is_object()) != entries(after, |port| port["publish"].is_object())
        }
        "volumes" => entries(before, |_| true) != entries(after, |_| true),
        key => !IN_PLACE.contains(&key),
    }
}

/// The entries of a list that matter, without the names that they have for people.
fn entries(list: Option<&Value>, matters: impl Fn(&Value) -> bool) -> Vec<Value> {
    let mut entries: Vec<Value> =
        list.and_then(Value::as_array).into_iter().flatten().filter(|entry| matters(entry)).cloned().collect();
    for entry in entries.iter_mut().filter_map(Value::as_object_mut) {
        entry.remove("name");
    }
    entries
}

/// Without what says nothing about the change.
fn tidied(object: &Value) -> Value {
    let mut object = object.clone();
    if let Some(map) = object.as_object_mut() {
        map.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        for key in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.remove(key);
        }
        let annotations = metadata.get_mut("annotations").and_then(Value::as_object_mut);
        let empty = annotations.is_some_and(|annotations| {
            annotations.remove(merge::LAST_APPLIED);
            annotations.is_empty()
        });
        if empty {
            metadata.remove("annotations");
        }
    }
    object
}

/// Hides the values of a Secret, yet shows which changed.
fn mask(before: &mut Value, after: &mut Value) {
    if after["kind"] != "Secret" || after["apiVersion"] != "v1" {
        return;
    }
    let old = before["data"].as_object().cloned().unwrap_or_default();
    let new = after["data"].as_object().cloned().unwrap_or_default();
    for (key, value) in &old {
        let same = new.get(key).is_none_or(|new| new == value);
        before["data"][key] = json!(if same { "***" } else { "*** (before)" });
    }
    for (key, value) in &new {
        let same = old.get(key).is_none_or(|old| old == value);
        after["data"][key] = json!(if same { "***" } else { "*** (after)" });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(spec: Value) -> Value {
        json!({"apiVersion": "thecloud.dev/v1alpha1", "kind": "Instance",
            "metadata": {"name": "web", "resourceVersion": "1", "annotations": {merge::LAST_APPLIED: spec.to_string()}},
            "spec": spec, "status": {"phase": "Running"}})
    }

    #[test]
    fn changed_image_replaces_the_container() {
        let before = instance(json!({"image": "a:1", "resources": {"cpu": "1"}, "args": ["httpd"]}));
        let after = instance(json!({"image": "a:2", "resources": {"cpu": "2"}, "args": ["httpd"]}));
        insta::assert_snapshot!(difference("instance.thecloud.dev/web", Some(&before), &after, Paint::new(false)));
    }

    #[test]
    fn changed_resources_apply_in_place() {
        let before = instance(json!({"image": "a", "resources": {"cpu": "1"}}));
        let after = instance(json!({"image": "a", "resources": {"cpu": "2"}, "powerState": "Stopped"}));
        assert_eq!(consequence(Some(&before), &after).unwrap(), "applies in place (powerState, resources)");
    }

    #[test]
    fn only_published_ports_concern_the_container() {
        let before = instance(json!({"ports": [{"port": 80, "publish": {}, "name": "a"}]}));
        let after = instance(json!({"ports": [{"port": 80, "publish": {}, "name": "b"}, {"port": 81}]}));
        assert_eq!(consequence(Some(&before), &after).unwrap(), "applies in place (ports)");
        let after = instance(json!({"ports": [{"port": 80, "publish": {"port": 8080}}]}));
        assert!(consequence(Some(&before), &after).unwrap().starts_with("replaces the container (ports)"));
    }

    #[test]
    fn bookkeeping_is_no_difference() {
        let before = instance(json!({"image": "a"}));
        let mut after = before.clone();
        after["metadata"]["annotations"][merge::LAST_APPLIED] = json!("other");
        after["metadata"]["resourceVersion"] = json!("2");
        assert_eq!(difference("x", Some(&before), &after, Paint::new(false)), "");
    }

    #[test]
    fn new_object_is_all_additions() {
        let text = difference("x", None, &instance(json!({"image": "a"})), Paint::new(false));
        assert!(text.lines().skip(3).all(|line| line.starts_with('+')), "{text}");
    }

    #[test]
    fn secret_values_never_show() {
        let secret = |password: &str, user: &str| json!({"apiVersion": "v1", "kind": "Secret", "data": {"p": password, "u": user}});
        let text = difference("s", Some(&secret("b2xk", "c2FtZQ==")), &secret("bmV3", "c2FtZQ=="), Paint::new(false));
        assert!(!text.contains("b2xk") && !text.contains("bmV3") && !text.contains("c2FtZQ"), "{text}");
        assert!(text.contains("-  p: '*** (before)'") || text.contains("(before)"), "{text}");
    }
}
