//! Writes the newest line of the log down in the store, where whoever can write the files can't, and says when the two
//! don't agree: then lines were changed or taken away while the server was away.
//!
//! No API serves these notes, and no backup has them.

use std::sync::Arc;
use std::time::Duration;

use apiserver_store::{Change, Entry, Expect, Key, ResourceId, Storage, Write, WriteError};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Audit;
use super::chain::{Head, LineHash};

/// How long a line may be before it is noted.
const INTERVAL: Duration = Duration::from_secs(10);

/// Where the store holds the notes, one a log. It is to be private.
#[must_use]
pub fn audit_anchors() -> ResourceId {
    ResourceId::new("internal.thecloud.dev", "auditanchors")
}

fn key(chain: Uuid) -> Key {
    Key::new(audit_anchors(), "", chain.to_string())
}

/// The newest line of a log that is noted.
pub(super) fn noted(storage: &Storage, chain: Uuid) -> Option<Head> {
    storage.get(&key(chain)).and_then(|entry| head_of(&entry))
}

fn head_of(entry: &Entry) -> Option<Head> {
    let head = &entry.value()["head"];
    Some(Head { sequence: head["sequence"].as_u64()?, hash: LineHash::parse(head["hash"].as_str()?)? })
}

/// Other logs that were written in the same place.
pub(super) fn gone(storage: &Storage, place: &str, chain: Uuid) -> Vec<Head> {
    let (snapshot, _) = storage.snapshot_and_watch(&audit_anchors());
    let others = snapshot.entries.iter().filter(|entry| entry.value()["place"] == place && entry.key != key(chain));
    others.filter_map(|entry| head_of(entry)).collect()
}

/// Compares, and then keeps the note up to date until the server ends.
pub(super) async fn follow(audit: Arc<Audit>, storage: Storage, shutdown: CancellationToken) {
    if let Some(noted) = noted(&storage, audit.chain) {
        audit.compare(noted).await;
    }
    for gone in gone(&storage, &audit.place, audit.chain) {
        tracing::error!(lines = gone.sequence, "an audit log that was written here is gone");
    }
    loop {
        tokio::select! {
            () = audit.standing.grown.notified() => {}
            () = shutdown.cancelled() => {}
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = shutdown.cancelled() => {}
        }
        let head = audit.standing.head();
        if let Err(error) = note(&storage, audit.chain, &audit.place, head).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the end of the audit log could not be noted");
            audit.standing.grown.notify_one();
        }
        if shutdown.is_cancelled() {
            return;
        }
    }
}

async fn note(storage: &Storage, chain: Uuid, place: &str, head: Head) -> Result<(), WriteError> {
    let key = key(chain);
    let (expect, uid) = match storage.get(&key) {
        Some(entry) if head_of(&entry) == Some(head) => return Ok(()),
        Some(entry) => (Expect::Revision(entry.revision), entry.uid),
        None => (Expect::Absent, Uuid::new_v4()),
    };
    let body: Value = json!({
        "metadata": {"name": chain.to_string(), "uid": uid},
        "place": place,
        "head": {"sequence": head.sequence, "hash": head.hash.to_string()},
    });
    let change = Change::Put { uid, body: body.to_string().into_bytes() };
    storage.write(Write { key, expect, change }).await.map(|_| ())
}
