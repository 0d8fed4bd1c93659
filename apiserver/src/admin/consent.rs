//! Asks the other apiservers of the store whether they know a new master key, before anything is sealed with it: each reads
//! its keys anew, and one that lacks the key objects. Silence is consent, as it is all that one hears from those that are
//! gone; who was wrong is shut out of the store until it has the key.
//!
//! Questions and objections are objects that no API serves and no backup has.

use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{Change, Expect, Key, ResourceId, Storage, WatchItem, Write, WriteError};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{ApiError, Reason};
use crate::state::{State, store_unavailable};

/// How long an objection may take: a look at the store, and reading the keys.
const PATIENCE: Duration = Duration::from_secs(4);

/// Where questions and objections are kept. It is to be private.
#[must_use]
pub fn key_questions() -> ResourceId {
    ResourceId::new("internal.thecloud.dev", "keyquestions")
}

/// Asks, where others may be there to answer. The error names who objects.
pub(super) async fn ask(state: &State, id: &str) -> Result<(), ApiError> {
    let storage = state.storage();
    if !storage.is_shared() {
        return Ok(());
    }
    let (_, mut watch) = storage.snapshot_and_watch(&key_questions());
    let asked = Uuid::new_v4();
    put(storage, asked, &json!({"key": id, "from": state.id})).await?;
    let objection = async {
        while let Some(item) = watch.next().await {
            let WatchItem::Event(event) = item else { continue };
            let said = event.entry.value();
            if said["asked"] == asked.to_string() {
                return said["objection"].as_str().unwrap_or_default().to_owned();
            }
        }
        std::future::pending().await
    };
    let objection = tokio::time::timeout(PATIENCE, objection).await;
    tidy(storage).await;
    match objection {
        Err(_silence) => Ok(()),
        Ok(who) => Err(ApiError::new(
            Reason::Conflict,
            format!(
                "{who} doesn't know the key `{id}`: give it the same keys, and then rotate again; nothing has changed"
            ),
        )),
    }
}

/// Answers the questions of others until the server ends.
pub(crate) async fn answer(state: Arc<State>) {
    let storage = state.storage();
    let (Some(source), true) = (&state.config.key_source, storage.is_shared()) else { return };
    let answering = async {
        let (_, mut watch) = storage.snapshot_and_watch(&key_questions());
        while let Some(item) = watch.next().await {
            let WatchItem::Event(event) = item else { continue };
            let asked = event.entry.value();
            let Some(id) = asked["key"].as_str().filter(|_| asked["from"] != state.id.to_string()) else { continue };
            let why = match source.read().await {
                Ok(keys) => storage.offer_keys(&keys).err().map(|error| error.to_string()),
                Err(why) => Some(why),
            };
            let known =
                storage.master_keys().is_some_and(|keys| keys.known.iter().any(|known| known.to_string() == id));
            if known {
                continue;
            }
            tracing::warn!(key = id, why, "the master key that is to count is not known here");
            let objection = format!("the apiserver {} (process {})", host(), std::process::id());
            let said = json!({"asked": event.entry.key.name, "objection": objection});
            if let Err(error) = put(storage, Uuid::new_v4(), &said).await {
                tracing::warn!(error = %error.message, "the objection to a new master key could not be written");
            }
        }
    };
    state.config.shutdown.run_until_cancelled(answering).await;
}

async fn put(storage: &Storage, name: Uuid, said: &Value) -> Result<(), ApiError> {
    let mut body = said.clone();
    body["metadata"] = json!({"name": name.to_string(), "uid": name});
    let change = Change::Put { uid: name, body: body.to_string().into_bytes() };
    let write = Write { key: Key::new(key_questions(), "", name.to_string()), expect: Expect::Absent, change };
    storage.write(write).await.map(drop).map_err(|error| {
        tracing::warn!(error = &error as &dyn std::error::Error, "the other apiservers could not be asked");
        store_unavailable()
    })
}

/// Removes everything that was asked and said. Whatever stays is removed the next time.
async fn tidy(storage: &Storage) {
    for entry in storage.snapshot(&key_questions()).entries.iter() {
        let change = Change::Delete { body: entry.body.to_vec() };
        let write = Write { key: entry.key.clone(), expect: Expect::Revision(entry.revision), change };
        match storage.write(write).await {
            Ok(_) | Err(WriteError::NotFound | WriteError::Conflict { .. }) => {}
            Err(error) => tracing::debug!(error = &error as &dyn std::error::Error, "a question stays"),
        }
    }
}

fn host() -> String {
    std::fs::read_to_string("/proc/sys/kernel/hostname").map_or_else(|_| "?".to_owned(), |name| name.trim().to_owned())
}
