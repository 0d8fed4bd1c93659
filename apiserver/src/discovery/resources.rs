//! Which resources and subresources a kind has in a version, with their verbs: what both forms of discovery print.

use crate::lifecycle::rules;
use crate::registry::{Kind, Version};

/// A subresource.
pub(super) struct Subresource {
    pub(super) name: String,
    /// Group, version and kind of the answer, where it isn't the parent's.
    pub(super) answer: Option<(&'static str, &'static str, &'static str)>,
    pub(super) verbs: Vec<&'static str>,
}

/// The subresources of a kind in a version.
pub(super) fn subresources(kind: &Kind, version: &Version) -> Vec<Subresource> {
    let mut subresources = Vec::new();
    if kind.group.is_empty() && kind.kind == "Namespace" {
        subresources.push(Subresource { name: "finalize".to_owned(), answer: None, verbs: vec!["update"] });
    }
    if rules::has_tokens(kind) {
        let answer = Some(("authentication.k8s.io", "v1", "TokenRequest"));
        subresources.push(Subresource { name: "token".to_owned(), answer, verbs: vec!["create"] });
    }
    if rules::has_api_keys(kind) {
        subresources.push(Subresource { name: "token".to_owned(), answer: None, verbs: vec!["create"] });
    }
    if rules::has_passwords(kind) {
        subresources.push(Subresource { name: "password".to_owned(), answer: None, verbs: vec!["create", "delete"] });
    }
    if kind.behaviour.keeps_versions {
        subresources.push(Subresource { name: "versions".to_owned(), answer: None, verbs: vec!["get"] });
    }
    if version.status {
        let verbs = vec!["get", "patch", "update"];
        subresources.push(Subresource { name: "status".to_owned(), answer: None, verbs });
    }
    if version.scale.is_some() {
        let answer = Some(("autoscaling", "v1", "Scale"));
        subresources.push(Subresource { name: "scale".to_owned(), answer, verbs: vec!["get", "patch", "update"] });
    }
    for connect in &kind.connects {
        subresources.push(Subresource { name: connect.clone(), answer: None, verbs: connect_verbs(connect) });
    }
    subresources
}

/// Reading streams are fetched; what opens a channel both ways can also be posted, as kubectl's clients do.
fn connect_verbs(connect: &str) -> Vec<&'static str> {
    match connect {
        "log" | "metrics" => vec!["get"],
        _ => vec!["create", "get"],
    }
}
