//! Decides whether an object's `metadata` is well formed, in upstream's words.
//!
//! Shapes (a label that is no string) are refused before anything else with a 400; what is well shaped but wrong (a
//! label that is no label) is a field error. Who may change what on an update is decided here too, where it depends
//! on nothing but the two objects.

pub(crate) mod names;
mod owners;
mod shape;
mod update;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::error::FieldError;
use crate::registry::{Kind, builtin};
use crate::schema::path::Path;
use crate::schema::validate::is_enough;
use crate::schema::words;

use self::names::NameRule;

pub use self::shape::check_shape;

/// What all annotations of an object may add up to.
const MAX_ANNOTATIONS: usize = 256 * 1024;

/// Finalizers that need no domain.
const FINALIZERS: [&str; 3] = ["orphan", "foregroundDeletion", "kubernetes"];

/// Our own API group: names there become host names and labels of real things, so they are short.
const OWN_GROUP: &str = "thecloud.dev";

/// Everything wrong with the object's metadata. `old` is the stored object on an update.
#[must_use]
pub fn validate(kind: &Kind, new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let empty = Map::new();
    let metadata = new.get("metadata").and_then(Value::as_object).unwrap_or(&empty);
    let place = Path::Root.field("metadata");
    let mut errors = shape::errors(new);
    // A stored name is good; judging it again would lock out objects from before a rule.
    if old.is_none() {
        name(rule(kind), metadata, &place, &mut errors);
        namespace(kind.namespaced, metadata, &place, &mut errors);
    }
    finalizers(metadata, &place, &mut errors);
    let mut judged = Vec::new();
    contents(metadata, &place, &mut judged);
    let mut changed = Vec::new();
    if let Some(old) = old.and_then(|old| old.get("metadata")).and_then(Value::as_object) {
        update::validate(metadata, old, &place, &mut changed);
    }
    // An update of a declared kind passes upstream's checks three times and its checks of changes twice, and each time
    // adds to the list of causes.
    let (contents, changes) = if old.is_some() && !kind.is_built_in() { (3, 2) } else { (1, 1) };
    errors.extend(std::iter::repeat_n(judged, contents).flatten());
    errors.extend(std::iter::repeat_n(changed, changes).flatten());
    if has_known_finalizers(kind) {
        bare_finalizers(metadata, &place, &mut errors);
    }
    errors
}

/// Whether a kind's finalizers without a domain must be Kubernetes' own. Upstream asks it of most of its own kinds.
fn has_known_finalizers(kind: &Kind) -> bool {
    let is_apart =
        matches!(kind.group.as_str(), "apiextensions.k8s.io" | "coordination.k8s.io" | "admissionregistration.k8s.io");
    kind.is_built_in() && !is_apart && (kind.group.as_str(), kind.plural.as_str()) != ("", "events")
}

fn bare_finalizers(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = place.field("finalizers");
    for (index, finalizer) in metadata.get("finalizers").and_then(Value::as_array).into_iter().flatten().enumerate() {
        let name = finalizer.as_str().unwrap_or_default();
        if !name.contains('/') && !FINALIZERS.contains(&name) && !is_enough(errors) {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            errors.push(words::invalid(place.index(index), finalizer, detail));
        }
    }
}

