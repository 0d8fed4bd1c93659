//! Which requests a policy or a binding is about, as an object.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{items, text, texts};
use crate::error::FieldError;
use crate::registry::builtin::label_selector;
use crate::schema::fields::names::{NameRule, problems};
use crate::schema::words;

const OPERATIONS: [&str; 5] = ["*", "CONNECT", "CREATE", "DELETE", "UPDATE"];
const SCOPES: [&str; 3] = ["*", "Cluster", "Namespaced"];

/// What is wrong with a `matchConstraints` or `matchResources`.
pub(super) fn validate(matches: &Value, place: &str, errors: &mut Vec<FieldError>) {
    match text(matches, "matchPolicy") {
        "" => errors.push(words::required(format!("{place}.matchPolicy"), "")),
        "Equivalent" | "Exact" => {}
        other => {
            let known = ["Equivalent", "Exact"];
            errors.push(words::not_supported(format!("{place}.matchPolicy"), &other.into(), &known));
        }
    }
    for field in ["namespaceSelector", "objectSelector"] {
        let place = format!("{place}.{field}");
        match matches.get(field).filter(|selector| !selector.is_null()) {
            Some(selector) => label_selector::validate(selector, &place, errors),
            None => errors.push(words::required(place, "")),
        }
    }
    for field in ["resourceRules", "excludeResourceRules"] {
        for (index, rule) in items(matches, field).iter().enumerate() {
            validate_rule(rule, &format!("{place}.{field}[{index}]"), errors);
        }
    }
}

fn validate_rule(rule: &Value, place: &str, errors: &mut Vec<FieldError>) {
    let mut known = BTreeSet::new();
    for (index, name) in texts(rule, "resourceNames").into_iter().enumerate() {
        let place = format!("{place}.resourceNames[{index}]");
        for detail in problems(NameRule::PathSegment, name) {
            errors.push(words::invalid(&place, &name.into(), &detail));
        }
        if !known.insert(name) {
            errors.push(words::duplicate(place, &name.into()));
        }
    }
    one_wildcard(rule, place, "operations", "if '*' is present, must not specify other operations", errors);
    for (index, operation) in texts(rule, "operations").into_iter().enumerate() {
        if !OPERATIONS.contains(&operation) {
            let place = format!("{place}.operations[{index}]");
            errors.push(words::not_supported(place, &operation.into(), &OPERATIONS));
        }
    }
    one_wildcard(rule, place, "apiGroups", "if '*' is present, must not specify other API groups", errors);
    one_wildcard(rule, place, "apiVersions", "if '*' is present, must not specify other API versions", errors);
    for (index, version) in texts(rule, "apiVersions").into_iter().enumerate() {
        if version.is_empty() {
            errors.push(words::required(format!("{place}.apiVersions[{index}]"), ""));
        }
    }
    validate_resources(&texts(rule, "resources"), &format!("{place}.resources"), errors);
    let scope = text(rule, "scope");
    if !SCOPES.contains(&scope) {
        errors.push(words::not_supported(format!("{place}.scope"), &scope.into(), &SCOPES));
    }
}

/// A list that is needed, and has `*` only alone.
fn one_wildcard(rule: &Value, place: &str, field: &str, detail: &str, errors: &mut Vec<FieldError>) {
    let list = texts(rule, field);
    let place = format!("{place}.{field}");
    if list.is_empty() {
        errors.push(words::required(&place, ""));
    }
    if list.len() > 1 && list.contains(&"*") {
        errors.push(words::invalid(place, &list.into(), detail));
    }
}

fn validate_resources(resources: &[&str], place: &str, errors: &mut Vec<FieldError>) {
    if resources.is_empty() {
        errors.push(words::required(place, ""));
    }
    let (mut all_below, mut all_with) = (BTreeSet::new(), BTreeSet::new());
    let (mut is_everything, mut is_every_resource, mut has_resource) = (false, false, false);
    for (index, resource) in resources.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let mut wrong = |present: String| {
            let detail = format!("if '{present}' is present, must not specify {resource}");
            errors.push(words::invalid(&place, &(*resource).into(), &detail));
        };
        match (*resource, resource.split_once('/')) {
            ("", _) => errors.push(words::required(place, "")),
            ("*", _) => (is_every_resource, has_resource) = (true, false),
            (_, None) => has_resource = true,
            (_, Some((outer, below))) => {
                is_everything |= *resource == "*/*";
                if all_below.contains(outer) {
                    wrong(format!("{outer}/*"));
                }
                if all_with.contains(below) {
                    wrong(format!("*/{below}"));
                }
                if below == "*" {
                    all_below.insert(outer);
                }
                if outer == "*" {
                    all_with.insert(below);
                }
            }
        }
    }
    let shown = Value::from(resources);
    if resources.len() > 1 && is_everything {
        errors.push(words::invalid(place, &shown, "if '*/*' is present, must not specify other resources"));
    }
    if is_every_resource && has_resource {
        let detail = "if '*' is present, must not specify other resources without subresources";
        errors.push(words::invalid(place, &shown, detail));
    }
}
