//! The keys that objects are sealed with: one a namespace, and one for what has none. The store has them as objects, which
//! the master key seals; what they seal is bound to its namespace by its key as well as by its identity.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use serde_json::{Value, json};
use uuid::Uuid;

use crate::seal::{KeyId, SealKey};
use crate::{Change, Expect, Key, ResourceId, Sealer, Write};

/// The name of every one: there is one a namespace.
const NAME: &str = "data-key";

/// Those that are known.
#[derive(Default)]
pub(super) struct DataKeys {
    of_namespaces: RwLock<BTreeMap<String, Sealer>>,
    /// Whose turn it is to make one.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl DataKeys {
    /// What seals in a namespace.
    pub(super) fn of(&self, namespace: &str) -> Option<Sealer> {
        self.of_namespaces.read().unwrap_or_else(PoisonError::into_inner).get(namespace).cloned()
    }

    /// Learns what an object says; `false` if it holds no key.
    pub(super) fn learn(&self, namespace: &str, body: &[u8]) -> bool {
        let Ok(value) = serde_json::from_slice::<Value>(body) else { return false };
        let Some(key) = value["key"].as_str().and_then(|text| SealKey::parse(text).ok()) else { return false };
        let mut known = self.of_namespaces.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(namespace.to_owned(), Sealer::new(&key));
        true
    }

    /// The names of the keys, by namespace.
    pub(super) fn ids(&self) -> BTreeMap<String, KeyId> {
        let known = self.of_namespaces.read().unwrap_or_else(PoisonError::into_inner);
        known.iter().map(|(namespace, sealer)| (namespace.clone(), sealer.key_id())).collect()
    }
}

/// Makes the first key of a namespace, unless somebody else does.
pub(super) fn creation(resource: &ResourceId, namespace: &str) -> Write {
    let uid = Uuid::new_v4();
    let metadata = json!({"name": NAME, "namespace": namespace, "uid": uid});
    let body = json!({"metadata": metadata, "key": SealKey::generate().to_text()}).to_string().into_bytes();
    let key = Key::new(resource.clone(), namespace, NAME);
    Write { key, expect: Expect::Absent, change: Change::Put { uid, body } }
}