/// What upstream says of new finalizers that may be another's too.
#[must_use]
pub fn doubtful_finalizers(new: &Value, old: Option<&Value>) -> Vec<String> {
    let names = |object: &Value| -> BTreeSet<String> {
        let list = object["metadata"]["finalizers"].as_array().into_iter().flatten();
        list.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let known = old.map(names).unwrap_or_default();
    let bare = |name: &String| !name.contains('/') && !FINALIZERS.contains(&name.as_str()) && !known.contains(name);
    let doubt = |name: String| {
        let path = if name.contains('.') { " including a path (/)" } else { "" };
        format!(
            "metadata.finalizers: {}: prefer a domain-qualified finalizer name{path} to avoid accidental conflicts with \
             other finalizer writers",
            words::quoted(&name)
        )
    };
    names(new).into_iter().filter(bare).map(doubt).collect()
}

/// Everything wrong with the metadata of an object inside another. It may be of any kind and without a name.
pub(super) fn embedded(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default();
    for (key, place) in [("generateName", place.field("generateName")), ("name", place.field("name"))] {
        for detail in names::problems(NameRule::PathSegment, text(key)) {
            errors.push(words::invalid(place, &text(key).into(), &detail));
        }
    }
    namespace(!text("namespace").is_empty(), metadata, place, errors);
    contents(metadata, place, errors);
    finalizers(metadata, place, errors);
}

fn contents(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    labels(metadata, place, errors);
    annotations(metadata, place, errors);
    owners::validate(metadata, place, errors);
}

fn name(rule: NameRule, metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let text = |key: &str| metadata.get(key).and_then(Value::as_str).unwrap_or_default();
    let generate = text("generateName");
    if !generate.is_empty() {
        // The generated end makes a trailing dash good.
        let stem = generate.strip_suffix('-').map_or_else(|| generate.to_owned(), |stem| format!("{stem}a"));
        for detail in names::problems(rule, &stem) {
            errors.push(words::invalid(place.field("generateName"), &generate.into(), &detail));
        }
    }
    let name = text("name");
    if name.is_empty() {
        errors.push(words::required(place.field("name"), "name or generateName is required"));
        return;
    }
    for detail in names::problems(rule, name) {
        errors.push(words::invalid(place.field("name"), &name.into(), &detail));
    }
}

fn rule(kind: &Kind) -> NameRule {
    if kind.group == OWN_GROUP || kind.group.strip_suffix(OWN_GROUP).is_some_and(|front| front.ends_with('.')) {
        return NameRule::Label;
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        // A namespace is part of host names.
        ("", "namespaces") => NameRule::Label,
        // Of an event in the old form nothing is asked: it is named after what it is about, whatever that is called.
        ("", "events") => NameRule::PathSegment,
        // Roles have names such as `system:discovery`.
        (builtin::rbac::GROUP, _) => NameRule::PathSegment,
        _ => NameRule::Subdomain,
    }
}

fn namespace(namespaced: bool, metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let namespace = metadata.get("namespace").and_then(Value::as_str).unwrap_or_default();
    let place = place.field("namespace");
    match (namespaced, namespace.is_empty()) {
        (true, true) => errors.push(words::required(place, "")),
        (true, false) => {
            for detail in names::problems(NameRule::Label, namespace) {
                errors.push(words::invalid(place, &namespace.into(), &detail));
            }
        }
        (false, false) => errors.push(words::forbidden(place, "not allowed on this type")),
        (false, true) => {}
    }
}

fn labels(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = place.field("labels");
    for (key, value) in metadata.get("labels").and_then(Value::as_object).into_iter().flatten() {
        if is_enough(errors) {
            return;
        }
        for detail in names::qualified_name_problems(key) {
            errors.push(words::invalid(place, &key.as_str().into(), &detail));
        }
        for detail in names::label_value_problems(value.as_str().unwrap_or_default()) {
            errors.push(words::invalid(place, value, &detail));
        }
    }
}

fn annotations(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = place.field("annotations");
    let mut size = 0;
    for (key, value) in metadata.get("annotations").and_then(Value::as_object).into_iter().flatten() {
        size += key.len() + value.as_str().map_or(0, str::len);
        if is_enough(errors) {
            continue;
        }
        // Upstream lowercases the key before it judges it.
        for detail in names::qualified_name_problems(&key.to_ascii_lowercase()) {
            errors.push(words::invalid(place, &key.as_str().into(), &detail));
        }
    }
    if size > MAX_ANNOTATIONS {
        errors.push(words::too_long(place, MAX_ANNOTATIONS as u64));
    }
}

fn finalizers(metadata: &Map<String, Value>, place: &Path<'_>, errors: &mut Vec<FieldError>) {
    let place = place.field("finalizers");
    let list = metadata.get("finalizers").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for finalizer in list {
        if is_enough(errors) {
            return;
        }
        for detail in names::qualified_name_problems(finalizer.as_str().unwrap_or_default()) {
            errors.push(words::invalid(place, finalizer, &detail));
        }
    }
    let has = |name: &str| list.iter().any(|finalizer| finalizer.as_str() == Some(name));
    if has("foregroundDeletion") && has("orphan") {
        let detail = "finalizer orphan and foregroundDeletion cannot be both set";
        errors.push(words::invalid(place, &Value::from(list), detail));
    }
}

#[cfg(test)]
mod tests;
