//! Decides whether a CustomResourceDefinition is valid, in upstream's words.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{list, names, object, text, texts, versions};
use crate::error::FieldError;
use crate::registry::charges;
use crate::schema::fields::names::{is_label, subdomain_problems};
use crate::schema::words;

/// Groups that belong to the Kubernetes community; definitions there say where they were approved.
const COMMUNITY: [&str; 2] = ["k8s.io", "kubernetes.io"];
const APPROVED: &str = "api-approved.kubernetes.io";
/// The group of what no API serves.
const OWN: &str = "internal.thecloud.dev";

/// Everything wrong with a CustomResourceDefinition, beyond metadata and the shape that its own schema checks. `old`
/// is the stored definition on an update.
#[must_use]
pub fn validate(new: &Value, old: Option<&Value>) -> Vec<FieldError> {
    let mut errors = Vec::new();
    let spec = &new["spec"];
    name(new, &mut errors);
    charges::validate(&new["metadata"], &mut errors);
    group(new, old, &mut errors);
    scope(spec, &mut errors);
    names::validate(&spec["names"], &mut errors);
    conversion(spec, &mut errors);
    if spec.get("preserveUnknownFields") == Some(&Value::Bool(true)) {
        let detail =
            "cannot set to true, set x-kubernetes-preserve-unknown-fields to true in spec.versions[*].schema instead";
        errors.push(words::invalid("spec.preserveUnknownFields", &true.into(), detail));
    }
    versions::validate(spec, old.map(|old| &old["spec"]), &mut errors);
    stored_versions(new, &mut errors);
    if let Some(old) = old {
        unchanged(new, old, &mut errors);
    }
    errors
}

fn name(new: &Value, errors: &mut Vec<FieldError>) {
    let name = text(&new["metadata"], "name");
    let spec = &new["spec"];
    let expected = format!("{}.{}", text(&spec["names"], "plural"), text(spec, "group"));
    if name != expected {
        errors.push(words::invalid("metadata.name", &name.into(), "must be spec.names.plural+\".\"+spec.group"));
    }
}

fn group(new: &Value, old: Option<&Value>, errors: &mut Vec<FieldError>) {
    let group = text(&new["spec"], "group");
    if group.is_empty() {
        errors.push(words::required("spec.group", ""));
        return;
    }
    for detail in subdomain_problems(group) {
        errors.push(words::invalid("spec.group", &group.into(), &detail));
    }
    if !group.contains('.') {
        errors.push(words::invalid("spec.group", &group.into(), "should be a domain with at least one dot"));
    }
    if group == OWN {
        errors.push(words::forbidden("spec.group", "what the server keeps for itself is in this group"));
    }
    let community = COMMUNITY
        .iter()
        .any(|domain| group == *domain || group.strip_suffix(domain).is_some_and(|front| front.ends_with('.')));
    let approval = Approval::of(new);
    // Who changes something else is not asked again.
    if !community || old.is_some_and(|old| Approval::of(old) == approval) {
        return;
    }
    let place = format!("metadata.annotations[{APPROVED}]");
    let detail = format!("protected groups must have approval annotation \"{APPROVED}\"");
    let see = "see https://github.com/kubernetes/enhancements/pull/1111";
    match approval {
        Approval::Given => {}
        Approval::Missing => errors.push(words::required(place, &format!("{detail}, {see}"))),
        Approval::Unreadable => {
            let given = text(&new["metadata"]["annotations"], APPROVED);
            let how = "with either a URL or a reason starting with \"unapproved\"";
            errors.push(words::invalid(place, &given.into(), &format!("{detail} {how}, {see}")));
        }
    }
}

/// Whether a definition in a group of the community says where it was approved, or that it was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Approval {
    Given,
    Missing,
    Unreadable,
}

impl Approval {
    fn of(definition: &Value) -> Self {
        let given = text(&definition["metadata"]["annotations"], APPROVED);
        let is_url = || url::Url::parse(given).is_ok_and(|url| url.has_host());
        match given {
            "" => Self::Missing,
            _ if given.starts_with("unapproved") || is_url() => Self::Given,
            _ => Self::Unreadable,
        }
    }
}

fn scope(spec: &Value, errors: &mut Vec<FieldError>) {
    match text(spec, "scope") {
        "Cluster" | "Namespaced" => {}
        "" => errors.push(words::required("spec.scope", "")),
        other => errors.push(words::not_supported("spec.scope", &other.into(), &["Cluster", "Namespaced"])),
    }
}

fn conversion(spec: &Value, errors: &mut Vec<FieldError>) {
    let Some(conversion) = object(spec, "conversion") else { return };
    match conversion.get("strategy").and_then(Value::as_str).unwrap_or_default() {
        "None" if conversion.contains_key("webhook") => errors
            .push(words::forbidden("spec.conversion.webhook", "should not be set when strategy is not set to Webhook")),
        "None" => {}
        "" => errors.push(words::required("spec.conversion.strategy", "")),
        "Webhook" => {
            let detail =
                "this server converts between versions by apiVersion only: use strategy None, or serve one version";
            errors.push(words::forbidden("spec.conversion.strategy", detail));
        }
        other => errors.push(words::not_supported("spec.conversion.strategy", &other.into(), &["None", "Webhook"])),
    }
}

/// A version in which objects are still stored can't go.
fn stored_versions(new: &Value, errors: &mut Vec<FieldError>) {
    let declared: BTreeSet<&str> = list(&new["spec"], "versions").iter().map(|version| text(version, "name")).collect();
    for (index, stored) in texts(&new["status"], "storedVersions").iter().enumerate() {
        if !declared.contains(stored.as_str()) {
            let place = format!("status.storedVersions[{index}]");
            let detail = format!(
                "missing from spec.versions; {stored} was previously a storage version, and must remain in spec.versions \
                 until a storage migration ensures no data remains persisted in {stored} and removes {stored} from \
                 status.storedVersions"
            );
            errors.push(words::invalid(place, &stored.as_str().into(), &detail));
        }
    }
}

/// Once objects may exist, what they are called stays.
fn unchanged(new: &Value, old: &Value, errors: &mut Vec<FieldError>) {
    let mut fixed = vec![("spec.group", "/spec/group"), ("spec.names.plural", "/spec/names/plural")];
    if is_established(old) {
        fixed.extend([("spec.scope", "/spec/scope"), ("spec.names.kind", "/spec/names/kind")]);
    }
    for (field, pointer) in fixed {
        if new.pointer(pointer) != old.pointer(pointer) {
            let value = new.pointer(pointer).unwrap_or(&Value::Null);
            errors.push(words::invalid(field, value, "field is immutable"));
        }
    }
}

fn is_established(definition: &Value) -> bool {
    list(&definition["status"], "conditions")
        .iter()
        .any(|condition| text(condition, "type") == "Established" && text(condition, "status") == "True")
}

/// `[a-z]([-a-z0-9]*[a-z0-9])?`, at most 63 characters.
pub(super) fn dns1035_problem(name: &str) -> Option<&'static str> {
    if name.len() > 63 {
        return Some("must be no more than 63 characters");
    }
    let good = is_label(name) && name.starts_with(|c: char| c.is_ascii_lowercase());
    (!good).then_some("a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')")
}
