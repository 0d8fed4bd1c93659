//! Reads out of an object who owns what.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

pub(super) type Path = Vec<String>;

/// Who owns which fields and items, by the paths of `managedFields`.
pub(super) fn members(object: &Value) -> BTreeMap<Path, BTreeSet<String>> {
    fn walk(fields: &Value, path: &mut Path, found: &mut impl FnMut(&Path)) {
        let fields = fields.as_object().unwrap();
        if fields.is_empty() || fields.contains_key(".") {
            found(path);
        }
        for (name, below) in fields.iter().filter(|(name, _)| *name != ".") {
            path.push(name.clone());
            walk(below, path, found);
            path.pop();
        }
    }
    let mut members: BTreeMap<Path, BTreeSet<String>> = BTreeMap::new();
    for entry in object["metadata"]["managedFields"].as_array().into_iter().flatten() {
        let identity = format!("{} {}", entry["manager"].as_str().unwrap(), entry["operation"].as_str().unwrap());
        walk(&entry["fieldsV1"], &mut Vec::new(), &mut |path| {
            members.entry(path.clone()).or_default().insert(identity.clone());
        });
    }
    members
}

/// Who owns which fields that have no others in them.
pub(super) fn owners(object: &Value) -> BTreeMap<Path, BTreeSet<String>> {
    let mut owners = members(object);
    let all: Vec<Path> = owners.keys().cloned().collect();
    owners.retain(|path, _| !all.iter().any(|other| other.len() > path.len() && other.starts_with(path)));
    owners
}

/// What is at a path; nothing where it is null, as fields are that a kind always shows.
pub(super) fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a Value> {
    let found = path.iter().try_fold(object, |value, step| match step.split_at(2) {
        ("f:", name) => value.get(name),
        ("k:", keys) => {
            let keys: Value = serde_json::from_str(keys).unwrap();
            let has = |item: &&Value| keys.as_object().unwrap().iter().all(|(name, key)| &item[name] == key);
            value.as_array()?.iter().find(has)
        }
        ("v:", member) => {
            let member: Value = serde_json::from_str(member).unwrap();
            value.as_array()?.iter().find(|other| **other == member)
        }
        (other, _) => unreachable!("{other}"),
    });
    found.filter(|value| !value.is_null())
}

/// Whether an object says everything that a configuration says. Times may be written otherwise.
pub(super) fn says(object: &Value, config: &Value) -> bool {
    match (object, config) {
        (Value::Object(object), Value::Object(config)) => {
            config.iter().all(|(name, value)| object.get(name).is_some_and(|found| says(found, value)))
        }
        (Value::Array(object), Value::Array(config)) => {
            config.iter().all(|value| object.iter().any(|found| says(found, value)))
        }
        // Built-in kinds have no empty lists.
        (Value::Null, Value::Array(config)) => config.is_empty(),
        (Value::String(object), Value::String(config)) if config.starts_with("2026-") => {
            object.trim_end_matches('Z').starts_with(config.trim_end_matches('Z'))
        }
        (object, config) => object == config,
    }
}
