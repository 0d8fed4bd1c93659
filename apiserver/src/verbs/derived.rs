//! The objects of the kinds that are made of what is served when somebody asks: one APIService for each version of each
//! group. In: the kinds that are served. Out: a state like that of a stored kind. Nothing is ever written.

use std::collections::BTreeMap;
use std::sync::Arc;

use apiserver_store::{Entries, Entry, Key, Revision, Snapshot, Storage};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::served::Served;
use crate::lifecycle::rules;
use crate::registry::{Kind, builtin};
use crate::response::to_bytes;

/// All objects of a derived kind.
pub(crate) fn snapshot(storage: &Storage, served: &Served) -> Snapshot {
    let mut groups: BTreeMap<(&str, &str), Vec<&Kind>> = BTreeMap::new();
    for kind in served.edition.registry.kinds() {
        for version in kind.versions.iter().filter(|version| version.served) {
            groups.entry((&kind.group, &version.name)).or_default().push(kind);
        }
    }
    let entries = groups.into_iter().filter_map(|((group, version), kinds)| {
        let is_built_in = kinds.iter().any(|kind| kind.is_built_in());
        let (since, revision) = since(storage, served, &kinds);
        let mut object = builtin::api_service(group, version, is_built_in, &since)?;
        let name = object["metadata"]["name"].as_str()?.to_owned();
        let uid = uid(storage.epoch(), &name);
        object["metadata"]["uid"] = uid.to_string().into();
        object["metadata"]["resourceVersion"] = revision.to_string().into();
        let labels = object["metadata"]["labels"].as_object()?.iter();
        let labels = labels.map(|(key, value)| (key.clone(), value.as_str().unwrap_or_default().to_owned())).collect();
        Some(Arc::new(Entry {
            key: Key::new(served.kind.resource(), "", &name),
            uid,
            revision,
            body: to_bytes(&object).into(),
            labels,
        }))
    });
    Snapshot { revision: storage.revision(), entries: entries.collect::<Entries>() }
}

/// Since when a group is served: its first definition was made then, or for built-in kinds the installation.
fn since(storage: &Storage, served: &Served, kinds: &[&Kind]) -> (Value, Revision) {
    let origin = |kind: &&Kind| {
        if kind.is_built_in() {
            Key::new(rules::namespaces(), "", rules::DEFAULT_NAMESPACE)
        } else {
            Key::new(rules::definitions(), "", kind.resource().to_string())
        }
    };
    let created = kinds.iter().filter_map(|kind| {
        let entry = storage.get(&origin(kind))?;
        entry.value()["metadata"]["creationTimestamp"].as_str().map(str::to_owned)
    });
    let revision = kinds.iter().map(|kind| served.edition.watchable_since(kind)).max();
    (created.min().map_or(Value::Null, Value::from), revision.unwrap_or_default().max(Revision(1)))
}

/// The same in every server of an installation.
fn uid(epoch: Uuid, name: &str) -> Uuid {
    let digest = Sha256::new().chain_update(epoch.as_bytes()).chain_update(name.as_bytes()).finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}
