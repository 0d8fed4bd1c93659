//! Everything in one document, `apidiscovery.k8s.io/v2`: what kubectl and helm ask for first. Clients tell the form by
//! the answer's `Content-Type`, so it must be exactly [`AGGREGATED_TYPE`].

use serde_json::{Value, json};

use crate::registry::{Kind, Registry, Version};

use super::resources::subresources;
use super::{Document, Group, groups, served_versions};

/// The answer's `Content-Type`.
pub const AGGREGATED_TYPE: &str = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

/// `/api`: the core group.
#[must_use]
pub fn aggregated_api(registry: &Registry) -> Document {
    let kinds: Vec<&Kind> =
        registry.kinds().filter(|kind| kind.group.is_empty()).map(std::convert::AsRef::as_ref).collect();
    let versions = served_versions(&kinds);
    list(&[Group { name: "", kinds, versions }])
}

/// `/apis`: all other groups.
#[must_use]
pub fn aggregated_apis(registry: &Registry) -> Document {
    list(&groups(registry))
}

fn list(groups: &[Group<'_>]) -> Document {
    let items: Vec<Value> = groups.iter().map(item).collect();
    Document::of(&json!({
        "kind": "APIGroupDiscoveryList",
        "apiVersion": "apidiscovery.k8s.io/v2",
        "metadata": {},
        "items": items,
    }))
}

fn item(group: &Group<'_>) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|name| {
            let resources: Vec<Value> = group
                .kinds
                .iter()
                .filter_map(|kind| kind.version(name).map(|version| resource(kind, version)))
                .collect();
            json!({"version": name, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn resource(kind: &Kind, version: &Version) -> Value {
    let own = json!({"group": kind.group, "version": version.name, "kind": kind.kind});
    let mut resource = json!({
        "resource": kind.plural,
        "responseKind": own,
        "scope": if kind.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": kind.singular,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        resource["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        resource["categories"] = json!(kind.categories);
    }
    let subresources: Vec<Value> = subresources(kind, version)
        .into_iter()
        .map(|subresource| {
            let answer = match subresource.answer {
                Some((group, version, kind)) => json!({"group": group, "version": version, "kind": kind}),
                None => own.clone(),
            };
            json!({"subresource": subresource.name, "responseKind": answer, "verbs": subresource.verbs})
        })
        .collect();
    if !subresources.is_empty() {
        resource["subresources"] = subresources.into();
    }
    resource
}
