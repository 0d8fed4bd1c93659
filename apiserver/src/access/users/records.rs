//! What is kept of users beside their objects: hashes of passwords and of refresh tokens. Every apiserver knows them, the
//! database sees them sealed, no API serves them, no backup has them.

use std::sync::Arc;

use apiserver_store::{Change, Entry, Expect, Key, ResourceId, Storage, Write, WriteError};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::access::signing;

const GROUP: &str = "internal.thecloud.dev";

/// Where the hashes of passwords are: an object a user.
pub(super) fn passwords() -> ResourceId {
    ResourceId::new(GROUP, "passwords")
}

/// Where sessions are: by user, each with an id of its own.
pub(super) fn sessions() -> ResourceId {
    ResourceId::new(GROUP, "sessions")
}

/// Where the hashes of API keys are: an object an ApiKey.
pub(super) fn api_keys() -> ResourceId {
    ResourceId::new(GROUP, "apikeys")
}

/// The resources that are to be sealed and private wherever somebody comes in.
#[must_use]
pub fn private_resources() -> [ResourceId; 4] {
    [passwords(), sessions(), api_keys(), signing::resource()]
}

/// The password of a user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PasswordRecord {
    /// The uid of the User that it is of: another of the same name has none.
    pub(super) user: String,
    /// In PHC's form, with the parameters that it was made with.
    pub(super) hash: String,
}

/// A login that goes on, by a refresh token that changes with each use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct SessionRecord {
    /// The uid of the User that it is of.
    pub(super) user: String,
    /// The SHA-256 of the refresh token that counts now.
    pub(super) secret: String,
    /// When it was last used.
    pub(super) used: Timestamp,
    /// Until when the refresh token counts.
    pub(super) ends: Timestamp,
}

/// A key by which a program comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct ApiKeyRecord {
    /// The uid of the ApiKey that it is of.
    pub(super) api_key: String,
    /// The uid of the owner: another of the same name is not meant.
    pub(super) owner: String,
    /// The SHA-256 of the key's secret part.
    pub(super) secret: String,
}

impl ApiKeyRecord {
    pub(super) fn key(name: &str) -> Key {
        Key::new(api_keys(), "", name)
    }
}

impl PasswordRecord {
    pub(super) fn key(user: &str) -> Key {
        Key::new(passwords(), "", user)
    }
}

impl SessionRecord {
    pub(super) fn key(user: &str, id: &str) -> Key {
        Key::new(sessions(), user, id)
    }
}

/// What a stored object says; `None` where it is spoilt.
pub(in crate::access) fn read<R: DeserializeOwned>(entry: &Entry) -> Option<R> {
    serde_json::from_value(entry.value()["record"].take()).ok()
}

/// Writes a record over `old`, or where there is none.
///
/// # Errors
/// Somebody else was faster, or the store can't be written.
pub(in crate::access) async fn put(
    storage: &Storage,
    key: Key,
    old: Option<&Entry>,
    record: &impl Serialize,
) -> Result<Arc<Entry>, WriteError> {
    let (expect, uid) = match old {
        Some(old) => (Expect::Revision(old.revision), old.uid),
        None => (Expect::Absent, Uuid::new_v4()),
    };
    let record = serde_json::to_value(record).unwrap_or(Value::Null);
    let mut body = json!({"metadata": {"name": key.name, "uid": uid}, "record": record});
    if !key.namespace.is_empty() {
        body["metadata"]["namespace"] = key.namespace.as_str().into();
    }
    let change = Change::Put { uid, body: body.to_string().into_bytes() };
    storage.write(Write { key, expect, change }).await
}

/// Removes a record, whatever becomes of it meanwhile.
///
/// # Errors
/// The store can't be written.
pub(super) async fn remove(storage: &Storage, key: &Key) -> Result<(), WriteError> {
    while let Some(entry) = storage.get(key) {
        // Nobody is shown what it said.
        let body = json!({"metadata": {"name": key.name, "uid": entry.uid}}).to_string().into_bytes();
        let change = Change::Delete { body };
        match storage.write(Write { key: key.clone(), expect: Expect::Revision(entry.revision), change }).await {
            Ok(_) | Err(WriteError::NotFound) => return Ok(()),
            Err(WriteError::Conflict { .. }) => {
                storage.fresh().await.map_err(|error| WriteError::Unavailable(Arc::new(error)))?;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
