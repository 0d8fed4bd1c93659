//! Decides whether a store has anything that somebody made: what the server and its controllers make by themselves may
//! be replaced unasked.

use apiserver_store::{Entry, Export, ResourceId};

use crate::install::SCHEMA_VERSION;
use crate::lifecycle::rules;

/// Namespaces that nobody has to make.
const GIVEN: [&str; 5] = ["default", "kube-node-lease", "kube-public", "kube-system", "thecloud-system"];
/// Objects that are made in every namespace.
const IN_EVERY_NAMESPACE: [(&str, &str); 2] = [("configmaps", "kube-root-ca.crt"), ("serviceaccounts", "default")];

/// Names of a few of the objects that somebody made, and how many there are.
pub(super) fn somebodys(export: &Export) -> (Vec<String>, usize) {
    let all = export.resources.iter().flat_map(|(resource, entries)| {
        entries.iter().filter(|entry| is_somebodys(resource, entry)).map(|entry| entry.key.to_string())
    });
    let mut few: Vec<String> = all.collect();
    let count = few.len();
    few.truncate(3);
    (few, count)
}

fn is_somebodys(resource: &ResourceId, entry: &Entry) -> bool {
    let (namespace, name) = (entry.key.namespace.as_str(), entry.key.name.as_str());
    if *resource == rules::namespaces() {
        return !GIVEN.contains(&name);
    }
    if *resource == rules::definitions() {
        return entry.value()["metadata"]["annotations"].get(SCHEMA_VERSION).is_none();
    }
    let is_fleeting = matches!(resource.plural.as_str(), "events" | "leases");
    let is_given = IN_EVERY_NAMESPACE.contains(&(resource.plural.as_str(), name));
    let is_ours = namespace.is_empty() || (namespace != "default" && GIVEN.contains(&namespace));
    !(is_ours || is_fleeting || is_given)
}
