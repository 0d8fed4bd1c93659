//! The keys that objects are sealed with: one a namespace, and one for what has none. The store has them as objects, which
//! the master key seals; what they seal is bound to its namespace by its key as well as by its identity.
//!
//! A key that was renewed has those before it beside it, until nothing needs them. One whose namespace is empty is retired, and
//! then deleted: what was sealed with it, wherever it is kept, opens no more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::seal::{KeyId, SealKey};
use crate::{Change, Entry, Expect, Key, ResourceId, Revision, Sealer, Write};

/// The name of every one: there is one a namespace.
const NAME: &str = "data-key";

/// Those that are known.
#[derive(Default)]
pub(super) struct DataKeys {
    of_namespaces: RwLock<BTreeMap<String, Known>>,
    /// Whose turn it is to make one.
    pub(super) turn: tokio::sync::Mutex<()>,
}

/// What is known of a namespace. Who has written hears of it at the same time as who follows, so the newest counts.
struct Known {
    revision: Revision,
    /// `None` once it is deleted.
    key: Option<DataKey>,
}

#[derive(Clone)]
struct DataKey {
    sealer: Sealer,
    /// Whether it only opens.
    is_retired: bool,
}

impl DataKeys {
    /// What opens in a namespace.
    pub(super) fn opening(&self, namespace: &str) -> Option<Sealer> {
        self.get(namespace).map(|key| key.sealer)
    }

    /// What seals in a namespace.
    pub(super) fn sealing(&self, namespace: &str) -> Option<Sealer> {
        self.get(namespace).filter(|key| !key.is_retired).map(|key| key.sealer)
    }

    /// Learns what an object says; `false` if it holds no key.
    pub(super) fn learn(&self, entry: &Entry) -> bool {
        let Some(content) = Content::parse(&entry.body) else { return false };
        let Some(sealer) = Sealer::of_all(&content.keys) else { return false };
        self.note(&entry.key.namespace, entry.revision, Some(DataKey { sealer, is_retired: content.is_retired }));
        true
    }

    /// Forgets the key of a namespace, whose object was deleted.
    pub(super) fn forget(&self, entry: &Entry) {
        self.note(&entry.key.namespace, entry.revision, None);
    }

    fn note(&self, namespace: &str, revision: Revision, key: Option<DataKey>) {
        let mut known = self.of_namespaces.write().unwrap_or_else(PoisonError::into_inner);
        if known.get(namespace).is_none_or(|known| known.revision <= revision) {
            known.insert(namespace.to_owned(), Known { revision, key });
        }
    }

    /// Whether every key that the object of a data key once said still counts.
    pub(super) fn knows_all_of(&self, namespace: &str, body: &[u8]) -> bool {
        let known: Vec<KeyId> = self.opening(namespace).iter().flat_map(Sealer::known).collect();
        // The last state of a deleted one says none.
        Content::parse(body).is_none_or(|content| content.keys.iter().all(|key| known.contains(&key.id())))
    }

    /// Forgets the keys of all other namespaces.
    pub(super) fn keep_only(&self, namespaces: &BTreeSet<String>) {
        let mut known = self.of_namespaces.write().unwrap_or_else(PoisonError::into_inner);
        known.retain(|namespace, _| namespaces.contains(namespace));
    }

    /// The names of the keys, by namespace.
    pub(super) fn ids(&self) -> BTreeMap<String, KeyId> {
        let known = self.of_namespaces.read().unwrap_or_else(PoisonError::into_inner);
        let present = known.iter().filter_map(|(namespace, known)| Some((namespace, known.key.as_ref()?)));
        present.map(|(namespace, key)| (namespace.clone(), key.sealer.key_id())).collect()
    }

    fn get(&self, namespace: &str) -> Option<DataKey> {
        self.of_namespaces.read().unwrap_or_else(PoisonError::into_inner).get(namespace)?.key.clone()
    }
}

/// What the object of a data key says.
struct Content {
    /// The newest last.
    keys: Vec<SealKey>,
    is_retired: bool,
}

impl Content {
    fn parse(body: &[u8]) -> Option<Content> {
        let value: Value = serde_json::from_slice(body).ok()?;
        let key = |value: &Value| SealKey::parse(value.as_str()?).ok();
        let older = value["older"].as_array().into_iter().flatten();
        let keys = older.chain([&value["key"]]).map(key).collect::<Option<_>>()?;
        Some(Content { keys, is_retired: value["retired"] == true })
    }

    fn write(&self, key: Key, uid: Uuid, expect: Expect) -> Option<Write> {
        let (newest, older) = self.keys.split_last()?;
        let metadata = json!({"name": key.name, "namespace": key.namespace, "uid": uid});
        let mut body = json!({"metadata": metadata, "key": newest.to_text()});
        if !older.is_empty() {
            body["older"] = older.iter().map(SealKey::to_text).collect();
        }
        if self.is_retired {
            body["retired"] = true.into();
        }
        Some(Write { key, expect, change: Change::Put { uid, body: body.to_string().into_bytes() } })
    }

    fn change(self, entry: &Entry) -> Option<Write> {
        self.write(entry.key.clone(), entry.uid, Expect::Revision(entry.revision))
    }
}

/// Where the key of a namespace is.
pub(super) fn key_of(resource: &ResourceId, namespace: &str) -> Key {
    Key::new(resource.clone(), namespace, NAME)
}

/// Makes the first key of a namespace, unless somebody else does.
pub(super) fn creation(resource: &ResourceId, namespace: &str) -> Write {
    let content = Content { keys: vec![SealKey::generate()], is_retired: false };
    content.write(key_of(resource, namespace), Uuid::new_v4(), Expect::Absent).expect("there is a key")
}

/// Whether an object has keys that are there only to open.
pub(super) fn has_older(entry: &Entry) -> bool {
    entry.value()["older"].is_array()
}

/// Another key seals from now on, and those before still open.
pub(super) fn renewal(entry: &Entry) -> Option<Write> {
    let mut content = Content::parse(&entry.body)?;
    content.keys.push(SealKey::generate());
    content.change(entry)
}

/// The keys that only open are gone.
pub(super) fn without_older(entry: &Entry) -> Option<Write> {
    let mut content = Content::parse(&entry.body)?;
    let newest = content.keys.pop()?;
    Content { keys: vec![newest], ..content }.change(entry)
}

/// Nothing is sealed with it any more, or again.
pub(super) fn retirement(entry: &Entry, is_retired: bool) -> Option<Write> {
    Content { is_retired, ..Content::parse(&entry.body)? }.change(entry)
}

/// It is gone, and its last state holds no key.
pub(super) fn deletion(entry: &Entry) -> Write {
    let metadata = json!({"name": entry.key.name, "namespace": entry.key.namespace, "uid": entry.uid});
    let body = json!({"metadata": metadata}).to_string().into_bytes();
    Write { key: entry.key.clone(), expect: Expect::Revision(entry.revision), change: Change::Delete { body } }
}
