//! One document a question: `/api`, `/apis`, `/apis/{group}`, `/apis/{group}/{version}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::registry::{Kind, Registry, Version};

use super::resources::subresources;
use super::{Group, groups};

/// `/api`. `server` is the address that clients inside any network reach this server at, as `host:port`.
#[must_use]
pub fn api_versions(server: &str) -> Value {
    json!({
        "kind": "APIVersions",
        "versions": ["v1"],
        "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": server}],
    })
}

/// `/apis`
#[must_use]
pub fn group_list(registry: &Registry) -> Value {
    let groups: Vec<Value> = groups(registry).iter().map(|group| Value::Object(names(group))).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})
}

/// `/apis/{group}`; `None` where nothing of the group is served.
#[must_use]
pub fn group(registry: &Registry, name: &str) -> Option<Value> {
    let groups = groups(registry);
    let mut document = names(groups.iter().find(|group| group.name == name)?);
    document.insert("kind".into(), "APIGroup".into());
    document.insert("apiVersion".into(), "v1".into());
    Some(Value::Object(document))
}

/// `/api/v1` and `/apis/{group}/{version}`; `None` where nothing of the version is served.
#[must_use]
pub fn resource_list(registry: &Registry, group: &str, version: &str) -> Option<Value> {
    let mut resources = Vec::new();
    for kind in registry.kinds().filter(|kind| kind.group == group) {
        if let Some(found) = kind.version(version) {
            rows(kind, found, &mut resources);
        }
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    (!resources.is_empty()).then(|| {
        json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version, "resources": resources})
    })
}

fn names(group: &Group<'_>) -> Map<String, Value> {
    let version = |name: &str| json!({"groupVersion": format!("{}/{name}", group.name), "version": name});
    let versions: Vec<Value> = group.versions.iter().map(|name| version(name)).collect();
    let preferred = versions.first().cloned().unwrap_or_default();
    Map::from_iter([
        ("name".to_owned(), group.name.into()),
        ("versions".to_owned(), versions.into()),
        ("preferredVersion".to_owned(), preferred),
    ])
}

fn rows(kind: &Kind, version: &Version, resources: &mut Vec<Value>) {
    let mut row = json!({
        "name": kind.plural,
        "singularName": kind.singular,
        "namespaced": kind.namespaced,
        "kind": kind.kind,
        "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        row["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        row["categories"] = json!(kind.categories);
    }
    if kind.verbs.contains(&"list") {
        row["storageVersionHash"] = storage_version_hash(kind).into();
    }
    resources.push(row);
    for subresource in subresources(kind, version) {
        let mut row = json!({
            "name": format!("{}/{}", kind.plural, subresource.name),
            "singularName": "",
            "namespaced": kind.namespaced,
            "kind": kind.kind,
            "verbs": subresource.verbs,
        });
        if let Some((group, version, kind)) = subresource.answer {
            row["group"] = group.into();
            row["version"] = version.into();
            row["kind"] = kind.into();
        }
        resources.push(row);
    }
}

/// Changes when objects come to be stored in another version: migration tools compare it.
fn storage_version_hash(kind: &Kind) -> String {
    let digest = Sha256::digest(format!("{}/{}/{}", kind.group, kind.storage_version, kind.kind));
    STANDARD.encode(&digest[..8])
}
